//! Notes of one's own, in step on all of one's devices.
//!
//! `cargo run -p sync-client --example notes -- "buy milk"` adds one; without a text it lists them.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sync_client::{Change, Client, Options, Until, path};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Notes {
    #[serde(default)]
    notes: Vec<Note>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let relay = std::env::var("RELAY").unwrap_or_else(|_| "ws://127.0.0.1:8787".to_owned());
    let client = Client::open(Path::new("notes-data"), &relay, Options::default()).await?;
    if client.status().await?.account.is_none() {
        let address = std::env::var("ADDRESS").unwrap_or_else(|_| "notes".to_owned());
        let account = client.account().create(&address, "Notes").await?;
        println!("write this down: {}", account.recovery_code);
    }
    let document = client.document::<Notes>("notes");
    let notes = document.read().await?.unwrap_or_default();
    match std::env::args().nth(1) {
        Some(text) => {
            let end = notes.notes.len() as u64;
            // Another device may begin the list at the same time: it is one list.
            let change = Change::new().ensure("notes", [(); 0]);
            document.change(change.insert(path!["notes", end], Note { text })).await?;
            // It is safe here already; this waits until the relay has it, too, if there is one.
            client.wait(Until::Stored, Duration::from_secs(2)).await?;
        }
        None => notes.notes.iter().for_each(|note| println!("- {}", note.text)),
    }
    client.close().await;
    Ok(())
}
