//! A list that two people share, both in this process: what one adds, the other ticks off.
//!
//! `cargo run -p sync-client --example to_do`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use sync_client::{Change, Client, Document, Failure, Options, path};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    text: String,
    done: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    items: Vec<Item>,
}

async fn person(data: &Path, address: &str) -> Result<Client, Box<dyn Error>> {
    let relay = std::env::var("RELAY").unwrap_or_else(|_| "ws://127.0.0.1:8787".to_owned());
    let client = Client::open(&data.join(address), &relay, Options::default()).await?;
    if client.status().await?.account.is_none() {
        client.account().create(address, address).await?;
    }
    Ok(client)
}

/// Waits until a list is as it should be.
async fn until(
    list: &Document<List>,
    holds: impl Fn(&List) -> bool,
) -> Result<List, Box<dyn Error>> {
    let mut lists = Box::pin(list.values());
    let found = async {
        while let Some(list) = lists.next().await {
            // Whoever was just added does not have the conversation yet.
            match list {
                Ok(Some(list)) if holds(&list) => return Ok(list),
                Ok(_) | Err(Failure::NotFound(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Err("the client was closed".into())
    };
    tokio::time::timeout(Duration::from_secs(20), found).await?
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::var("DATA").unwrap_or_else(|_| "to-do-data".to_owned());
    let (ada, bob) =
        (person(Path::new(&data), "ada").await?, person(Path::new(&data), "bob").await?);
    let hers = ada.conversations().create("Groceries", &["bob"]).await?;
    let list = hers.document::<List>("list");
    let milk = Item { text: "milk".to_owned(), done: false };
    // Whoever begins the list first, or both at once: it is one list.
    let begun = Change::new().ensure("items", Vec::<Item>::new());
    list.change(begun.insert(path!["items", 0], milk)).await?;
    let his = bob.conversation(hers.id()).document::<List>("list");
    until(&his, |list| list.items.len() == 1).await?;
    his.change(Change::new().put(path!["items", 0, "done"], true)).await?;
    let done = until(&list, |list| list.items.iter().all(|item| item.done)).await?;
    println!("{:?}", done.items);
    ada.close().await;
    bob.close().await;
    Ok(())
}
