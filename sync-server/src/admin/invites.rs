//! Invites in the operator's hands: drawn, listed, withdrawn.

use serde_json::{Value, json};
use sync_protocol::ids::AccountId;

use super::answers::{Answer, gone, new_token};
use super::{Answers, InviteAsk};
use crate::hub::{Kept, now_ms};
use crate::rules::{self, Action, Invite, TokenHash};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Answers {
    pub(super) async fn invite(&self, ask: InviteAsk) -> Answer {
        match ask {
            InviteAsk::Draw { days } => self.draw_invite(days).await,
            InviteAsk::List { by } => {
                let by = self.drawer(by).await?;
                self.read(move |relay| Ok(invites(relay, by)?.into_iter().map(listed).collect()))
                    .await
            }
            InviteAsk::Withdraw { name, by } => {
                let by = self.drawer(by).await?;
                let found = self.hub.with(move |relay, _| invites(relay, by)).await;
                let mut found = found.map_err(|_| gone())??;
                found.retain(|(hash, _)| name.as_ref().is_none_or(|name| hash.name() == *name));
                if let Some(name) = name.filter(|_| found.is_empty()) {
                    return Err(format!("there is no invite {name}"));
                }
                for (hash, _) in &found {
                    self.change(Action::RemoveInvite { hash: *hash }).await?;
                }
                Ok(json!({ "withdrawn": found.len() }))
            }
        }
    }

    async fn draw_invite(&self, days: u64) -> Answer {
        let code = new_token()?;
        let until_ms = now_ms().saturating_add(days.max(1).saturating_mul(DAY_MS));
        let hash = TokenHash::of(&code);
        let invite = Invite { by: None, until_ms, used_by: None };
        self.change(Action::AddInvite { hash, invite }).await?;
        Ok(json!({ "code": code, "name": hash.name(), "until_ms": until_ms }))
    }

    /// Whose invites are meant, if somebody's alone.
    async fn drawer(&self, named: Option<String>) -> Result<Option<AccountId>, String> {
        match named {
            Some(named) => self.named(named).await.map(Some),
            None => Ok(None),
        }
    }
}

/// All invites, or those of one account.
fn invites(relay: &mut Kept, by: Option<AccountId>) -> Result<Vec<(TokenHash, Invite)>, String> {
    let mut all = rules::invites(relay.state()).map_err(|error| error.to_string())?;
    all.retain(|(_, invite)| by.is_none() || invite.by == by);
    Ok(all)
}

fn listed((hash, invite): (TokenHash, Invite)) -> Value {
    let Invite { by, until_ms, used_by } = invite;
    json!({
        "name": hash.name(),
        "by": by.map_or_else(|| "operator".to_owned(), |by| by.to_string()),
        "until_ms": until_ms,
        "used_by": used_by.map(|account| account.to_string()),
    })
}
