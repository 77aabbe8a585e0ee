//! Headers by which proxies say for whom they speak, nearest first.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// Names that are read of one request: nobody honest stands behind so many proxies.
const NAMES: usize = 16;

/// What `X-Forwarded-For` names; `None` for what is no address.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    nearest_first(headers, "x-forwarded-for", address)
}

/// What `Forwarded` names in its `for` (RFC 7239, section 5.2); `None` where it names none.
pub(super) fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    nearest_first(headers, "forwarded", |element| {
        element.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let is_for = name.trim().eq_ignore_ascii_case("for");
            if is_for { address(value.trim().trim_matches('"')) } else { None }
        })
    })
}

fn nearest_first(
    headers: &HeaderMap,
    name: &str,
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Vec<Option<IpAddr>> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    let lines = values.iter().rev().map(|value| value.to_str().unwrap_or_default());
    lines.flat_map(|line| line.rsplit(',')).take(NAMES).map(|one| read(one.trim())).collect()
}

/// An address, with or without a port and brackets.
fn address(written: &str) -> Option<IpAddr> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let alone = bare.unwrap_or(written).parse().ok();
    alone.or_else(|| written.parse::<SocketAddr>().ok().map(|address| address.ip()))
}
