//! Those who attack: each kind does one thing, as often as it is let, and comes again when it is sent
//! away.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::ValueEnum;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{ClientFrame, InboxPut, MeetStep, Op, Push, RelayFrame, Request};
use sync_protocol::ids::{RendezvousId, SpaceId};
use sync_protocol::limits;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::author::{Author, push, space};
use crate::flood::invite;
use crate::link::{Link as _, Wire, connect_from, found, open, stored};
use crate::load::{Options, address};
use crate::{Outcome, failed};

/// Accounts and spaces of those who attack have numbers from here on.
const THEIRS: u64 = 1 << 40;
/// What is sent before answers are looked at.
const AT_ONCE: u64 = 64;
/// How long answers are waited for then.
const LOOK: Duration = Duration::from_millis(2);
/// How much everybody else goes before those who attack.
const NICE: i32 = 10;
/// Between two tries to come in.
const AGAIN: Duration = Duration::from_millis(10);

/// One kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Attack {
    /// Sockets that say nothing.
    Silent,
    /// Heads of requests, a byte now and then.
    Heads,
    /// Requests whose answers are not read.
    Requests,
    /// Rendezvous that nobody comes to.
    Rendezvous,
    /// Questions before a hello.
    Lookups,
    /// New accounts.
    SignUps,
    /// As many bytes as go.
    Pushes,
    /// As many signatures as go.
    Signatures,
    /// Handshakes that are refused, with all that may come along.
    Refused,
    /// Small answers that are not read.
    Deaf,
    /// Devices that come back and back.
    Hellos,
    /// Short questions with long answers.
    Questions,
    /// Everything read from its start, again and again.
    Readers,
    /// Others put into conversations.
    Invitations,
    /// Others' inboxes.
    Inboxes,
    /// Small frames that nobody answers.
    Frames,
    /// Signals.
    Signals,
    /// Pings.
    Pings,
}

impl Attack {
    /// All kinds.
    pub(super) const ALL: [Self; 18] = [
        Self::Silent,
        Self::Heads,
        Self::Requests,
        Self::Rendezvous,
        Self::Lookups,
        Self::SignUps,
        Self::Pushes,
        Self::Signatures,
        Self::Refused,
        Self::Deaf,
        Self::Hellos,
        Self::Questions,
        Self::Readers,
        Self::Invitations,
        Self::Inboxes,
        Self::Frames,
        Self::Signals,
        Self::Pings,
    ];

    /// As it is called on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// An attack that goes on until it is told to end.
pub(super) struct Flood {
    ends: Arc<AtomicBool>,
    did: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Flood {
    /// Ends it; how much was done.
    pub(super) fn end(self) -> Outcome<u64> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| failed("an attacker panicked"))?;
        Ok(self.did.load(Ordering::Relaxed))
    }
}

/// Begins an attack on a thread of its own, so that it takes no more of this machine than that.
pub(super) fn begin(
    attack: Attack,
    relay: SocketAddr,
    options: &Options,
    targets: Arc<Vec<Author>>,
) -> Outcome<Flood> {
    let (ends, did) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut all = Vec::new();
    for attacker in 0..options.attackers {
        for account in 0..options.accounts {
            for socket in 0..options.sockets {
                let kind = attack as u64;
                let number = (attacker * options.accounts + account) as u64;
                let number = THEIRS + kind * (1 << 20) + number;
                all.push(Attacker {
                    attack,
                    relay,
                    from: address(2 + kind as u8, attacker),
                    number,
                    store: socket as u64,
                    did: Arc::clone(&did),
                    targets: Arc::clone(&targets),
                });
            }
        }
    }
    let stop = Arc::clone(&ends);
    let thread = std::thread::Builder::new().name("attack".to_owned()).spawn(move || {
        // Of this thread alone: who attacks has machines of its own, and here takes what is left.
        let _ = rustix::process::setpriority_process(None, NICE);
        runtime.block_on(async move {
            let mut tasks = JoinSet::new();
            all.into_iter().for_each(|attacker| {
                tasks.spawn(attacker.go_on());
            });
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(AGAIN).await;
            }
        });
    })?;
    Ok(Flood { ends, did, thread })
}

/// One socket of one account.
struct Attacker {
    attack: Attack,
    relay: SocketAddr,
    from: Ipv4Addr,
    number: u64,
    store: u64,
    did: Arc<AtomicU64>,
    targets: Arc<Vec<Author>>,
}

impl Attacker {
    async fn go_on(self) {
        let mut author = Author::new(self.number);
        (0..self.store).for_each(|_| author.begin_anew());
        for round in 0.. {
            // Whatever ends it, it comes again.
            let _ = self.once(&mut author, round).await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn count(&self, done: u64) {
        self.did.fetch_add(done, Ordering::Relaxed);
    }

    /// A space of this account's own.
    fn own(&self) -> SpaceId {
        space(self.number)
    }

    async fn enter(&self, author: &mut Author) -> Outcome<Wire> {
        let mut wire = self.dial().await?;
        open(&mut wire, author).await?;
        Ok(wire)
    }

    async fn dial(&self) -> Outcome<Wire> {
        Wire::open_from(self.from, self.relay).await
    }

    async fn connect(&self) -> Outcome<TcpStream> {
        connect_from(self.from, self.relay).await
    }

    async fn once(&self, author: &mut Author, round: u64) -> Outcome<()> {
        match self.attack {
            Attack::Silent => {
                let mut wire = self.dial().await?;
                self.count(1);
                loop {
                    wire.next().await?;
                }
            }
            Attack::Heads => {
                let mut stream = self.connect().await?;
                self.count(1);
                for byte in b"GET / HTTP/1.1\r\nHost: relay\r\nX: ".iter().cycle() {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Ok(())
            }
            Attack::Requests => {
                let mut stream = self.connect().await?;
                let asks = b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n".repeat(16);
                loop {
                    stream.write_all(&asks).await?;
                    self.count(16);
                }
            }
            Attack::Rendezvous => {
                let mut wire = self.dial().await?;
                let mut id = [0; 16];
                id[..8].copy_from_slice(&(self.number + (self.store << 50)).to_be_bytes());
                id[8..].copy_from_slice(&round.to_be_bytes());
                let rendezvous = RendezvousId::from_bytes(id);
                wire.send(ClientFrame::Meet { rendezvous, step: MeetStep::Open }).await?;
                self.count(1);
                loop {
                    wire.next().await?;
                }
            }
            Attack::Lookups => {
                let mut wire = self.dial().await?;
                let whom = self.whom(round)?;
                for id in 0..8 {
                    wire.send(request(id, Op::ReadLog { account: whom.account, from: 0 })).await?;
                    self.count(1);
                }
                self.look(&mut wire).await
            }
            Attack::SignUps => {
                let number = self.number + (round << 44) + (self.store << 30);
                self.enter(&mut Author::new(number)).await?;
                self.count(1);
                Ok(())
            }
            Attack::Hellos => {
                self.enter(author).await?;
                self.count(1);
                Ok(())
            }
            Attack::Deaf => {
                let mut wire = self.enter(author).await?;
                for id in 0.. {
                    wire.send(request(id, Op::CountKeyPackages)).await?;
                    self.count(1);
                }
                Ok(())
            }
            Attack::Pings => {
                let mut wire = self.dial().await?;
                loop {
                    wire.ping().await?;
                    self.count(1);
                }
            }
            Attack::Pushes
            | Attack::Signatures
            | Attack::Refused
            | Attack::Questions
            | Attack::Readers
            | Attack::Invitations
            | Attack::Inboxes
            | Attack::Frames
            | Attack::Signals => {
                let wire = self.enter(author).await?;
                self.flood(wire, author).await
            }
        }
    }

    fn whom(&self, n: u64) -> Outcome<&Author> {
        let place = (self.number + self.store + n) as usize * 7 % self.targets.len().max(1);
        self.targets.get(place).ok_or_else(|| failed("nobody"))
    }

    /// Sends frames as fast as they are taken.
    async fn flood(&self, mut wire: Wire, author: &mut Author) -> Outcome<()> {
        let own = self.own();
        if self.store == 0 {
            // It may be there already.
            let _ = found(&mut wire, author, own, &[]).await;
        }
        let prepared = match self.attack {
            Attack::Pushes => Some(push(own, vec![author.content(own, 200_000)])),
            Attack::Signatures => {
                let all = (0..limits::PUSH_ENVELOPES).map(|_| author.content(own, 16)).collect();
                Some(push(own, all))
            }
            Attack::Refused => Some(refused(author, own)),
            Attack::Readers => {
                let large = push(own, vec![author.content(own, 250_000)]);
                wire.send(large).await?;
                let _ = stored(&mut wire).await;
                Some(request(1, Op::Fetch { space: own, from: 0, to: u64::MAX }))
            }
            Attack::Frames => Some(ClientFrame::Credit { bytes: 1 }),
            _ => None,
        };
        for n in 0u64.. {
            let frames = match &prepared {
                Some(frame) => vec![frame.clone()],
                None => self.frames(author, n)?,
            };
            self.count(frames.len() as u64);
            for frame in frames {
                wire.send(frame).await?;
            }
            if n % AT_ONCE == 0 {
                self.look(&mut wire).await?;
            }
        }
        Ok(())
    }

    /// What is made anew each time.
    fn frames(&self, author: &mut Author, n: u64) -> Outcome<Vec<ClientFrame>> {
        let whom = self.whom(n)?;
        let (account, device) = (whom.account, whom.device());
        Ok(match self.attack {
            Attack::Questions => vec![match n % 4 {
                0 => request(n, Op::Spaces),
                1 => request(n, Op::LastSeen),
                2 => request(n, Op::ReadLog { account, from: 0 }),
                _ => request(n, Op::TakeKeyPackages { account }),
            }],
            Attack::Invitations => {
                let number = self.number * (1 << 12) + (self.store << 10) + n % (1 << 10);
                invite(author, number, whom)
            }
            Attack::Inboxes => {
                let item = Blob(vec![7; 4 * 1024]);
                vec![request(n, Op::PutInbox(InboxPut { account, device, item }))]
            }
            _ => {
                let (space, envelope) = (self.own(), author.signal(self.own()));
                vec![ClientFrame::Signal { space, envelope }]
            }
        })
    }

    /// Takes in what has come.
    async fn look(&self, wire: &mut Wire) -> Outcome<()> {
        while let Ok(frame) = tokio::time::timeout(LOOK, wire.next()).await {
            if let RelayFrame::Delivery(delivery) = frame? {
                wire.send(ClientFrame::Credit { bytes: delivery.cost() }).await?;
            }
        }
        Ok(())
    }
}

/// A handshake that has not read enough, with a ticket of the largest size.
fn refused(author: &mut Author, own: SpaceId) -> ClientFrame {
    let parent = (sync_protocol::ids::EpochId::from_bytes([6; 32]), 1);
    let late = author.handshake(own, parent, 0, Vec::new());
    let ticket = Some(Blob(vec![7; limits::TICKET]));
    ClientFrame::Push(Push { space: own, envelopes: vec![late], welcomes: None, ticket })
}

fn request(id: u64, op: Op) -> ClientFrame {
    ClientFrame::Request(Request { id, op })
}
