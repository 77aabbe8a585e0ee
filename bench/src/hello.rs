//! A device that comes back to an account with many spaces, of which few changed: what that takes of
//! the relay's one thread.

use std::time::Instant;

use sync_protocol::codec::Blob;
use sync_protocol::frames::{Challenge, ClientFrame, Delivery, RelayFrame};
use sync_protocol::ids::RelayId;
use sync_server::log::Unkept;
use sync_server::relay::{Identity, Output, Relay, SessionId};
use sync_server::store::RedbStore;

use crate::author::{Author, push, space};
use crate::link::unbounded;
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median, ms};
use crate::{Outcome, failed};

/// Spaces that changed.
const CHANGED: usize = 3;
/// Pushes in one commit.
const TOGETHER: u64 = 256;
/// Where a sync costs nothing: it is shared by all who come in one commit, and no part of this.
const IN_MEMORY: &str = "/dev/shm";

/// The middle hello.
pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let count = scale.pick(200, 5_000, 20_000);
    let directory = match std::path::Path::new(IN_MEMORY).is_dir() {
        true => tempfile::tempdir_in(IN_MEMORY)?,
        false => tempfile::tempdir()?,
    };
    let mut desk = Desk::open(directory.path())?;
    let mut author = Author::new(1);
    desk.fill(&mut author, count)?;
    let mut times = Vec::new();
    for round in 0..scale.pick(2, 10, 20) {
        desk.change(&author, round)?;
        times.push(desk.come_back(&mut author)?);
    }
    let what = format!("a hello to {count} spaces, {CHANGED} of which changed");
    Ok(vec![Measure::new("hello", what, median(&times), "ms").toward(Target::AtMost(1.0))])
}

/// A relay, and time by hand.
struct Desk {
    relay: Relay<RedbStore, Unkept>,
    now_ms: u64,
    sessions: u64,
    /// The newest cursor that anybody was told.
    cursor: Option<Blob>,
}

impl Desk {
    fn open(directory: &std::path::Path) -> Outcome<Self> {
        let store = RedbStore::open(directory)?;
        let mut relay = Relay::alone(store, Unkept::default(), unbounded())?;
        relay.found(Identity { relay: RelayId::from_bytes([5; 32]), generation: 7 })?;
        Ok(Self { relay, now_ms: 1_000_000, sessions: 0, cursor: None })
    }

    fn send(&mut self, session: SessionId, frame: ClientFrame) {
        self.relay.receive(session, frame, self.now_ms);
    }

    /// All that a session hears.
    fn hear(&mut self, session: SessionId) -> Outcome<Vec<RelayFrame>> {
        let mut heard = Vec::new();
        loop {
            for output in self.relay.commit(self.now_ms) {
                match output {
                    Output::Send { session: to, frame } if to == session => {
                        let frame = RelayFrame::parse(&frame.whole())?;
                        if let RelayFrame::Delivery(Delivery::UpToDate { cursor, .. }) = &frame {
                            self.cursor = Some(cursor.clone());
                        }
                        heard.push(frame);
                    }
                    Output::Send { .. } => {}
                    Output::Close { reason, .. } => return Err(failed(reason)),
                }
            }
            if !self.relay.is_busy() {
                return Ok(heard);
            }
        }
    }

    fn dial(&mut self) -> Outcome<(SessionId, Challenge)> {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.relay.connect(session, [self.sessions as u8; 32], self.now_ms);
        match self.hear(session)?.pop() {
            Some(RelayFrame::Challenge(challenge)) => Ok((session, challenge)),
            other => Err(failed(format!("no challenge: {other:?}"))),
        }
    }

    fn enter(&mut self, author: &mut Author) -> Outcome<SessionId> {
        let (session, challenge) = self.dial()?;
        self.send(session, author.hello(&challenge));
        self.hear(session)?;
        Ok(session)
    }

    /// Seconds go by, in which what is noted is written down; and the session's device goes.
    fn leave(&mut self, session: SessionId) -> Outcome<()> {
        for _ in 0..10 {
            self.now_ms += 1_000;
            self.relay.tick(self.now_ms);
            self.hear(session)?;
        }
        self.relay.disconnect(session, self.now_ms);
        self.hear(session).map(drop)
    }

    /// The device has all that there is.
    fn has_all(&self, author: &mut Author) {
        if let Some(cursor) = &self.cursor {
            author.note(cursor.clone());
        }
    }

    fn fill(&mut self, author: &mut Author, count: u64) -> Outcome<()> {
        let session = self.enter(author)?;
        for number in 0..count {
            for frame in author.found(space(number), &[]) {
                self.send(session, frame);
            }
            if number % TOGETHER == 0 {
                self.hear(session)?;
            }
        }
        self.leave(session)?;
        self.has_all(author);
        // The list of spaces is read once after it changed.
        let session = self.enter(author)?;
        self.leave(session)?;
        self.has_all(author);
        Ok(())
    }

    /// Another store of the same device writes in a few spaces.
    fn change(&mut self, author: &Author, round: usize) -> Outcome<()> {
        for n in 0..CHANGED {
            let mut other = author.clone();
            (0..=round * CHANGED + n).for_each(|_| other.begin_anew());
            self.has_all(&mut other);
            let session = self.enter(&mut other)?;
            let number = (round * CHANGED + n) as u64;
            let word = other.content(space(number), 330);
            self.send(session, push(space(number), vec![word]));
            let heard = self.hear(session)?;
            if !heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))) {
                return Err(failed(format!("nothing was stored: {heard:?}")));
            }
            let newest = self.cursor.take();
            self.leave(session)?;
            // What others wrote the device has not read.
            self.cursor = newest;
        }
        Ok(())
    }

    /// Milliseconds from a hello to all that it leads to.
    fn come_back(&mut self, author: &mut Author) -> Outcome<f64> {
        let (session, challenge) = self.dial()?;
        let hello = author.hello(&challenge);
        let started = Instant::now();
        self.relay.receive(session, hello, self.now_ms);
        let outputs = self.relay.commit(self.now_ms);
        let took = ms(started.elapsed());
        let mut entries = 0;
        for output in outputs {
            let Output::Send { frame, .. } = output else { continue };
            match RelayFrame::parse(&frame.whole())? {
                RelayFrame::Delivery(Delivery::Entries(some)) => entries += some.entries.len(),
                RelayFrame::Delivery(Delivery::UpToDate { cursor, .. }) => {
                    self.cursor = Some(cursor);
                }
                _ => {}
            }
        }
        self.leave(session)?;
        self.has_all(author);
        match entries {
            CHANGED => Ok(took),
            other => Err(failed(format!("{other} entries came instead of {CHANGED}"))),
        }
    }
}
