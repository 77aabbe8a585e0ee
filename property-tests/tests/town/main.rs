//! Stories told step by step in a town: real engines around the real relay rules.

#![allow(clippy::unwrap_used, clippy::panic)]

mod deleted_documents;
mod devices;
mod documents_over_eras;
mod dormant;
mod ended_devices;
mod entrances;
mod history;
mod invites;
mod large;
mod limits;
mod links;
mod live_documents;
mod lodging;
mod names;
mod own_documents;
mod pages;
mod presence;
mod repeated;
mod restored;
mod rights;
mod smoke;
mod support;
mod typed_edits;
mod unread;
mod waiting_edits;
