//! What an operator asks of a running relay: over a Unix socket that is the operator's alone, one
//! line of JSON each way. `sync-server admin` is its client.

mod answers;
mod client;
mod invites;
mod socket;

use std::path::PathBuf;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

pub use self::answers::{Answers, Control};
pub use self::client::{ask, text};
pub use self::socket::{AdminError, listen};

/// The socket's file inside the data directory, where the configuration names no other.
pub const SOCKET: &str = "relay.redb.admin";
/// Bytes of a question or an answer.
const LINE: usize = 16 * 1024 * 1024;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// How much is stored, who is connected, what was refused: numbers only.
    Stats,
    /// Whether it serves, and how old the last sign of life is.
    Health,
    /// Who is connected.
    Sessions,
    /// An account.
    #[command(subcommand)]
    Account(AccountAsk),
    /// A space: a conversation, or the documents of an account.
    #[command(subcommand)]
    Space(SpaceAsk),
    /// An address.
    #[command(subcommand)]
    Address(AddressAsk),
    /// Tokens that let new accounts in.
    #[command(subcommand)]
    Token(TokenAsk),
    /// Invites, each of which lets one new account in.
    #[command(subcommand, visible_alias = "invites")]
    Invite(InviteAsk),
    /// Makes a verified backup while the relay goes on.
    Backup {
        /// The directory for it, as the relay sees it.
        #[arg(long)]
        to: PathBuf,
        /// How many backups stay there: the newest.
        #[arg(long, default_value_t = 7)]
        keep: usize,
    },
    /// Takes no new connections, says goodbye to all and stops.
    Drain,
    /// Reads certificates, limits and the log level anew.
    Reload,
    /// Logs more or less from now on: `info`, `debug`, `sync_server=trace`.
    LogLevel {
        /// The level, or levels by module.
        level: String,
    },
}

/// What can be asked about an account. It is named by its id or by an address.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountAsk {
    /// Its devices, addresses, spaces and sessions.
    Show {
        /// Its id, or an address of it.
        account: String,
    },
    /// Keeps it out until it is resumed. What it stored stays.
    Suspend {
        /// Its id, or an address of it.
        account: String,
    },
    /// Lets it in again.
    Resume {
        /// Its id, or an address of it.
        account: String,
    },
    /// Deletes it for good: its devices, addresses, own documents and the spaces that it is alone in.
    Delete {
        /// Its id, or an address of it.
        account: String,
    },
}

/// What can be asked about a space.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceAsk {
    /// Its members and size.
    Show {
        /// Its id.
        space: String,
    },
    /// Deletes it for good, for all its members. What their devices hold stays there.
    Delete {
        /// Its id.
        space: String,
    },
}

/// What can be asked about an address.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressAsk {
    /// Takes it away from whoever has it: it may be claimed anew.
    Release {
        /// The address.
        address: String,
    },
}

/// What can be asked about tokens.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAsk {
    /// Makes a token and prints it: once, as the relay keeps its hash alone.
    Add {
        /// How many accounts it lets in.
        #[arg(long, default_value_t = 1)]
        uses: u64,
        /// For how many days it is good; 0 for ever.
        #[arg(long, default_value_t = 7)]
        days: u64,
        /// What it is for, to be shown in the list.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Lists tokens by short names.
    List,
    /// Makes a token worthless.
    Remove {
        /// Its name in the list.
        name: String,
    },
}

/// What can be asked about invites.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InviteAsk {
    /// Draws an invite and prints its code: once, as the relay keeps its hash alone.
    Draw {
        /// For how many days it is good.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=365))]
        days: u64,
    },
    /// Lists invites by short names, with who drew them and whom they let in.
    List {
        /// Those of one account: its id, or an address of it.
        #[arg(long)]
        by: Option<String>,
    },
    /// Makes an invite worthless, or all that an account drew.
    Withdraw {
        /// Its name in the list.
        #[arg(required_unless_present = "by", conflicts_with = "by")]
        name: Option<String>,
        /// All of one account: its id, or an address of it.
        #[arg(long)]
        by: Option<String>,
    },
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The answer.
    Ok(serde_json::Value),
    /// Why there is none.
    Error(String),
}
