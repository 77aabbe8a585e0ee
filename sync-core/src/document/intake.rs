//! Remote changes on their way in.

use std::collections::VecDeque;

use automerge::Change;
use sync_protocol::ids::WriterId;
use sync_protocol::sorted::SortedSet;

use super::births::born_by;
use super::check::{POSTED_AGAIN, check, check_author};
use super::decode::{Action, Decoded, Key, decode};
use super::grammar::Grammar;
use super::places::is_sign;
use super::{
    ChangeHash, Document, Name, Placement, Reason, Received, Refused, Row, Touched, actor, genesis,
    receipts,
};

enum Verdict {
    Known,
    Ready(Box<Change>),
    Lacks(ChangeHash),
    /// Refused, and with it all that its writer puts behind it.
    Bad(Reason),
    /// Refused without a say about its writer's other changes.
    Stray(Reason),
    /// Another writer's, perhaps an honest one's sent again: refused from this one alone.
    Foreign,
}

impl Document {
    /// Takes remote changes, each with its own verdict; nothing unsafe reaches Automerge. Local
    /// edits made so far become a change of their own, to be cut as usual.
    ///
    /// One writer's changes must come in the order of its link chain.
    pub fn receive(&mut self, rows: Vec<Row>) -> Received {
        self.close();
        let before = (self.history.len(), self.history.heads().clone());
        let known = self.history.len();
        let mut received = Received::default();
        let mut batch = Vec::with_capacity(rows.len());
        let mut queue: VecDeque<Row> = rows.into();
        while let Some(row) = queue.pop_front() {
            let released = self.take_in(row, &mut batch, &mut received);
            for row in released.into_iter().rev() {
                queue.push_front(row);
            }
        }
        received
            .waiting
            .retain(|hash| !self.history.contains(hash) && !self.blacklist.contains(hash));
        if !batch.is_empty() && self.doc.apply_changes(batch).is_err() {
            self.undo_batch(before, &mut received);
        }
        if self.grammar.is_none() {
            // Only now the document has what they name.
            self.tree().note_paths(&self.history, known, &mut received.touched);
        }
        received
    }

    /// Deals with one row; gives what waited for it.
    fn take_in(
        &mut self,
        mut row: Row,
        batch: &mut Vec<Change>,
        received: &mut Received,
    ) -> Vec<Row> {
        let decoded = match decode(&row.change) {
            Ok(decoded) => decoded,
            Err(reason) => {
                received.refused.push(Refused { writer: row.writer, hash: None, reason });
                return Vec::new();
            }
        };
        let given = row.writer;
        row.writer = self.judged_as(&row, &decoded);
        let (hash, seq) = (decoded.hash, decoded.seq);
        let reason = match self.verdict(&row, &decoded, &received.touched) {
            Verdict::Known => {
                received.known.push(hash);
                if let Some(placement) = row.placement {
                    received.touched.merge(self.place(&hash, placement));
                }
                return Vec::new();
            }
            Verdict::Ready(change) => {
                self.accept(&decoded, &row, &mut received.touched);
                batch.push(*change);
                received.accepted.push(hash);
                return self.waiting.release(&hash);
            }
            Verdict::Lacks(missing) if row.writer != given => {
                // A beginning waits in the room of whoever sent it, under a number of its own.
                let at = u64::from_be_bytes(hash[..8].try_into().unwrap_or_default()) | 1 << 63;
                row.writer = given;
                if self.waiting.admit(hash, at, missing, &row) {
                    received.waiting.push(hash);
                }
                return Vec::new();
            }
            Verdict::Lacks(missing) => {
                if self.waiting.admit(hash, seq, missing, &row) {
                    received.waiting.push(hash);
                } else {
                    // Which changes wait follows from the log before this one, so for all alike.
                    self.blacklist.bar(row.writer, seq);
                    self.blacklist.remember(row.writer, hash);
                    received.refuse(&row, hash, Reason::WaitingRoomFull);
                }
                return Vec::new();
            }
            Verdict::Foreign => {
                received.refuse(&row, hash, Reason::WrongActor);
                return Vec::new();
            }
            Verdict::Bad(reason) => {
                self.blacklist.bar(row.writer, seq);
                reason
            }
            Verdict::Stray(reason) => reason,
        };
        self.blacklist.remember(row.writer, hash);
        received.refuse(&row, hash, reason);
        self.waiting.release(&hash)
    }

    fn verdict(&mut self, row: &Row, decoded: &Decoded<'_>, touched: &Touched) -> Verdict {
        let actor = self.actor_of(&row.writer);
        if check_author(decoded, &actor).is_err() {
            return Verdict::Foreign;
        }
        if self.history.contains(&decoded.hash) {
            return Verdict::Known;
        }
        if let Some(guest) = self.waiting.row_mut(&decoded.hash) {
            guest.placement = guest.placement.or(row.placement);
            return Verdict::Known;
        }
        if matches!(self.name, Name::Unknown { .. }) {
            return Verdict::Stray(Reason::Grammar("a document of a newer version"));
        }
        let number = self.history.actor_number(actor.to_bytes());
        let taken =
            number.is_some_and(|number| self.history.hash_at(number, decoded.seq).is_some());
        if taken || self.waiting.at(&row.writer, decoded.seq).is_some() {
            return Verdict::Stray(Reason::WrongSeq);
        }
        if self.blacklist.bars(&row.writer, decoded.seq) {
            return Verdict::Bad(Reason::RefusedDependency);
        }
        if decoded.dependencies.iter().any(|hash| self.blacklist.contains(hash)) {
            return Verdict::Bad(Reason::RefusedDependency);
        }
        if let Some(missing) = decoded.dependencies.iter().find(|hash| !self.history.contains(hash))
        {
            return Verdict::Lacks(*missing);
        }
        self.ready_or_bad(row, decoded, touched)
    }

    fn ready_or_bad(&mut self, row: &Row, decoded: &Decoded<'_>, touched: &Touched) -> Verdict {
        if self.posts_again(decoded, touched) {
            return Verdict::Bad(POSTED_AGAIN);
        }
        self.fill_ops(!decoded.predecessors.is_empty());
        if let Err(reason) = check(decoded, &row.writer, &self.history, self.grammar.as_ref()) {
            return Verdict::Bad(reason);
        }
        if self.grammar == Some(Grammar::Receipts)
            && !receipts_advance(self.marks.get(&row.writer).copied(), decoded)
        {
            return Verdict::Bad(Reason::Grammar("a receipt that goes back"));
        }
        match Change::from_bytes(row.change.clone()) {
            Ok(change) => Verdict::Ready(Box::new(change)),
            Err(_) => Verdict::Bad(Reason::Malformed("unreadable to Automerge")),
        }
    }

    /// Whether a change posts a message that is there, or comes with the same batch. Its key is its
    /// writer's alone, and one writer's changes come in one order.
    fn posts_again(&self, decoded: &Decoded<'_>, touched: &Touched) -> bool {
        let Some(grammar) = self.grammar else { return false };
        decoded.ops.iter().any(|op| match op.key {
            Key::Name(name) if grammar.is_message(name) => {
                touched.keys.contains(name) || self.typed().has(name)
            }
            _ => false,
        })
    }

    fn accept(&mut self, decoded: &Decoded<'_>, row: &Row, touched: &mut Touched) {
        self.moved |= decoded.ops.iter().any(|op| is_sign(op.value));
        self.history.push(decoded, Some(row.writer), row.placement);
        self.bytes += row.change.len();
        note(self.grammar.is_some(), decoded, touched);
        if self.grammar == Some(Grammar::Receipts) {
            let marks = decoded.ops.iter().rev().find_map(|op| receipts::decode(op.value));
            self.marks.extend(marks.map(|marks| (row.writer, marks)));
        }
    }

    /// Gives changes that came with a snapshot their operations, as far as a check needs them.
    pub(super) fn fill_ops(&mut self, predecessors: bool) {
        if !self.history.lacks_ops() {
            return;
        }
        if let Some(grammar) = self.grammar
            && !predecessors
        {
            if let Ok(decoded) = decode(genesis::bytes(grammar)) {
                self.history.fill(&decoded);
            }
            return;
        }
        for change in self.doc.get_changes(&[]) {
            if let Ok(decoded) = decode(change.raw_bytes()) {
                self.history.fill(&decoded);
            }
        }
    }

    /// Automerge refuses nothing that passed the check; if a future one does, nothing of the batch
    /// may stay half known.
    fn undo_batch(&mut self, before: (usize, SortedSet<ChangeHash>), received: &mut Received) {
        let reason = Reason::Malformed("refused by Automerge");
        for hash in std::mem::take(&mut received.accepted) {
            if let Some(writer) = self.history.writer_of(&hash) {
                received.refused.push(Refused { writer, hash: Some(hash), reason });
            }
        }
        self.history.truncate(before.0, before.1);
        self.read_marks();
        received.touched = Touched { all: true, ..Touched::default() };
    }

    /// A change got its place at the relay; gives what to read again. The first place stays.
    pub fn place(&mut self, change: &ChangeHash, placement: Placement) -> Touched {
        let mut touched = Touched::default();
        let Some(known) = self.history.change_mut(change) else {
            if let Some(row) = self.waiting.row_mut(change) {
                row.placement = row.placement.or(Some(placement));
            }
            return touched;
        };
        if known.placement.is_some() {
            return touched;
        }
        known.placement = Some(placement);
        match self.history.keys_of(change) {
            Some(keys) if self.grammar.is_some() => touched.keys.extend(keys),
            _ => touched.all = true,
        }
        touched
    }

    /// Whom a change is to be judged as written by: nobody, if it is a beginning.
    pub(crate) fn judged_as(&mut self, row: &Row, decoded: &Decoded<'_>) -> WriterId {
        let author = decoded.actors.first().copied().unwrap_or_default();
        if !matches!(self.name, Name::App(..)) || self.actor_of(&row.writer).to_bytes() == author {
            return row.writer;
        }
        // It overwrites nothing and takes nothing away, but for one place that it converts.
        let may = decoded.predecessors.is_empty() || converts(decoded);
        let born = may.then(|| born_by(&row.change)).flatten();
        let is_its =
            |writer: &WriterId| actor(&self.space, &self.name, writer).to_bytes() == author;
        born.filter(is_its).unwrap_or(row.writer)
    }
}

/// Whether a change puts a value in one place, and does nothing else to what was there before.
fn converts(decoded: &Decoded<'_>) -> bool {
    decoded.ops.first().is_some_and(|first| {
        let puts = !matches!(first.action, Action::Delete | Action::Increment);
        puts && !first.insert && first.predecessors.len() == decoded.predecessors.len()
    })
}

fn receipts_advance(last: Option<receipts::Receipt>, decoded: &Decoded<'_>) -> bool {
    let mut last = last.unwrap_or_default();
    decoded.ops.iter().all(|op| {
        let next = receipts::decode(op.value).unwrap_or(last);
        let advances = next.follows(&last);
        last = next;
        advances
    })
}

/// Names what a change touched.
fn note(typed: bool, decoded: &Decoded<'_>, touched: &mut Touched) {
    touched.all |= !typed;
    if typed {
        touched.keys.extend(decoded.ops.iter().filter_map(|op| match op.key {
            super::decode::Key::Name(name) => Some(name.to_owned()),
            _ => None,
        }));
    }
}
