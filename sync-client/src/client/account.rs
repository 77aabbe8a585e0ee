//! The account, its devices, the people it knows and its settings.

use serde_json::Value;
use sync_core::api::{Comparison, ContactCard, DeviceView, InviteView, Join, Member, NewAccount};
use sync_core::{Command, Failure};
use sync_protocol::ids::RelayId;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId};

use super::Client;
use super::ask::parsed;

/// The account on this device. Methods fail as [`Failure`] says.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a>(pub(super) &'a Client);

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl Account<'_> {
    /// Founds an account on this device, which has none. Whoever types `address` reaches it. Write
    /// down the recovery code that it gives: nobody else has it.
    pub async fn create(self, address: &str, name: &str) -> Result<NewAccount, Failure> {
        let (address, name) = (parsed(address)?, name.to_owned());
        self.0.ask(Command::CreateAccount { address, name }).await
    }

    /// Brings an account back with its recovery code, on this device, which has none; all its other
    /// devices end. Gives the code that takes the used one's place. `device` is what this one is
    /// called. Needs a connection.
    pub async fn recover(
        self,
        address: &str,
        code: &str,
        device: &str,
    ) -> Result<NewAccount, Failure> {
        let (address, code, name) = (parsed(address)?, code.to_owned(), device.to_owned());
        self.0.ask(Command::RecoverAccount { address, code, name }).await
    }

    /// Draws a new recovery code; the one before counts no more. On the primary, connected.
    pub async fn new_recovery_code(self) -> Result<String, Failure> {
        self.0.ask(Command::NewRecoveryCode).await
    }

    /// Draws an invite, by which one new account is let in at a relay that wants that (`denied` at
    /// another, `quota` for more than 8 a day). Connected. Whoever gets its code opens the client with
    /// it behind the relay's address: `wss://relay.example.org?token=…`.
    pub async fn invite(self) -> Result<InviteView, Failure> {
        self.0.ask(Command::DrawInvite).await
    }

    /// Changes what the person is called, on all devices and for everybody they talk with.
    pub async fn set_name(self, name: &str) -> Result<(), Failure> {
        self.0.ask(Command::SetName { name: name.to_owned() }).await
    }

    /// Trusts another relay than the account was at, as `Problem::OtherRelay` named it.
    pub async fn accept_relay(self, relay: RelayId) -> Result<(), Failure> {
        self.0.ask(Command::AcceptRelay { relay }).await
    }
}

/// The account's devices.
///
/// Linking takes a device on either side. The new one calls [`offer`](Self::offer) and shows what it
/// gives; the primary calls [`accept`](Self::accept) with that. The new one hears whose account it
/// would join ([`LinkEvent`](sync_core::api::LinkEvent)), and goes on by [`join`](Self::join); it then
/// hears a code, with which the primary calls [`confirm`](Self::confirm). Until then nothing is
/// changed on either.
#[derive(Clone, Copy, Debug)]
pub struct Devices<'a>(pub(super) &'a Client);

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl Devices<'_> {
    /// All devices of the account, also those that ended: the primary first.
    pub async fn list(self) -> Result<Vec<DeviceView>, Failure> {
        self.0.ask(Command::ListDevices).await
    }

    /// Offers this device, which has no account, to be linked under a name; gives what the primary
    /// scans, as text.
    pub async fn offer(self, name: &str, join: Join) -> Result<String, Failure> {
        self.0.ask(Command::OfferDevice { name: name.to_owned(), join }).await
    }

    /// Says, on the new device, that the account which it was invited to is the person's.
    pub async fn join(self, account: AccountId) -> Result<(), Failure> {
        self.0.ask(Command::JoinAccount { account }).await
    }

    /// Takes what a new device offers, with what was written before (`history`) or without; gives
    /// the name that it asks for. On the primary.
    pub async fn accept(self, offer: &str, history: bool) -> Result<String, Failure> {
        self.0.ask(Command::AcceptDevice { offer: offer.to_owned(), history }).await
    }

    /// Links the new device that shows this code of seven digits; a wrong one ends the link. On the
    /// primary.
    pub async fn confirm(self, code: &str) -> Result<DeviceId, Failure> {
        self.0.ask(Command::ConfirmDevice { code: code.to_owned() }).await
    }

    /// Withdraws an offer, or cancels a link that is under way.
    pub async fn cancel(self) -> Result<(), Failure> {
        self.0.ask(Command::CancelLink).await
    }

    /// Ends a device: the primary any but itself, every device itself, which empties its store.
    pub async fn revoke(self, device: DeviceId) -> Result<(), Failure> {
        self.0.ask(Command::RevokeDevice { device }).await
    }

    /// Makes another device the primary. On the primary.
    pub async fn make_primary(self, device: DeviceId) -> Result<(), Failure> {
        self.0.ask(Command::MakePrimary { device }).await
    }
}

/// People, by account or by address.
#[derive(Clone, Copy, Debug)]
pub struct Contacts<'a>(pub(super) &'a Client);

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl Contacts<'_> {
    /// Who is behind an address. Needs a connection, if it is not known here.
    pub async fn lookup(self, address: &str) -> Result<ContactCard, Failure> {
        self.0.ask(Command::LookupContact { address: parsed(address)? }).await
    }

    /// Somebody as this device knows them, with the safety number to be compared.
    pub async fn show(self, member: impl Into<Member>) -> Result<ContactCard, Failure> {
        self.0.ask(Command::ShowContact { member: member.into() }).await
    }

    /// Compares what somebody's other device shows ([`ContactCard::shown`]) with their account; a
    /// match is remembered on all own devices.
    pub async fn compare(self, account: AccountId, shown: &str) -> Result<Comparison, Failure> {
        self.0.ask(Command::CompareContact { account, shown: shown.to_owned() }).await
    }

    /// Notes that a safety number was compared by eye; `None` takes that back.
    pub async fn verify(
        self,
        account: AccountId,
        safety_number: Option<&str>,
    ) -> Result<(), Failure> {
        let safety_number = safety_number.map(str::to_owned);
        self.0.ask(Command::VerifyContact { account, safety_number }).await
    }

    /// Accepts that an address leads to another account than it did.
    pub async fn accept_address(self, address: &str, account: AccountId) -> Result<(), Failure> {
        self.0.ask(Command::AcceptAddress { address: parsed(address)?, account }).await
    }

    /// Shows nothing more of somebody, or shows them again.
    pub async fn set_blocked(
        self,
        member: impl Into<Member>,
        blocked: bool,
    ) -> Result<(), Failure> {
        self.0.ask(Command::SetBlocked { member: member.into(), blocked }).await
    }
}

/// What the account keeps for itself, on all its devices: JSON values by key.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a>(pub(super) &'a Client);

#[expect(clippy::missing_errors_doc, reason = "all fail as `Failure` says")]
impl Settings<'_> {
    /// One setting; `Null` if there is none.
    pub async fn get(self, key: &str) -> Result<Value, Failure> {
        self.0.ask(Command::Setting { key: key.to_owned() }).await
    }

    /// Changes one; `Null` takes it away.
    pub async fn set(self, key: &str, value: impl Into<Value>) -> Result<(), Failure> {
        self.0.ask(Command::SetSetting { key: key.to_owned(), value: value.into() }).await
    }

    /// All of them.
    pub async fn all(self) -> Result<SortedMap<String, Value>, Failure> {
        self.0.ask(Command::Settings).await
    }
}
