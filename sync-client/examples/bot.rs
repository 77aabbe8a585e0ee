//! Answers everybody who writes to it.
//!
//! `cargo run -p sync-client --example bot`, then write to the address `echo`.

use std::error::Error;
use std::path::Path;

use sync_client::{Client, Event, Notice, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let relay = std::env::var("RELAY").unwrap_or_else(|_| "ws://127.0.0.1:8787".to_owned());
    let client = Client::open(Path::new("bot-data"), &relay, Options::default()).await?;
    if client.status().await?.account.is_none() {
        let account = client.account().create("echo", "Echo").await?;
        println!("write this down: {}", account.recovery_code);
    }
    let me = client.status().await?.account;
    let mut events = client.events();
    while let Some(notice) = events.next().await {
        let Notice::Event(Event::Messages { conversation, messages }) = notice else { continue };
        let conversation = client.conversation(conversation);
        // Whoever writes to a bot wants an answer: it need not be asked first.
        if conversation.info().await?.pending {
            conversation.accept().await?;
        }
        for message in conversation.messages(None, 100).await? {
            let is_new = messages.contains(&message.message) && Some(message.author) != me;
            if is_new && !message.deleted && !message.edited {
                conversation.reply(message.message, format!("You said: {}", message.text)).await?;
                conversation.mark_read(message.message).await?;
            }
        }
    }
    Ok(())
}
