//! What people do in the town, and what happens to them.

use serde_json::{Value, json};

use super::Town;
use crate::failure::Failure;

/// Messages on a page that somebody picks from.
const PAGE: u32 = 20;

impl Town {
    /// Does one thing, whatever comes.
    pub(super) fn act(&mut self) -> Result<(), Failure> {
        match self.random.u32(0..100) {
            0..50 => self.say(),
            50..58 => self.touch(),
            58..64 => self.read(),
            64..68 => self.set(),
            68..74 => self.go_away(),
            74..82 => self.come_back(),
            82..88 => self.kill(),
            88..91 => self.link(),
            91..93 => self.revoke(),
            93..94 => self.recover(),
            94..96 => self.meet(),
            96..98 => self.cut(),
            _ => self.restart_relay(),
        }
    }

    /// An account and the number of a device of it that runs.
    fn somebody(&mut self, among: &[usize]) -> Option<(usize, usize)> {
        let awake: Vec<_> = among
            .iter()
            .flat_map(|n| {
                let devices = self.accounts[*n].devices.iter().enumerate();
                devices.filter(|(_, device)| device.is_awake()).map(|(at, _)| (*n, at))
            })
            .collect();
        self.random.choice(awake)
    }

    fn anybody(&mut self) -> Option<(usize, usize)> {
        let all: Vec<usize> = (0..self.accounts.len()).collect();
        self.somebody(&all)
    }

    /// A conversation, and somebody in it who is there.
    fn place(&mut self) -> Option<(Value, (usize, usize))> {
        let at = self.random.usize(0..self.conversations.len());
        let members = self.conversations[at].members.clone();
        let id = self.conversations[at].id.clone();
        Some((id, self.somebody(&members)?))
    }

    /// Asks a device for something that may be refused: it may not be in the conversation yet, or be
    /// without a connection.
    fn try_call(&mut self, (n, at): (usize, usize), method: &str, params: Value) -> Option<Value> {
        match self.accounts[n].devices[at].call(method, params) {
            Ok(result) => Some(result),
            Err(Failure::Refused { .. }) => None,
            Err(failure) => {
                // The program ended: it is started again when the town rests.
                eprintln!("{failure}");
                self.accounts[n].devices[at].kill();
                None
            }
        }
    }

    fn say(&mut self) -> Result<(), Failure> {
        let Some((conversation, who)) = self.place() else { return Ok(()) };
        let text = format!("{} {}", self.accounts[who.0].address, self.random.u32(..));
        let params = json!({ "conversation": conversation, "text": text });
        if self.try_call(who, "message.send", params).is_some() {
            self.count("sent");
        }
        Ok(())
    }

    /// Edits or deletes an own message, or reacts to one.
    fn touch(&mut self) -> Result<(), Failure> {
        let Some((conversation, who)) = self.place() else { return Ok(()) };
        let params = json!({ "conversation": conversation, "limit": PAGE });
        let Some(page) = self.try_call(who, "message.list", params) else { return Ok(()) };
        let page = page.as_array().cloned().unwrap_or_default();
        let Some(message) = self.random.choice(page) else { return Ok(()) };
        let id = message["message"].clone();
        let named = json!({ "conversation": conversation, "message": id });
        let (method, params) = match self.random.u32(0..4) {
            0 => ("message.edit", json!({ "text": "in other words" })),
            1 => ("message.delete", json!({})),
            _ => ("message.react", json!({ "emoji": "👍" })),
        };
        let mut all = named;
        for (key, value) in params.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        if self.try_call(who, method, all).is_some() {
            self.count("edited");
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), Failure> {
        let Some((conversation, who)) = self.place() else { return Ok(()) };
        let params = json!({ "conversation": conversation, "limit": 1 });
        let Some(page) = self.try_call(who, "message.list", params) else { return Ok(()) };
        let Some(newest) = page.as_array().and_then(|page| page.last()) else { return Ok(()) };
        let params = json!({ "conversation": conversation, "message": newest["message"] });
        if self.try_call(who, "conversation.read", params).is_some() {
            self.count("read");
        }
        Ok(())
    }

    fn set(&mut self) -> Result<(), Failure> {
        let Some(who) = self.anybody() else { return Ok(()) };
        let key = format!("town.{}", self.random.u32(0..5));
        let params = json!({ "key": key, "value": self.random.u32(..) });
        if self.try_call(who, "settings.set", params).is_some() {
            self.count("set");
        }
        Ok(())
    }

    fn go_away(&mut self) -> Result<(), Failure> {
        if let Some((n, at)) = self.anybody() {
            self.accounts[n].devices[at].sleep();
            self.count("slept");
        }
        Ok(())
    }

    fn come_back(&mut self) -> Result<(), Failure> {
        let away: Vec<(usize, usize)> = (0..self.accounts.len())
            .flat_map(|n| {
                let devices = self.accounts[n].devices.iter().enumerate();
                devices.filter(|(_, device)| !device.is_awake()).map(move |(at, _)| (n, at))
            })
            .collect();
        if let Some((n, at)) = self.random.choice(away) {
            let url = self.url.clone();
            self.accounts[n].devices[at].wake(&url)?;
            self.count("woke");
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), Failure> {
        if let Some((n, at)) = self.anybody() {
            let url = self.url.clone();
            let device = &mut self.accounts[n].devices[at];
            device.kill();
            device.wake(&url)?;
            self.count("killed");
        }
        Ok(())
    }

    /// Cuts a device off, or brings its connection back.
    fn cut(&mut self) -> Result<(), Failure> {
        let Some(who) = self.anybody() else { return Ok(()) };
        let method = if self.random.bool() { "network.offline" } else { "network.online" };
        self.try_call(who, method, json!({}));
        self.count("cut");
        Ok(())
    }

    fn restart_relay(&mut self) -> Result<(), Failure> {
        if let Some(relay) = self.relay.take() {
            if self.random.bool() { relay.kill() } else { drop(relay) }
        }
        self.count("relay restarted");
        self.start_relay()
    }

    /// The primary links one more device, with all that was written.
    fn link(&mut self) -> Result<(), Failure> {
        let n = self.random.usize(0..self.accounts.len());
        if self.accounts[n].devices.len() >= self.most_devices {
            return Ok(());
        }
        let (address, url) = (self.accounts[n].address.clone(), self.url.clone());
        let mut new = self.new_device(&address)?;
        let primary = &mut self.accounts[n].devices[0];
        primary.be_there(&url)?;
        let offer = new.call("device.offer", json!({ "name": "one more" }))?;
        let accept = json!({ "qr": offer["qr"], "history": "all" });
        if let Err(failure) = primary.call("device.accept", accept) {
            return Self::unless_refused(failure);
        }
        let code = new.hear("link.code")?["code"].take();
        match primary.call("device.confirm", json!({ "code": code })) {
            Ok(linked) => {
                new.id = linked["device"].clone();
                new.hear("link.done")?;
                self.accounts[n].devices.push(new);
                self.count("linked");
                Ok(())
            }
            Err(failure) => Self::unless_refused(failure),
        }
    }

    fn unless_refused(failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Refused { .. } => Ok(()),
            other => Err(other),
        }
    }

    /// The primary ends its newest companion.
    fn revoke(&mut self) -> Result<(), Failure> {
        let n = self.random.usize(0..self.accounts.len());
        let url = self.url.clone();
        let account = &mut self.accounts[n];
        let Some(last) = account.devices.len().checked_sub(1).filter(|last| *last > 0) else {
            return Ok(());
        };
        let id = account.devices[last].id.clone();
        let primary = &mut account.devices[0];
        primary.be_there(&url)?;
        if let Err(failure) = primary.call("device.revoke", json!({ "device": id })) {
            return Self::unless_refused(failure);
        }
        account.devices.remove(last).lose();
        self.count("revoked");
        Ok(())
    }

    /// Somebody loses all devices, and brings the account back on a new one.
    fn recover(&mut self) -> Result<(), Failure> {
        let n = self.random.usize(0..self.accounts.len());
        let (address, code) =
            (self.accounts[n].address.clone(), self.accounts[n].recovery_code.clone());
        let mut new = self.new_device(&address)?;
        // Until the new one stands, the old ones run: their owner does not know yet.
        let params = json!({ "address": address, "recovery_code": code, "name": "brought back" });
        match new.call("account.recover", params) {
            Ok(account) => {
                let code = account["recovery_code"].as_str().unwrap_or_default().to_owned();
                self.accounts[n].recovery_code = code;
                for old in std::mem::replace(&mut self.accounts[n].devices, vec![new]) {
                    old.lose();
                }
                self.count("recovered");
                Ok(())
            }
            Err(failure) => Self::unless_refused(failure),
        }
    }

    /// A new conversation of some.
    fn meet(&mut self) -> Result<(), Failure> {
        let mut all: Vec<usize> = (0..self.accounts.len()).collect();
        self.random.shuffle(&mut all);
        all.truncate(self.random.usize(2..=4));
        all.retain(|n| self.accounts[*n].devices.first().is_some_and(super::Device::is_awake));
        if all.len() < 2 {
            return Ok(());
        }
        for n in &all {
            self.accounts[*n].devices[0].call("network.online", json!({}))?;
        }
        self.count("met");
        self.converse(all)
    }
}
