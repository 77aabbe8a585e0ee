//! Honest people: each writes now and then into a conversation, and waits until it is stored.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, RelayFrame};
use sync_protocol::ids::SpaceId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::author::{Author, push, space};
use crate::link::{Link as _, Wire, found, open};
use crate::load::{Options, address};
use crate::rounds::ms;
use crate::{Outcome, failed};

/// Who comes side by side at the start.
const SIDE_BY_SIDE: usize = 32;

/// Somebody, in one conversation.
struct Person {
    wire: Wire,
    author: Author,
    space: SpaceId,
    cursor: u64,
    every: Duration,
}

/// What came of some time of talk.
#[derive(Debug, Default)]
pub(super) struct Talked {
    /// Milliseconds until each message was stored.
    pub(super) times: Vec<f64>,
    /// Messages of theirs that were refused.
    pub(super) refused: u64,
}

/// All people.
pub(super) struct Town {
    people: Vec<Person>,
    targets: Arc<Vec<Author>>,
}

impl Town {
    /// People in their conversations.
    pub(super) async fn gather(relay: SocketAddr, options: &Options) -> Outcome<Self> {
        let circles = options.people / options.circle;
        let (mut people, mut coming) = (Vec::new(), JoinSet::new());
        for circle in 0..circles {
            if coming.len() >= SIDE_BY_SIDE {
                let come: Option<Result<Outcome<Vec<Person>>, _>> = coming.join_next().await;
                people.extend(come.ok_or_else(|| failed("nobody comes"))???);
            }
            coming.spawn(gather(relay, circle, options.clone()));
        }
        while let Some(come) = coming.join_next().await {
            people.extend(come??);
        }
        let targets = people.iter().map(|person| person.author.clone()).collect();
        Ok(Self { people, targets: Arc::new(targets) })
    }

    /// Whom others can invite and write to.
    pub(super) fn targets(&self) -> Arc<Vec<Author>> {
        Arc::clone(&self.targets)
    }

    /// Everybody talks for a while.
    pub(super) async fn talk(&mut self, options: &Options) -> Outcome<Talked> {
        let until = Instant::now() + Duration::from_secs(options.seconds);
        let count = self.people.len();
        let mut tasks = JoinSet::new();
        for (n, person) in std::mem::take(&mut self.people).into_iter().enumerate() {
            // Not all at once.
            let late = person.every.mul_f64(n as f64 / count as f64);
            tasks.spawn(person.talk(late, until, options.payload));
        }
        let mut all = Talked::default();
        while let Some(done) = tasks.join_next().await {
            let (person, talked) = done??;
            all.times.extend(talked.times);
            all.refused += talked.refused;
            self.people.push(person);
        }
        Ok(all)
    }
}

/// One conversation.
async fn gather(relay: SocketAddr, circle: usize, options: Options) -> Outcome<Vec<Person>> {
    let id = space(circle as u64);
    let mut people = Vec::with_capacity(options.circle);
    for n in 0..options.circle {
        let number = circle * options.circle + n;
        let mut author = Author::new(number as u64);
        let mut wire = Wire::open_from(address(1, number), relay).await?;
        open(&mut wire, &mut author).await?;
        people.push(Person { wire, author, space: id, cursor: 2, every: every(number, &options) });
    }
    let others: Vec<Author> = people.iter().skip(1).map(|one| one.author.clone()).collect();
    let others: Vec<&Author> = others.iter().collect();
    let first = people.first_mut().ok_or_else(|| failed("nobody"))?;
    found(&mut first.wire, &mut first.author, id, &others).await?;
    Ok(people)
}

/// How often somebody writes.
fn every(number: usize, options: &Options) -> Duration {
    let weight = |rank: usize| ((rank + 1) as f64).powf(-options.skew);
    let mean = (0..options.people).map(weight).sum::<f64>() / options.people as f64;
    Duration::from_millis(options.every_ms).mul_f64(mean / weight(number))
}

impl Person {
    async fn talk(
        mut self,
        late: Duration,
        until: Instant,
        payload: usize,
    ) -> Outcome<(Self, Talked)> {
        let mut talked = Talked::default();
        let mut due = Instant::now() + late;
        while due < until {
            // What others say is taken in meanwhile.
            while let Ok(frame) = tokio::time::timeout_at(due, self.wire.next()).await {
                self.take(&frame?).await?;
            }
            let started = Instant::now();
            talked.refused += self.write(payload).await?;
            talked.times.push(ms(started.elapsed()));
            due = (due + self.every).max(Instant::now());
        }
        Ok((self, talked))
    }

    /// Writes once, as often as it takes; how often it was refused.
    async fn write(&mut self, payload: usize) -> Outcome<u64> {
        let chain = self.author.next();
        let mut refused = 0;
        loop {
            let envelope = self.author.sealed(self.space, chain, self.cursor, payload);
            self.wire.send(push(self.space, vec![envelope])).await?;
            match self.answer().await? {
                None => return Ok(refused),
                Some(Rejection::Behind { index }) => self.cursor = index + 1,
                Some(Rejection::Rate { retry_ms } | Rejection::Unavailable { retry_ms }) => {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(retry_ms.min(1_000))).await;
                }
                Some(reason) => {
                    return Err(failed(format!("somebody honest is refused: {reason}")));
                }
            }
        }
    }

    /// Why the last push was not stored; `None` if it was.
    async fn answer(&mut self) -> Outcome<Option<Rejection>> {
        loop {
            match self.wire.next().await? {
                RelayFrame::Stored(_) => return Ok(None),
                RelayFrame::Refused { reason, .. } => return Ok(Some(reason)),
                RelayFrame::Goodbye { reason } => {
                    return Err(failed(format!("somebody honest is sent away: {reason}")));
                }
                other => self.take(&other).await?,
            }
        }
    }

    async fn take(&mut self, frame: &RelayFrame) -> Outcome<()> {
        if let RelayFrame::Delivery(delivery) = frame {
            let bytes = delivery.cost();
            self.wire.send(ClientFrame::Credit { bytes }).await?;
        }
        Ok(())
    }
}
