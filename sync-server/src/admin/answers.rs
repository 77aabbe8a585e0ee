//! What the relay answers its operator.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sync_protocol::address::Address;
use sync_protocol::error::Rejection;
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};
use tokio::sync::mpsc;

use super::{AccountAsk, AddressAsk, Ask, SpaceAsk, TokenAsk};
use crate::heartbeat::Heartbeat;
use crate::hub::{Hub, Kept, now_ms};
use crate::rules::{self, AccountDevice, Action, Standing, Token, TokenHash};
use crate::store::{Copier, StoreError};
use crate::telemetry;

/// Bytes of randomness in a token.
const TOKEN: usize = 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What only the program can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Stop, politely.
    Drain,
    /// Read the configuration anew.
    Reload,
}

/// Answers what is asked.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The relay.
    pub(crate) hub: Hub,
    /// Its store, to be copied.
    pub(crate) copier: Copier,
    /// Its sign of life.
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// Asks the program.
    pub(crate) control: mpsc::UnboundedSender<Control>,
}

pub(super) type Answer = Result<Value, String>;

impl Answers {
    pub(super) async fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Stats => self.stats().await,
            Ask::Health => Ok(json!({
                "serving": self.hub.is_serving(),
                "heartbeat_age_ms": self.heartbeat.age_ms(),
            })),
            Ask::Sessions => self.read(|relay| Ok(sessions(relay))).await,
            Ask::Account(ask) => self.account(ask).await,
            Ask::Space(ask) => self.space(ask).await,
            Ask::Address(AddressAsk::Release { address }) => {
                let address = parse_address(&address)?;
                self.change(Action::ReleaseAddress { address }).await
            }
            Ask::Token(ask) => self.token(ask).await,
            Ask::Invite(ask) => self.invite(ask).await,
            Ask::Backup { to, keep } => self.backup(to, keep).await,
            Ask::Drain => self.tell(Control::Drain),
            Ask::Reload => self.tell(Control::Reload),
            Ask::LogLevel { level } => {
                telemetry::set_log_level(&level)?;
                tracing::info!(level, "logs from now on");
                Ok(json!("done"))
            }
        }
    }

    fn tell(&self, control: Control) -> Answer {
        let told = self.control.send(control);
        told.map(|()| json!("told")).map_err(|_| "it stops already".to_owned())
    }

    /// Looks at the relay between two batches.
    pub(super) async fn read(
        &self,
        look: impl FnOnce(&mut Kept) -> Answer + Send + 'static,
    ) -> Answer {
        self.hub.with(move |relay, _| look(relay)).await.map_err(|_| gone())?
    }

    /// Does something, and answers once it is durable.
    pub(super) async fn change(&self, action: Action) -> Answer {
        let done = self.hub.with(move |relay, now_ms| relay.operate(action, now_ms));
        done.await.map_err(|_| gone())?.map_err(|reason| words(&reason))?;
        // What comes after it is answered after its commit.
        self.hub.with(|_, _| ()).await.map_err(|_| gone())?;
        Ok(json!("done"))
    }

    /// What was acknowledged lies in the log: it is written into the store, where copies and counts look.
    async fn write_down(&self) -> Result<(), String> {
        let written = self.hub.with(|relay, _| relay.checkpoint()).await.map_err(|_| gone())?;
        written.map(drop).map_err(|error| error.to_string())
    }

    async fn stats(&self) -> Answer {
        let age_ms = self.heartbeat.age_ms();
        self.write_down().await?;
        let copier = self.copier.clone();
        let contents = tokio::task::spawn_blocking(move || copier.contents()).await;
        let contents = contents.map_err(|error| error.to_string())?;
        let contents = contents.map_err(|error| error.to_string())?;
        let disk_bytes = self.copier.disk_bytes();
        self.read(move |relay| {
            let counts = relay.counts();
            Ok(json!({
                "sessions": counts.sessions,
                "unauthenticated": counts.unauthenticated,
                "spaces": contents.spaces,
                "entries": contents.entries,
                "accounts": contents.accounts,
                "addresses": contents.addresses,
                "inbox_items": contents.inbox_items,
                "key_packages": contents.key_packages,
                "file_bytes": contents.file_bytes,
                "disk_bytes": disk_bytes,
                "appended": counts.appended,
                "refused": counts.refused,
                "damaged": counts.damaged,
                "heartbeat_age_ms": age_ms,
            }))
        })
        .await
    }

    async fn backup(&self, to: PathBuf, keep: usize) -> Answer {
        self.write_down().await?;
        let copier = self.copier.clone();
        let copied = move || copier.backup(&to, keep, now_ms());
        let copied = tokio::task::spawn_blocking(copied).await;
        let path = copied.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        tracing::info!(path = %path.display(), "backed up");
        Ok(json!({ "path": path }))
    }

    async fn account(&self, ask: AccountAsk) -> Answer {
        let (named, action): (String, fn(AccountId) -> Option<Action>) = match ask {
            AccountAsk::Show { account } => (account, |_| None),
            AccountAsk::Suspend { account } => {
                (account, |account| Some(Action::Suspend { account, suspended: true }))
            }
            AccountAsk::Resume { account } => {
                (account, |account| Some(Action::Suspend { account, suspended: false }))
            }
            AccountAsk::Delete { account } => {
                (account, |account| Some(Action::EndAccount { account }))
            }
        };
        let account = self.named(named).await?;
        match action(account) {
            Some(action) => self.change(action).await,
            None => self.read(move |relay| show_account(relay, &account)).await,
        }
    }

    /// The account that an id or an address names.
    pub(super) async fn named(&self, named: String) -> Result<AccountId, String> {
        if let Ok(account) = named.parse::<AccountId>() {
            return Ok(account);
        }
        let address = parse_address(&named)?;
        let found = self.hub.with(move |relay, _| relay.state().address(&address)).await;
        let found = found.map_err(|_| gone())?.map_err(|error| error.to_string())?;
        found.ok_or_else(|| format!("{named} leads to nobody"))
    }

    async fn space(&self, ask: SpaceAsk) -> Answer {
        let (SpaceAsk::Show { space: named } | SpaceAsk::Delete { space: named }) = &ask;
        let space: SpaceId = named.parse().map_err(|_| format!("{named} is no space's id"))?;
        match ask {
            SpaceAsk::Delete { .. } => self.change(Action::EndSpace { space }).await,
            SpaceAsk::Show { .. } => self.read(move |relay| show_space(relay, &space)).await,
        }
    }

    async fn token(&self, ask: TokenAsk) -> Answer {
        match ask {
            TokenAsk::List => self.read(tokens).await,
            TokenAsk::Add { uses, days, note } => {
                let token = new_token()?;
                let lasts_ms = days.saturating_mul(DAY_MS);
                let until_ms = (days > 0).then(|| now_ms().saturating_add(lasts_ms));
                let hash = TokenHash::of(&token);
                let action =
                    Action::AddToken { hash, token: Token { uses: uses.max(1), until_ms, note } };
                self.change(action).await?;
                Ok(json!({ "token": token, "name": hash.name(), "uses": uses.max(1) }))
            }
            TokenAsk::Remove { name } => {
                let found = self.hub.with(|relay, _| rules::token_hashes(relay.state())).await;
                let found = found.map_err(|_| gone())?.map_err(|error| error.to_string())?;
                let hash = found.into_iter().find(|hash| hash.name() == name);
                let hash = hash.ok_or_else(|| format!("there is no token {name}"))?;
                self.change(Action::RemoveToken { hash }).await
            }
        }
    }
}

fn sessions(relay: &mut Kept) -> Value {
    let here = relay.who_is_here().map(|(session, device)| {
        json!({
            "session": session.0,
            "account": device.account.to_string(),
            "device": device.device.to_string(),
        })
    });
    here.collect::<Vec<_>>().into()
}

fn tokens(relay: &mut Kept) -> Answer {
    let tokens = rules::tokens(relay.state()).map_err(|error| error.to_string())?;
    let tokens = tokens.into_iter().map(|(name, token)| {
        let Token { uses, until_ms, note } = token;
        json!({ "name": name, "uses": uses, "until_ms": until_ms, "note": note })
    });
    Ok(tokens.collect::<Vec<_>>().into())
}

fn show_account(relay: &mut Kept, account: &AccountId) -> Answer {
    let failed = |error: StoreError| error.to_string();
    let log = relay.state_mut().log(account).map_err(failed)?;
    let log = log.ok_or_else(|| format!("no account {account}"))?;
    let is_here =
        |device: DeviceId| relay.who_is_here().filter(|(_, one)| one.device == device).count();
    let devices = log.all_devices().map(|(device, ended)| {
        let named = AccountDevice { account: *account, device: *device };
        let seen_ms = relay.state().last_seen(&named).ok().flatten();
        json!({
            "device": device.to_string(),
            "ended": ended,
            "sessions": is_here(*device),
            "seen_ms": seen_ms,
        })
    });
    let devices: Vec<_> = devices.collect();
    let state = relay.state();
    let spaces = state.memberships(account).map_err(failed)?;
    let present = spaces.iter().filter(|(_, membership)| membership.until.is_none());
    Ok(json!({
        "account": account.to_string(),
        "standing": match rules::standing(state, account).map_err(failed)? {
            Standing::Good => "good",
            Standing::Suspended => "suspended",
            Standing::Deleted => "deleted",
        },
        "log_entries": log.len(),
        "devices": devices,
        "addresses": rules::address_list_of(state, account).map_err(failed)?,
        "spaces": present.map(|(space, _)| json!(space.to_string())).collect::<Vec<_>>(),
    }))
}

fn show_space(relay: &mut Kept, space: &SpaceId) -> Answer {
    let failed = |error: StoreError| error.to_string();
    if rules::is_deleted(relay.state(), space).map_err(failed)? {
        return Ok(json!({ "space": space.to_string(), "standing": "deleted" }));
    }
    let found = relay.state_mut().space(space).map_err(failed)?;
    let found = found.ok_or_else(|| format!("no space {space}"))?;
    let (floor, head) = found.bounds();
    let members: Vec<Value> = found.members().map(|member| json!(member.to_string())).collect();
    Ok(json!({
        "space": space.to_string(),
        "standing": "good",
        "entries": head - floor,
        "members": members,
    }))
}

fn parse_address(address: &str) -> Result<Address, String> {
    address.parse().map_err(|_| format!("{address} is neither an account's id nor an address"))
}

pub(super) fn new_token() -> Result<String, String> {
    let mut bytes = [0; TOKEN];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn words(reason: &Rejection) -> String {
    match reason {
        Rejection::NotFound => "there is none".to_owned(),
        Rejection::Taken => "it was deleted already".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn gone() -> String {
    "the relay stops".to_owned()
}
