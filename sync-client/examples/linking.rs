//! Two devices of one person, both in this process: the second is linked, and has what the first wrote.
//!
//! `cargo run -p sync-client --example linking`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use sync_client::{Client, Event, Join, LinkEvent, Notice, Options};

async fn open(data: &Path, device: &str) -> Result<Client, Box<dyn Error>> {
    let relay = std::env::var("RELAY").unwrap_or_else(|_| "ws://127.0.0.1:8787".to_owned());
    Ok(Client::open(&data.join(device), &relay, Options::default()).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::var("DATA").unwrap_or_else(|_| "linking-data".to_owned());
    let (phone, tablet) =
        (open(Path::new(&data), "phone").await?, open(Path::new(&data), "tablet").await?);
    phone.account().create("grace", "Grace").await?;
    phone.settings().set("theme", "dark").await?;

    let mut events = tablet.events();
    // The tablet shows this as a QR code, the phone scans it.
    let offer = tablet.devices().offer("Tablet", Join::Ask).await?;
    phone.devices().accept(&offer, true).await?;
    let linked = async {
        while let Some(notice) = events.next().await {
            match notice {
                Notice::Event(Event::Link(LinkEvent::Account(whose))) => {
                    println!("Join the account of {}?", whose.name);
                    tablet.devices().join(whose.account).await?;
                }
                Notice::Event(Event::Link(LinkEvent::Code { code, .. })) => {
                    // The person reads it on the tablet, and types it on the phone.
                    phone.devices().confirm(&code).await?;
                }
                Notice::Event(Event::Link(LinkEvent::Done { .. })) => return Ok(()),
                Notice::Event(Event::Link(LinkEvent::Failed(failure))) => {
                    return Err(failure.into());
                }
                _ => {}
            }
        }
        Err::<(), Box<dyn Error>>("the client was closed".into())
    };
    tokio::time::timeout(Duration::from_secs(60), linked).await??;
    for device in phone.devices().list().await? {
        println!("{} ({})", device.name, device.role);
    }
    let mut theme = tablet.settings().get("theme").await?;
    while theme.is_null() {
        events.next().await;
        theme = tablet.settings().get("theme").await?;
    }
    println!("the tablet's theme is {theme}");
    phone.close().await;
    tablet.close().await;
    Ok(())
}
