//! Notes about people among the account's settings, under the keys that the web app and the terminal
//! client use, so that all own devices agree.

use std::str::FromStr as _;

use serde_json::Value;
use sync_client::{AccountId, SortedMap};

const BEFORE: &str = "contact/";
const CHANGED: &str = "/devices_changed";
const BLOCKED: &str = "/blocked";

/// Whose devices changed since their safety number was compared, and who is blocked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// When somebody's devices changed, Unix milliseconds, until their safety number is compared.
    pub changed: SortedMap<AccountId, u64>,
    /// Who is blocked.
    pub blocked: Vec<AccountId>,
}

impl Marks {
    /// Reads them out of all settings.
    #[must_use]
    pub fn of(settings: &SortedMap<String, Value>) -> Self {
        let mut marks = Self::default();
        for (key, value) in settings.iter() {
            if let Some(ms) = value.as_u64()
                && let Some(account) = account_in(key, CHANGED)
            {
                marks.changed.insert(account, ms);
            } else if value == &Value::Bool(true)
                && let Some(account) = account_in(key, BLOCKED)
            {
                marks.blocked.push(account);
            }
        }
        marks
    }

    /// Whether somebody is blocked.
    #[must_use]
    pub fn is_blocked(&self, account: AccountId) -> bool {
        self.blocked.contains(&account)
    }
}

/// The setting that notes when somebody's devices changed.
#[must_use]
pub fn changed_key(account: AccountId) -> String {
    format!("{BEFORE}{account}{CHANGED}")
}

/// The setting that notes that somebody is blocked.
#[must_use]
pub fn blocked_key(account: AccountId) -> String {
    format!("{BEFORE}{account}{BLOCKED}")
}

fn account_in(key: &str, end: &str) -> Option<AccountId> {
    AccountId::from_str(key.strip_prefix(BEFORE)?.strip_suffix(end)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::timeline::made::account;

    #[test]
    fn notes_are_read_from_the_keys_that_they_are_written_to() {
        let mut settings = SortedMap::new();
        settings.insert(changed_key(account(1)), json!(7));
        settings.insert(blocked_key(account(2)), json!(true));
        settings.insert(blocked_key(account(3)), json!(null));
        settings.insert("contact/x/blocked".to_owned(), json!(true));
        settings.insert("theme".to_owned(), json!("dark"));
        let marks = Marks::of(&settings);
        assert_eq!(marks.changed.get(&account(1)), Some(&7));
        assert_eq!(marks.blocked, [account(2)]);
        assert!(marks.is_blocked(account(2)) && !marks.is_blocked(account(3)));
    }
}
