//! Many people at one relay, without and with some who do to it, and to them, all that costs others:
//! how long an honest push takes until it is stored, and that those who flood can be put out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{
    Answer, ClientFrame, InboxPut, KeyPackages, Op, Push, RelayFrame, Request, WelcomeFor, Welcomes,
};
use sync_protocol::ids::{EpochId, SpaceId};
use sync_protocol::roster::RosterChange;
use tokio::task::JoinSet;

use crate::author::{Author, push, space};
use crate::link::{Link as _, Wire, open};
use crate::process::Server;
use crate::report::{Measure, Target};
use crate::rounds::{Scale, ms, quantile};
use crate::{Outcome, failed};

/// People in one conversation.
const CIRCLE: usize = 10;
/// Accounts of one who floods, all in one conversation with honest people.
const ACCOUNTS: usize = 10;
/// Bytes of a message's payload.
const PAYLOAD: usize = 330;
/// How often one of the accounts that flood does something.
const FLOOD: Duration = Duration::from_millis(20);
/// Spaces of those who flood have numbers from here on.
const THEIRS: u64 = 1 << 40;

/// The slowest hundredth, without and with them; and how long it takes to put them out.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let (people, flooders) = scale.pick((20, 1), (300, 3), (1_000, 10));
    let every = Duration::from_millis(scale.pick(200, 1_000, 5_000));
    let lasts = Duration::from_secs(scale.pick(1, 8, 30));
    let mut town = Town::gather(people, flooders).await?;
    let calm = town.talk(every, lasts).await?;
    let flood = town.flood()?;
    let flooded = town.talk(every, lasts).await?;
    town.still_invite().await?;
    let out = town.put_out().await?;
    let did = flood.end().await?;
    let [calm, flooded] = [calm, flooded].map(|times| quantile(&times, 0.99));
    let who = format!("{people} people, {} accounts that flood", flooders * ACCOUNTS);
    Ok(vec![
        Measure::new("flood", format!("{who}: p99 until stored"), flooded, "ms")
            .beside("the same without them", calm)
            .toward(Target::RatioAtMost(3.0)),
        Measure::new("flood", "all that flood are out of a conversation within", out, "s")
            .toward(Target::AtMost(10.0)),
        Measure::new("flood", "what they did meanwhile", did as f64, "frames"),
    ])
}

/// Somebody honest, in one conversation.
struct Person {
    wire: Wire,
    author: Author,
    space: SpaceId,
    cursor: u64,
}

struct Town {
    people: Vec<Person>,
    /// Accounts that flood, by the conversation that they are in.
    rogues: Vec<(usize, Author)>,
    relay: Server,
    _directory: tempfile::TempDir,
}

/// A flood that goes on until it is told to end.
struct Flood {
    ends: Arc<AtomicBool>,
    did: Arc<AtomicU64>,
    tasks: JoinSet<Outcome<()>>,
}

impl Flood {
    /// Ends it; how much was done.
    async fn end(mut self) -> Outcome<u64> {
        self.ends.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        Ok(self.did.load(Ordering::Relaxed))
    }
}

impl Town {
    /// People in their conversations, the first of which have others in them who will flood.
    async fn gather(people: usize, flooders: usize) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let relay = Server::limited(directory.path())?;
        let circles = people / CIRCLE;
        let mut town =
            Self { people: Vec::new(), rogues: Vec::new(), relay, _directory: directory };
        for n in 0..flooders * ACCOUNTS {
            let mut author = Author::new(THEIRS + n as u64);
            let mut wire = Wire::open(town.relay.address, None).await?;
            open(&mut wire, &mut author).await?;
            town.rogues.push((n / ACCOUNTS % circles, author));
        }
        for circle in 0..circles {
            town.circle(circle).await?;
        }
        Ok(town)
    }

    async fn circle(&mut self, circle: usize) -> Outcome<()> {
        let id = space(circle as u64);
        let mut members = Vec::new();
        for n in 0..CIRCLE {
            let mut author = Author::new((circle * CIRCLE + n) as u64);
            let mut wire = Wire::open(self.relay.address, None).await?;
            open(&mut wire, &mut author).await?;
            let once = (0..20).map(|n| Blob(vec![n; 300])).collect();
            let packages = KeyPackages { once, last_resort: Some(Blob(vec![99; 300])) };
            ask(&mut wire, Op::PutKeyPackages(packages)).await?;
            members.push(Person { wire, author, space: id, cursor: 2 });
        }
        let rogues = self.rogues.iter().filter(|(of, _)| *of == circle).map(|(_, rogue)| rogue);
        let others = members.iter().skip(1).map(|person| &person.author).chain(rogues);
        let others: Vec<Author> = others.cloned().collect();
        let others: Vec<&Author> = others.iter().collect();
        let first = members.first_mut().ok_or_else(|| failed("nobody"))?;
        crate::link::found(&mut first.wire, &mut first.author, id, &others).await?;
        self.people.extend(members);
        Ok(())
    }

    /// Everybody writes now and then; how long each push took, in milliseconds.
    async fn talk(&mut self, every: Duration, lasts: Duration) -> Outcome<Vec<f64>> {
        let until = Instant::now() + lasts;
        let mut tasks = JoinSet::new();
        let count = self.people.len() as u32;
        for (n, mut person) in (0u32..).zip(std::mem::take(&mut self.people)) {
            tasks.spawn(async move {
                // Not all at once.
                tokio::time::sleep(every * n / count).await;
                let mut times = Vec::new();
                while Instant::now() < until {
                    let started = Instant::now();
                    person.write().await?;
                    times.push(ms(started.elapsed()));
                    tokio::time::sleep(every.saturating_sub(started.elapsed())).await;
                }
                Ok::<_, crate::Failure>((n, person, times))
            });
        }
        let mut back = Vec::new();
        let mut all = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (n, person, times) = done??;
            all.extend(times);
            back.push((n, person));
        }
        back.sort_by_key(|(n, _)| *n);
        self.people = back.into_iter().map(|(_, person)| person).collect();
        Ok(all)
    }

    fn flood(&self) -> Outcome<Flood> {
        let (ends, did) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        let targets: Vec<Author> = self.people.iter().map(|person| person.author.clone()).collect();
        let targets = Arc::new(targets);
        for (n, (circle, author)) in (0u64..).zip(self.rogues.clone()) {
            let rogue = Rogue {
                address: self.relay.address,
                author,
                space: space(circle as u64),
                targets: Arc::clone(&targets),
                cursor: 2,
                founded: 0,
                number: THEIRS + n,
            };
            let (ends, did) = (Arc::clone(&ends), Arc::clone(&did));
            tasks.spawn(rogue.flood(ends, did));
        }
        Ok(Flood { ends, did, tasks })
    }

    /// An honest account, meanwhile, puts an honest one into a new conversation: key packages,
    /// inboxes and quotas are there for them.
    async fn still_invite(&mut self) -> Outcome<()> {
        let count = self.people.len();
        for n in [0, CIRCLE, count - 1] {
            let whom = self.people.get((n + count / 2) % count).map(|other| other.author.clone());
            let whom = whom.ok_or_else(|| failed("nobody"))?;
            let person = self.people.get_mut(n).ok_or_else(|| failed("nobody"))?;
            match ask(&mut person.wire, Op::TakeKeyPackages { account: whom.account }).await? {
                Answer::KeyPackages(taken) if !taken.is_empty() => {}
                other => return Err(failed(format!("no key package: {other:?}"))),
            }
            let number = (THEIRS >> 1) + n as u64;
            for frame in invite(&mut person.author, number, &whom) {
                person.wire.send(frame).await?;
                crate::link::stored(&mut person.wire).await?;
            }
        }
        Ok(())
    }

    /// The founder of a conversation removes all who flood it; seconds.
    async fn put_out(&mut self) -> Outcome<f64> {
        let gone = self.rogues.iter().filter(|(circle, _)| *circle == 0);
        let gone: Vec<_> =
            gone.map(|(_, rogue)| RosterChange::Remove { account: rogue.account }).collect();
        let founder = self.people.first_mut().ok_or_else(|| failed("nobody"))?;
        let started = Instant::now();
        loop {
            let parent = (EpochId::from_bytes([6; 32]), 2);
            let out = founder.author.handshake(founder.space, parent, founder.cursor, gone.clone());
            founder.wire.send(push(founder.space, vec![out])).await?;
            if founder.is_stored().await? {
                return Ok(started.elapsed().as_secs_f64());
            }
        }
    }
}

impl Person {
    /// Writes once, as often as it takes.
    async fn write(&mut self) -> Outcome<()> {
        let chain = self.author.next();
        loop {
            let envelope = self.author.sealed(self.space, chain, self.cursor, PAYLOAD);
            self.wire.send(push(self.space, vec![envelope])).await?;
            if self.is_stored().await? {
                return Ok(());
            }
        }
    }

    /// Whether the last push was stored; if it was behind, it is known how far by then.
    async fn is_stored(&mut self) -> Outcome<bool> {
        loop {
            match self.wire.next().await? {
                RelayFrame::Stored(_) => return Ok(true),
                RelayFrame::Refused { reason: Rejection::Behind { index }, .. } => {
                    self.cursor = index + 1;
                    return Ok(false);
                }
                RelayFrame::Refused { reason, .. } | RelayFrame::Goodbye { reason } => {
                    return Err(failed(format!("somebody honest is refused: {reason}")));
                }
                RelayFrame::Delivery(delivery) => {
                    let bytes = delivery.cost();
                    self.wire.send(ClientFrame::Credit { bytes }).await?;
                }
                _ => {}
            }
        }
    }
}

/// An account that does all that costs others, one thing after the other.
struct Rogue {
    address: SocketAddr,
    author: Author,
    space: SpaceId,
    targets: Arc<Vec<Author>>,
    cursor: u64,
    founded: u64,
    number: u64,
}

impl Rogue {
    async fn flood(mut self, ends: Arc<AtomicBool>, did: Arc<AtomicU64>) -> Outcome<()> {
        let mut clock = tokio::time::interval(FLOOD);
        let mut wire = None;
        let mut n = self.number;
        while !ends.load(Ordering::Relaxed) {
            clock.tick().await;
            n += 1;
            // A relay may close its socket, or refuse it: it comes again.
            let mut at = match wire.take() {
                Some(at) => at,
                None => match self.enter().await {
                    Ok(at) => at,
                    Err(_) => continue,
                },
            };
            if self.act(&mut at, n).await.is_ok() {
                did.fetch_add(1, Ordering::Relaxed);
                // Every so often as a new store.
                wire = (!n.is_multiple_of(50)).then_some(at);
            }
        }
        Ok(())
    }

    async fn enter(&mut self) -> Outcome<Wire> {
        let mut wire = Wire::open(self.address, None).await?;
        self.author.begin_anew();
        open(&mut wire, &mut self.author).await?;
        Ok(wire)
    }

    /// One of all kinds, and what the relay says.
    async fn act(&mut self, wire: &mut Wire, n: u64) -> Outcome<()> {
        let whom = n as usize * 7 % self.targets.len();
        let whom = self.targets.get(whom).ok_or_else(|| failed("nobody"))?.clone();
        let account = whom.account;
        match n % 6 {
            0 | 1 => {
                let parent = (EpochId::from_bytes([6; 32]), 2);
                let garbage = self.author.handshake(self.space, parent, self.cursor, Vec::new());
                wire.send(push(self.space, vec![garbage])).await?;
            }
            2 => {
                let mut envelope = self.author.content(self.space, PAYLOAD);
                if let Some(last) = envelope.0.last_mut() {
                    *last ^= 1;
                }
                wire.send(push(self.space, vec![envelope])).await?;
            }
            3 => wire.send(request(n, Op::TakeKeyPackages { account })).await?,
            4 => {
                let item = Blob(vec![7; 4 * 1024]);
                let put = InboxPut { account, device: whom.device(), item };
                wire.send(request(n, Op::PutInbox(put))).await?;
            }
            _ => {
                self.founded += 1;
                let number = self.number * (1 << 10) + self.founded;
                for frame in invite(&mut self.author, number, &whom) {
                    wire.send(frame).await?;
                }
            }
        }
        loop {
            match wire.next().await? {
                RelayFrame::Reply(_) => return Ok(()),
                RelayFrame::Stored(stored) if stored.space == self.space => {
                    let ends = stored.runs.iter().map(|run| run.index + run.count);
                    self.cursor = ends.max().unwrap_or(self.cursor);
                    return Ok(());
                }
                RelayFrame::Stored(_) => return Ok(()),
                RelayFrame::Refused { reason, .. } => {
                    if let Rejection::Behind { index } = reason {
                        self.cursor = index + 1;
                    }
                    return Ok(());
                }
                RelayFrame::Goodbye { reason } => return Err(failed(reason)),
                RelayFrame::Delivery(delivery) => {
                    let bytes = delivery.cost();
                    wire.send(ClientFrame::Credit { bytes }).await?;
                }
                _ => {}
            }
        }
    }
}

/// A new conversation with somebody in it, and their way in.
pub(crate) fn invite(by: &mut Author, number: u64, whom: &Author) -> Vec<ClientFrame> {
    let id = space(number);
    let mut frames = by.found(id, &[whom]);
    if let Some(ClientFrame::Push(Push { welcomes, .. })) = frames.last_mut() {
        let item =
            WelcomeFor { account: whom.account, device: whom.device(), item: Blob(vec![5; 300]) };
        *welcomes = Some(Welcomes { common: Blob(vec![6; 4_000]), items: vec![item] });
    }
    frames
}

fn request(id: u64, op: Op) -> ClientFrame {
    ClientFrame::Request(Request { id, op })
}

async fn ask(wire: &mut Wire, op: Op) -> Outcome<Answer> {
    wire.send(request(1, op)).await?;
    loop {
        match wire.next().await? {
            RelayFrame::Reply(reply) => return Ok(reply.answer),
            RelayFrame::Goodbye { reason } => return Err(failed(reason)),
            _ => {}
        }
    }
}
