//! Fills a store without a relay, for `rejoinder-desktop --measure` to measure what a full one costs.
//!
//! `cargo run -p desktop --example fill -- FOLDER [CONVERSATIONS] [MESSAGES]`, then
//! `rejoinder-desktop --data FOLDER --relay ws://127.0.0.1:9 --measure`

use std::collections::VecDeque;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use sync_client::{Client, Command, Options, Submitted};

/// Messages under way at once.
const AT_ONCE: usize = 256;
/// The first conversation gets this part of all messages, in hundredths: somebody scrolls there.
const FIRST: usize = 10;
/// Nothing answers there.
const NOWHERE: &str = "ws://127.0.0.1:9";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().ok_or("which folder?")?);
    let mut number = |usual: usize| words.next().map_or(Ok(usual), |word| word.parse());
    let (conversations, messages) = (number(1000)?, number(100_000)?);
    let begun = Instant::now();
    let client = Client::open(&folder.join("store"), NOWHERE, Options::default()).await?;
    if client.status().await?.account.is_none() {
        client.account().create("ada", "Ada").await?;
    }
    let mut ids = Vec::new();
    for n in 0..conversations {
        ids.push(client.conversations().create(&format!("Conversation {n}"), &[]).await?.id());
    }
    println!("{conversations} conversations after {:?}", begun.elapsed());
    let mut under_way: VecDeque<Submitted> = VecDeque::new();
    let in_first = messages * FIRST / 100;
    for n in 0..messages {
        if under_way.len() == AT_ONCE
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.answer().await?;
        }
        // The one with most is the newest, so that it stands first in the list.
        let at = match n.checked_sub(messages - in_first) {
            Some(_) => 0,
            None => n % conversations.max(1),
        };
        let Some(conversation) = ids.get(at).copied() else { break };
        let text =
            format!("Message {n}, of which there are many: nobody reads all of them at once.");
        let command = Command::SendMessage { conversation, text, reply_to: None };
        under_way.push_back(client.submit(command).await);
    }
    for left in under_way {
        left.answer().await?;
    }
    println!("{messages} messages after {:?}", begun.elapsed());
    client.close().await;
    Ok(())
}
