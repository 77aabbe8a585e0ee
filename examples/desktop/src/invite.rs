//! `rejoinder:` links: what they lead to.

use std::str::FromStr as _;

use sync_client::{Address, SpaceId};

/// The scheme of links.
pub const SCHEME: &str = "rejoinder";
/// Longer than this nobody's link is.
const MAX_CHARS: usize = 4096;

/// What a link leads to. A link does nothing by itself: it only shows the place, where the person goes
/// on or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invite {
    /// `rejoinder:talk/ADDRESS`: begin a conversation with somebody.
    Talk(String),
    /// `rejoinder:conversation/ID`: one that is here.
    Conversation(SpaceId),
    /// `rejoinder:link/CODE`: link the device that shows this code.
    Link(String),
    /// `rejoinder:new`: begin a conversation.
    New,
    /// `rejoinder:`: the window.
    Open,
}

impl Invite {
    /// Reads a link; `None` for one that leads nowhere.
    #[must_use]
    pub fn parse(link: &str) -> Option<Self> {
        if link.len() > MAX_CHARS {
            return None;
        }
        let (scheme, rest) = link.split_once(':')?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let rest = rest.trim_start_matches('/').trim_end_matches('/');
        if rest.is_empty() {
            return Some(Self::Open);
        }
        if rest == "new" {
            return Some(Self::New);
        }
        let (kind, value) = rest.split_once('/')?;
        let value = unescaped(value)?;
        match kind {
            "talk" => Address::from_str(&value).ok().map(|_| Self::Talk(value)),
            "conversation" => SpaceId::from_str(&value).ok().map(Self::Conversation),
            "link" => Some(Self::Link(value)),
            _ => None,
        }
    }
}

/// Without percent signs (RFC 3986, section 2.1); `None` if that is no text.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    text.chars().all(|c| !c.is_control()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_people_conversations_and_devices() {
        let talk = |address: &str| Some(Invite::Talk(address.to_owned()));
        assert_eq!(Invite::parse("rejoinder:talk/ada"), talk("ada"));
        assert_eq!(Invite::parse("rejoinder://talk/%2B491701234567/"), talk("+491701234567"));
        let id = SpaceId::from_bytes([7; 32]);
        let link = format!("REJOINDER:conversation/{id}");
        assert_eq!(Invite::parse(&link), Some(Invite::Conversation(id)));
        assert_eq!(Invite::parse("rejoinder:link/abc"), Some(Invite::Link("abc".to_owned())));
        assert_eq!(Invite::parse("rejoinder:new"), Some(Invite::New));
        assert_eq!(Invite::parse("rejoinder:"), Some(Invite::Open));
    }

    #[test]
    fn other_links_lead_nowhere() {
        let long = format!("rejoinder:talk/{}", "a".repeat(MAX_CHARS));
        for link in [
            "https://a.example",
            "rejoinder",
            "rejoinder:erase/all",
            "rejoinder:talk/",
            "rejoinder:talk/a%",
            "rejoinder:talk/%ff",
            "rejoinder:talk/ad%0aa",
            "rejoinder:conversation/x",
            &long,
        ] {
            assert_eq!(Invite::parse(link), None, "{link}");
        }
    }
}
