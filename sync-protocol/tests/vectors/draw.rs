//! Frames drawn from a number: the same for the same number, every kind and every width of integer
//! sooner or later.

use sync_protocol::Rejection;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{
    Answer, Challenge, ClientFrame, Delivery, Entries, Entry, Hello, InboxItem, InboxPut,
    KeyPackages, MeetEvent, MeetStep, Notice, Op, Push, RelayFrame, Reply, Request, Run, Stored,
    Taken, Welcome, WelcomeFor, Welcomes,
};
use sync_protocol::ids::{AccountId, DeviceId, RelayId, RendezvousId, SpaceId, WriterId};

/// A source of values (SplitMix64).
pub(crate) struct Draw(pub(crate) u64);

/// Every frame of a device, by name.
pub(crate) const CLIENT: [&str; 23] = [
    "Hello",
    "Push",
    "Ack",
    "Signal",
    "Credit",
    "Request AppendLog",
    "Request ReadLog",
    "Request ClaimAddress",
    "Request Lookup",
    "Request PutKeyPackages",
    "Request TakeKeyPackages",
    "Request Fetch",
    "Request AckInbox",
    "Request PutInbox",
    "Request ReadTicket",
    "Request CountKeyPackages",
    "Request Spaces",
    "Request LastSeen",
    "Request DrawInvite",
    "Meet Open",
    "Meet Join",
    "Meet Say",
    "Meet Leave",
];

/// Every frame of a relay, by name.
pub(crate) const RELAY: [&str; 24] = [
    "Challenge",
    "Welcome",
    "Delivery Entries",
    "Delivery Inbox",
    "Delivery UpToDate",
    "Stored",
    "Refused",
    "Signal",
    "Goodbye",
    "Reply Done",
    "Reply Refused",
    "Reply Log",
    "Reply KeyPackages",
    "Reply Ticket",
    "Reply Count",
    "Notice LogChanged",
    "Notice KeyPackagesLow",
    "Notice Removed",
    "Reply Spaces",
    "Reply Seen",
    "Met Opened",
    "Met Joined",
    "Met Said",
    "Met Ended",
];

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number of any width.
    pub(crate) fn u64(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn fixed<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    fn blob(&mut self) -> Blob {
        let len = self.below(40);
        Blob((0..len).map(|_| self.next() as u8).collect())
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let len = self.below(4);
        (0..len).map(|_| make(self)).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 1).then(|| make(self))
    }

    fn account(&mut self) -> AccountId {
        AccountId::of_root_key(&self.fixed())
    }

    fn device(&mut self) -> DeviceId {
        DeviceId::of_signing_key(&self.fixed())
    }

    fn space(&mut self) -> SpaceId {
        SpaceId::from_bytes(self.fixed())
    }

    fn writer(&mut self) -> WriterId {
        WriterId { device: self.device(), incarnation: self.u64() }
    }

    fn address(&mut self) -> Address {
        let text = format!("ada.{}", self.below(1_000_000));
        text.parse().expect("a handle")
    }

    pub(crate) fn rejection(&mut self, nth: u64) -> Rejection {
        match nth % 16 {
            0 => Rejection::Behind { index: self.u64() },
            1 => Rejection::Quota,
            2 => Rejection::TooLarge { limit: self.u64() },
            3 => Rejection::Revoked,
            4 => Rejection::Unsupported { min: self.u32(), max: self.u32() },
            5 => Rejection::Rate { retry_ms: self.u64() },
            6 => Rejection::Gap { have: self.u64() },
            7 => Rejection::Equivocation,
            8 => Rejection::Denied,
            9 => Rejection::NotFound,
            10 => Rejection::Taken,
            11 => Rejection::Invalid,
            12 => Rejection::Fenced,
            13 => Rejection::Unavailable { retry_ms: self.u64() },
            14 => Rejection::Full { retry_ms: self.u64() },
            _ => Rejection::Ahead { head: self.u64() },
        }
    }

    pub(crate) fn challenge(&mut self) -> Challenge {
        Challenge {
            nonce: self.fixed(),
            relay: RelayId::from_bytes(self.fixed()),
            time_ms: self.u64(),
            min_version: self.u32(),
            max_version: self.u32(),
        }
    }

    pub(crate) fn hello(&mut self) -> Hello {
        Hello {
            version: self.u32(),
            account: self.account(),
            device: self.device(),
            incarnation: self.u64(),
            fence: self.u64(),
            next_fence: self.u64(),
            cursor: self.maybe(Self::blob),
            lagging: self.list(|draw| (draw.space(), draw.u64())),
            digest: self.blob(),
            log: self.list(Self::blob),
            foreground: self.maybe(Self::space),
            signature: Blob(self.fixed::<64>().to_vec()),
            fresh: self.below(2) == 1,
        }
    }

    fn welcome_for(&mut self) -> WelcomeFor {
        WelcomeFor { account: self.account(), device: self.device(), item: self.blob() }
    }

    fn welcomes(&mut self) -> Welcomes {
        Welcomes { common: self.blob(), items: self.list(Self::welcome_for) }
    }

    fn op(&mut self, nth: usize) -> Op {
        match nth {
            0 => Op::AppendLog {
                index: self.u64(),
                entry: self.blob(),
                rendezvous: self.maybe(Self::rendezvous),
            },
            1 => Op::ReadLog { account: self.account(), from: self.u64() },
            2 => Op::ClaimAddress { address: self.address() },
            3 => Op::Lookup { address: self.address() },
            4 => {
                let once = self.list(Self::blob);
                Op::PutKeyPackages(KeyPackages { once, last_resort: self.maybe(Self::blob) })
            }
            5 => Op::TakeKeyPackages { account: self.account() },
            6 => Op::Fetch { space: self.space(), from: self.u64(), to: self.u64() },
            7 => Op::AckInbox { number: self.u64() },
            8 => {
                let (account, device) = (self.account(), self.device());
                Op::PutInbox(InboxPut { account, device, item: self.blob() })
            }
            9 => Op::ReadTicket { space: self.space() },
            10 => Op::CountKeyPackages,
            11 => Op::Spaces,
            12 => Op::LastSeen,
            _ => Op::DrawInvite { hash: self.fixed() },
        }
    }

    /// The frame of [`CLIENT`] with this number.
    pub(crate) fn client_frame(&mut self, nth: usize) -> ClientFrame {
        match nth {
            0 => ClientFrame::Hello(self.hello()),
            1 => ClientFrame::Push(Push {
                space: self.space(),
                envelopes: self.list(Self::blob),
                welcomes: self.maybe(Self::welcomes),
                ticket: self.maybe(Self::blob),
            }),
            2 => ClientFrame::Ack { cursor: self.blob() },
            3 => ClientFrame::Signal { space: self.space(), envelope: self.blob() },
            4 => ClientFrame::Credit { bytes: self.u64() },
            19.. => ClientFrame::Meet { rendezvous: self.rendezvous(), step: self.step(nth - 19) },
            nth => ClientFrame::Request(Request { id: self.u64(), op: self.op(nth - 5) }),
        }
    }

    fn rendezvous(&mut self) -> RendezvousId {
        RendezvousId::from_bytes(self.fixed())
    }

    fn step(&mut self, nth: usize) -> MeetStep {
        match nth {
            0 => MeetStep::Open,
            1 => MeetStep::Join,
            2 => MeetStep::Say(self.blob()),
            _ => MeetStep::Leave,
        }
    }

    fn event(&mut self, nth: usize) -> MeetEvent {
        match nth {
            0 => MeetEvent::Opened,
            1 => MeetEvent::Joined,
            2 => MeetEvent::Said(self.blob()),
            _ => {
                let nth = self.next();
                MeetEvent::Ended(self.rejection(nth))
            }
        }
    }

    fn entries(&mut self) -> Entries {
        Entries {
            space: self.space(),
            generation: self.u64(),
            floor: self.u64(),
            head: self.u64(),
            checkpoint: self.maybe(|draw| Blob(draw.fixed::<32>().to_vec())),
            signed_by: (self.u32(), self.u64()),
            first: self.u64(),
            writers: self.list(Self::writer),
            entries: self.list(|draw| Entry {
                writer: draw.u32(),
                time_ms: draw.u64(),
                envelope: draw.blob(),
            }),
            cursor: self.maybe(Self::blob),
        }
    }

    fn item(&mut self) -> InboxItem {
        InboxItem {
            number: self.u64(),
            account: self.account(),
            device: self.device(),
            time_ms: self.u64(),
            space: self.maybe(Self::space),
            item: self.blob(),
            common: self.maybe(Self::blob),
        }
    }

    pub(crate) fn delivery(&mut self, nth: usize) -> Delivery {
        match nth {
            0 => Delivery::Entries(self.entries()),
            1 => Delivery::Inbox(self.list(Self::item)),
            _ => Delivery::UpToDate { cursor: self.blob(), time_ms: self.u64() },
        }
    }

    fn answer(&mut self, nth: usize) -> Answer {
        match nth {
            0 => Answer::Done,
            1 => {
                let nth = self.next();
                Answer::Refused(self.rejection(nth))
            }
            2 => {
                let (account, from) = (self.account(), self.u64());
                Answer::Log { account, from, entries: self.list(Self::blob) }
            }
            3 => Answer::KeyPackages(
                self.list(|draw| Taken { device: draw.device(), package: draw.blob() }),
            ),
            4 => Answer::Ticket { ticket: self.blob(), index: self.u64() },
            5 => Answer::Count(self.u64()),
            6 => Answer::Spaces(self.list(Self::space)),
            _ => Answer::Seen(self.list(|draw| (draw.device(), draw.u64()))),
        }
    }

    fn stored(&mut self) -> Stored {
        let (space, generation) = (self.space(), self.u64());
        let runs = self.list(|draw| Run {
            seq: draw.u64(),
            index: draw.u64(),
            count: draw.u64(),
            time_ms: draw.u64(),
        });
        Stored { space, generation, runs }
    }

    fn welcome(&mut self) -> Welcome {
        Welcome {
            time_ms: self.u64(),
            changed: self.u64(),
            from_start: self.below(2) == 1,
            log_len: self.u64(),
            key_packages: self.u64(),
            spaces_differ: self.below(2) == 1,
            away: self.maybe(|draw| draw.list(|draw| (draw.device(), draw.u64()))),
        }
    }

    /// The frame of [`RELAY`] with this number.
    pub(crate) fn relay_frame(&mut self, nth: usize) -> RelayFrame {
        match nth {
            0 => RelayFrame::Challenge(self.challenge()),
            1 => RelayFrame::Welcome(self.welcome()),
            2..=4 => RelayFrame::Delivery(self.delivery(nth - 2)),
            5 => RelayFrame::Stored(self.stored()),
            6 => {
                let (space, seq, nth) = (self.space(), self.u64(), self.next());
                RelayFrame::Refused { space, seq, reason: self.rejection(nth) }
            }
            7 => {
                let (space, writer) = (self.space(), self.writer());
                RelayFrame::Signal { space, writer, envelope: self.blob() }
            }
            8 => {
                let nth = self.next();
                RelayFrame::Goodbye { reason: self.rejection(nth) }
            }
            9..=14 => {
                let id = self.u64();
                RelayFrame::Reply(Reply { id, answer: self.answer(nth - 9) })
            }
            15 => {
                RelayFrame::Notice(Notice::LogChanged { account: self.account(), len: self.u64() })
            }
            16 => RelayFrame::Notice(Notice::KeyPackagesLow { left: self.u64() }),
            17 => RelayFrame::Notice(Notice::Removed { space: self.space() }),
            18 | 19 => {
                let id = self.u64();
                RelayFrame::Reply(Reply { id, answer: self.answer(nth - 12) })
            }
            nth => RelayFrame::Met { rendezvous: self.rendezvous(), event: self.event(nth - 20) },
        }
    }
}
