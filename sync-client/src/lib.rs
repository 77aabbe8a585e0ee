#![doc = include_str!("../README.md")]

mod client;
mod host;
mod proxy;
mod relay_url;
mod socket;
pub mod store;
mod tls;

pub use client::{
    Account, Change, Client, Contacts, Conversation, Conversations, Devices, Document, Events,
    IntoPath, Notice, OpenError, Options, Settings, Submitted,
};
pub use proxy::{BadProxy, Proxy};
pub use relay_url::{BadRelayUrl, RelayUrl, UrlFault};
pub use socket::ConnectError;
pub use store::StoreError;
#[cfg(feature = "sealed")]
pub use store::StoreKey;
pub use tls::TlsError;

// What calls take and give, so that an app needs no other crate of ours.
pub use sync_core::api::{
    Author, AwayView, BadEditId, ChangeView, Compared, Comparison, ConflictView, ContactCard,
    ContactChange, ConversationChange, ConversationView, DeviceView, Digest, DocumentDigest,
    DocumentView, DocumentsView, EditId, InviteView, Join, LastMessage, LinkEvent, Member,
    MemberView, MessageView, NewAccount, Origin, Problem, Progress, Question, Space, Status,
    Unreadable, Until, Vouched, Whose,
};
pub use sync_core::document::{AppOp, OpError, OpFault, OrderKey, Rank, Stamp, Step, Unit};
pub use sync_core::trust::Invalid;
pub use sync_core::{Command, Event, Failure, Response};
pub use sync_protocol::address::Address;
pub use sync_protocol::dormancy::Dormancy;
pub use sync_protocol::ids::RelayId;
pub use sync_protocol::roster::Role;
pub use sync_protocol::sorted::{SortedMap, SortedSet};
pub use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId, WriterId};

/// The repository's front page: what it shows in Rust is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
