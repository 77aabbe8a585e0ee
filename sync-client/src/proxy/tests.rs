#![allow(clippy::unwrap_used)]
use super::*;

fn found(proxy: &Proxy, url: &str, set: &[(&str, &str)]) -> Result<Option<String>, BadProxy> {
    let variable = |name: &str| {
        set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let hop = hop_as_set(proxy, &url.parse().unwrap(), variable)?;
    Ok(hop.map(|Hop(hop)| hop.uri().authority().unwrap().to_string()))
}

fn by_environment(url: &str, set: &[(&str, &str)]) -> Option<String> {
    found(&Proxy::Environment, url, set).unwrap()
}

#[test]
fn the_environment_names_the_proxy() {
    let set = [("HTTP_PROXY", "http://plain:1"), ("https_proxy", "sealed:2")];
    assert_eq!(by_environment("ws://relay.example", &set).as_deref(), Some("plain:1"));
    assert_eq!(by_environment("wss://relay.example", &set).as_deref(), Some("sealed:2"));
    let set = [("ALL_PROXY", "socks5h://all:3"), ("HTTPS_PROXY", " ")];
    assert_eq!(by_environment("ws://relay.example", &set).as_deref(), Some("all:3"));
    assert_eq!(by_environment("wss://[2001:db8::1]:5", &set).as_deref(), Some("all:3"));
    assert_eq!(by_environment("wss://relay.example", &[]), None);
}

#[test]
fn some_hosts_are_reached_without_the_proxy() {
    let set = |no: &'static str| [("ALL_PROXY", "http://p:1"), ("NO_PROXY", no)];
    for (url, no, is_direct) in [
        ("wss://relay.example", "relay.example", true),
        ("wss://eu.relay.example", ".relay.example, x.org", true),
        ("wss://notrelay.example", "relay.example", false),
        ("ws://10.1.2.3:80", "10.0.0.0/8", true),
        ("wss://relay.example", "*", true),
        ("ws://localhost:8787", "", true),
        ("ws://127.0.0.1:8787", "", true),
        ("ws://[::1]:8787", "", true),
        ("ws://192.168.0.1:8787", "", false),
    ] {
        assert_eq!(by_environment(url, &set(no)).is_none(), is_direct, "{url} {no}");
    }
    let set = [("ALL_PROXY", "http://p:1")];
    assert_eq!(found(&Proxy::Direct, "wss://relay.example", &set), Ok(None));
}

#[test]
fn a_proxy_that_cannot_be_used_is_not_passed_over() {
    for value in ["https://p:1", "ftp://p:1", "socks4://p:1", "http://", "p p"] {
        let set = [("ALL_PROXY", value)];
        let bad = found(&Proxy::Environment, "wss://relay.example", &set).unwrap_err();
        assert_eq!(bad.name, "ALL_PROXY", "{value}");
        assert!(found(&Proxy::At(value.to_owned()), "wss://relay.example", &[]).is_err());
    }
    let secret = Proxy::At("https://ada:secret@p:1".to_owned());
    let bad = found(&secret, "wss://relay.example", &[]).unwrap_err();
    assert!(!bad.to_string().contains("secret"), "{bad}");
}

#[test]
fn what_a_proxy_answers_is_told_in_our_words() {
    let judged = |head: &str| judge(head.as_bytes());
    assert_eq!(judged("HTTP/1.1 200 Connection established\r\n\r\n"), Ok(()));
    assert_eq!(judged("HTTP/1.0 200 \r\nVia: x\r\n\r\n"), Ok(()));
    assert!(judged("HTTP/1.1 407 \u{1b}[2J\r\n\r\n").unwrap_err().contains("name:password@"));
    let refused = judged("HTTP/1.1 403 \u{1b}[2Jgo away\r\n\r\n").unwrap_err();
    assert_eq!(refused, "it refuses: 403 Forbidden");
    for strange in ["", "220 mail ready\r\n", "HTTP/2 200\r\n", "HTTP/1.1 2000 OK\r\n"] {
        assert_eq!(judged(strange), Err("what answers there is no proxy".to_owned()), "{strange}");
    }
}
