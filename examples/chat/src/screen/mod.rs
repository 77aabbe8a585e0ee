//! screen
use sync_client::Client;
pub(crate) async fn run(client: Client, relay: &str) -> std::io::Result<()> { let _ = (client, relay); Ok(()) }
