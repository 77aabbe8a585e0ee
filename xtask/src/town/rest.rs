//! The town rests: everything is stored and read, and all show the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Town;
use crate::failure::Failure;

/// How long all may take to show the same, once each says that it is up to date.
const EQUAL_WITHIN: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Town {
    /// Wakes everybody, waits until nothing is under way, and compares.
    ///
    /// # Errors
    /// `Differs`: who shows what, if that does not come to be the same.
    pub(super) fn rest(&mut self) -> Result<String, Failure> {
        let url = self.url.clone();
        for device in self.accounts.iter_mut().flat_map(|account| &mut account.devices) {
            device.be_there(&url)?;
        }
        let deadline = Instant::now() + EQUAL_WITHIN;
        loop {
            for device in self.accounts.iter_mut().flat_map(|account| &mut account.devices) {
                device.is("stored")?;
                device.is("up_to_date")?;
            }
            match self.difference()? {
                None => return Ok(self.tally()),
                Some(what) if Instant::now() > deadline => return Err(Failure::Differs { what }),
                // What one of them wrote last, a receipt or a name, may be under way to another.
                Some(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// What two devices show differently that should show the same.
    fn difference(&mut self) -> Result<Option<String>, Failure> {
        // What each device of each account lists.
        let mut lists = Vec::new();
        for account in &mut self.accounts {
            let mut own = Vec::new();
            for device in &mut account.devices {
                own.push(device.call("conversation.list", json!({}))?);
            }
            lists.push(own);
        }
        match self.siblings(&lists)? {
            None => self.members(&lists),
            differs => Ok(differs),
        }
    }

    /// What two devices of one account show differently.
    fn siblings(&mut self, lists: &[Vec<Value>]) -> Result<Option<String>, Failure> {
        for (account, lists) in self.accounts.iter_mut().zip(lists) {
            let mut all = Vec::new();
            for (device, list) in account.devices.iter_mut().zip(lists) {
                let digest = device.call("sync.digest", json!({ "space": "account" }))?;
                all.push((digest, counts(list)));
            }
            if let Some(pair) = all.windows(2).find(|pair| pair[0] != pair[1]) {
                let address = &account.address;
                return Ok(Some(format!("{address}: {:#?} and {:#?}", pair[0], pair[1])));
            }
        }
        Ok(None)
    }

    /// What two members of a conversation show differently of it.
    fn members(&mut self, lists: &[Vec<Value>]) -> Result<Option<String>, Failure> {
        for conversation in &self.conversations {
            let mut first: Option<(String, Value)> = None;
            for n in &conversation.members {
                let account = &mut self.accounts[*n];
                for (device, list) in account.devices.iter_mut().zip(&lists[*n]) {
                    // An account that was brought back is told what it can't read any more: it
                    // shows less, and says so.
                    if lacks_keys(list, &conversation.id) {
                        continue;
                    }
                    let digest = device.call("sync.digest", json!({ "space": conversation.id }))?;
                    let (who, known) =
                        first.get_or_insert_with(|| (account.address.clone(), digest.clone()));
                    if *known != digest {
                        let address = &account.address;
                        return Ok(Some(format!("{who} {known:#} and {address} {digest:#}")));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Whether a device says that it can't read all of a conversation.
fn lacks_keys(list: &Value, conversation: &Value) -> bool {
    let mut views = list.as_array().into_iter().flatten();
    let view = views.find(|view| view["conversation"] == *conversation);
    view.is_some_and(|view| !view["unreadable"].is_null())
}

/// What all devices of an account count alike: each conversation with its title, its members and
/// what is unread.
fn counts(list: &Value) -> Vec<(String, String, u64, usize)> {
    let views = list.as_array().into_iter().flatten();
    let mut counts: Vec<_> = views
        .map(|view| {
            let text = |key: &str| view[key].as_str().unwrap_or_default().to_owned();
            let members = view["members"].as_array().map_or(0, Vec::len);
            let unread = view["unread"].as_u64().unwrap_or_default();
            (text("conversation"), text("title"), unread, members)
        })
        .collect();
    counts.sort();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_says_so_is_excused() {
        let list = json!([
            { "conversation": "a", "unreadable": { "changes": 3 } },
            { "conversation": "b", "unreadable": null },
        ]);
        assert!(lacks_keys(&list, &json!("a")));
        assert!(!lacks_keys(&list, &json!("b")) && !lacks_keys(&list, &json!("c")));
    }

    #[test]
    fn devices_count_alike_whatever_the_order_of_their_lists() {
        let view = |id: &str, unread: u64| json!({ "conversation": id, "title": "t", "members": [1, 2], "unread": unread });
        let one = json!([view("a", 1), view("b", 0)]);
        let two = json!([view("b", 0), view("a", 1)]);
        assert_eq!(counts(&one), counts(&two));
        assert_ne!(counts(&one), counts(&json!([view("a", 2), view("b", 0)])));
    }
}
