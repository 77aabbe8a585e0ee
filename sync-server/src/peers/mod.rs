//! Who is at the other end of a connection, as far as the network can tell, and how many
//! connections it may have: what bounds those who have not said who they are.
//!
//! A [`Peer`] is what one person or household can have: an IPv4 address, or an IPv6 network of 64
//! bits. Behind a proxy it is what the proxy says, if that proxy is named in the configuration
//! ([`Proxies`]); nobody else is believed.

mod forwarded;
mod network;
mod pace;
mod peer;
mod places;
mod preface;
mod proxies;
mod recent;

pub use network::{Network, NetworkError};
pub(crate) use pace::Pace;
pub use peer::{Peer, Prefix};
pub(crate) use places::{Place, Places, Turned};
pub(crate) use preface::read_preface;
pub use proxies::{Proxies, Proxy, Says};
pub(crate) use recent::Recent;
