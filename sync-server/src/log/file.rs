//! The log of a relay that is alone: two files in turn.
//!
//! Commands that wait are written as one frame, with one sync for all. Once the store has written down
//! what they did, the log goes on in the other file, and this one is emptied. What a crash left of the last
//! frame is cut off when the log is opened: nothing of it was acknowledged. A frame that is followed by
//! others was synced: if it does not fit, the log is broken, and says where.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::path::Path;

use super::frames::{Chain, FRAME_HEAD, FrameHead, HEAD, Head, LogId, MOST, aligned};
use super::{Disk, FileDisk, Log};
use crate::rules::{Command, Position};
use crate::store::{StoreError, private};

/// The log's files inside the data directory.
pub const LOG_FILES: [&str; 2] = ["commands-a.log", "commands-b.log"];
/// Zeros are written ahead by so many bytes, so that a sync need not note a new length.
const AHEAD: u64 = 1024 * 1024;
/// What was applied is written down when the log has grown by so much.
const CHECKPOINT: u64 = 4 * 1024 * 1024;
/// Commands that wait for a sync are synced before they are more bytes.
const WAITING: usize = MOST / 4;

type Disks = [Box<dyn Disk>; 2];

/// A log in two files.
#[derive(Debug)]
pub struct FileLog {
    disks: Disks,
    /// Which one is written.
    active: usize,
    id: LogId,
    /// The position of the next command.
    next: Position,
    /// Where the next frame begins.
    end: u64,
    /// To where zeros were written ahead.
    ahead: u64,
    chain: Chain,
    /// Commands that were not synced yet, as they will be written.
    waiting: Vec<u8>,
    /// How many, and the position of the first.
    counted: (u32, Position),
    /// Commands that were not taken back yet.
    ordered: VecDeque<(Position, Command)>,
    /// Where commands of before the start are read from still.
    tail: u64,
}

/// What is in a file at its beginning.
enum Kind {
    Empty,
    Good(Head),
    Bad,
}

impl FileLog {
    /// Opens the log in a directory, or begins one there.
    ///
    /// # Errors
    /// As [`on`](Self::on), or what the system says.
    pub fn open(
        directory: &Path,
        known: Option<LogId>,
        applied: Position,
        new: LogId,
    ) -> Result<Self, StoreError> {
        let [a, b] = LOG_FILES.map(|name| open_file(&directory.join(name)));
        let log = Self::on([Box::new(a?), Box::new(b?)], known, applied, new)?;
        let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| StoreError::from_io(&error))?;
        Ok(log)
    }

    /// Opens the log on two files, for a store that has applied its commands up to a position and knows
    /// the log by a name, if it knows one; or begins it under a `new` one.
    ///
    /// # Errors
    /// If the log is broken, lacks what the store has applied, or is another store's.
    pub fn on(
        disks: Disks,
        known: Option<LogId>,
        applied: Position,
        new: LogId,
    ) -> Result<Self, StoreError> {
        Self::find(disks, known, applied, Some(new))
    }

    /// Finds the log. Without a name for a `new` one it is only read, as far as it goes.
    fn find(
        disks: Disks,
        known: Option<LogId>,
        applied: Position,
        new: Option<LogId>,
    ) -> Result<Self, StoreError> {
        let mut newest: Option<(usize, Head)> = None;
        for (place, disk) in disks.iter().enumerate() {
            match kind(disk.as_ref())? {
                Kind::Empty => {}
                Kind::Bad if new.is_none() => {}
                Kind::Bad => return Err(broken(place, 0, applied.next())),
                Kind::Good(head) => {
                    if newest.is_none_or(|(_, other)| head.first > other.first) {
                        newest = Some((place, head));
                    }
                }
            }
        }
        let (active, head) = match (newest, known, new) {
            (Some((place, head)), known, _) => {
                let is_its_own = known.is_none_or(|known| known == head.id);
                if !is_its_own || head.first > applied.next() {
                    return Err(StoreError::LogForeign);
                }
                (place, head)
            }
            (None, None, Some(id)) => {
                let head = Head { id, first: applied.next(), chain: [0; 16] };
                begin(disks[0].as_ref(), head)?;
                (0, head)
            }
            (None, ..) => return Err(StoreError::LogForeign),
        };
        let mut log = Self {
            disks,
            active,
            id: head.id,
            next: head.first,
            end: HEAD as u64,
            ahead: 0,
            chain: head.chain,
            waiting: Vec::new(),
            counted: (0, head.first),
            ordered: VecDeque::new(),
            tail: HEAD as u64,
        };
        log.find_end(applied, new.is_some())?;
        Ok(log)
    }

    /// Opens the log that a store knows, to be read up to where it is broken, if it is; nothing of it is
    /// changed.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn up_to_break(
        directory: &Path,
        known: LogId,
        applied: Position,
    ) -> Result<Self, StoreError> {
        let disk = |name| {
            let file = std::fs::File::open(directory.join(name)).map(FileDisk::new);
            file.map(|disk| Box::new(disk) as Box<dyn Disk>).map_err(io)
        };
        let [a, b] = LOG_FILES;
        Self::find([disk(a)?, disk(b)?], Some(known), applied, None)
    }

    /// The log's name.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.id
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// Commands that a store lacks which has applied all up to a position.
    #[must_use]
    pub fn behind(&self, applied: Position) -> u64 {
        (self.next.0 - 1).saturating_sub(applied.0)
    }

    fn disk(&self) -> &dyn Disk {
        self.disks[self.active].as_ref()
    }

    /// Reads all frames, and cuts off what a crash left of one that was never synced.
    fn find_end(&mut self, applied: Position, is_whole: bool) -> Result<(), StoreError> {
        let len = self.disk().len().map_err(io)?;
        while let Some((head, _)) = self.frame(self.end, len)? {
            if head.first != self.next || head.before != self.chain {
                break;
            }
            let end = head.end(self.end);
            if Position(head.first.0 + u64::from(head.count)) <= applied.next() {
                self.tail = end;
            }
            self.next = Position(head.first.0 + u64::from(head.count));
            self.chain = head.own;
            self.end = end;
        }
        self.counted = (0, self.next);
        self.ahead = self.end;
        if !is_whole {
            return Ok(());
        }
        let mut offset = self.end;
        while offset < len {
            // What is synced after it shows that it was synced, too.
            if let Some((head, _)) = self.frame(offset, len)?
                && head.first >= self.next
            {
                return Err(broken(self.active, self.end, self.next));
            }
            offset += HEAD as u64;
        }
        if self.next <= applied {
            return Err(broken(self.active, self.end, self.next));
        }
        if len > self.end {
            self.disk().set_len(self.end).map_err(io)?;
            self.disk().sync().map_err(io)?;
        }
        Ok(())
    }

    /// The frame at a place, if one is there that fits its hash.
    fn frame(&self, offset: u64, len: u64) -> Result<Option<(FrameHead, Vec<u8>)>, StoreError> {
        let start = offset + FRAME_HEAD as u64;
        if start > len {
            return Ok(None);
        }
        let mut bytes = [0; FRAME_HEAD];
        self.disk().read(offset, &mut bytes).map_err(io)?;
        let Some(head) = FrameHead::parse(&bytes) else { return Ok(None) };
        let size = head.len as usize;
        // Its place in the order is likely before its commands are read.
        let is_likely = head.count > 0 && size >= head.count as usize && size <= MOST;
        let is_near = head.first.0.abs_diff(self.next.0) <= u64::from(u32::MAX);
        if !is_likely || !is_near || start + u64::from(head.len) > len {
            return Ok(None);
        }
        let mut commands = vec![0; size];
        self.disk().read(start, &mut commands).map_err(io)?;
        Ok(head.fits(&self.id, &commands).then_some((head, commands)))
    }

    /// Takes in the next frame of before the start.
    fn read_tail(&mut self) -> Result<(), StoreError> {
        let Some((head, commands)) = self.frame(self.tail, self.end)? else {
            return Err(broken(self.active, self.tail, self.next));
        };
        let mut rest = commands.as_slice();
        for n in 0..u64::from(head.count) {
            let position = Position(head.first.0 + n);
            let command = take_command(&mut rest);
            let command = command.ok_or_else(|| broken(self.active, self.tail, position))?;
            self.ordered.push_back((position, command));
        }
        self.tail = head.end(self.tail);
        Ok(())
    }

    /// Room for a frame, with zeros ahead of it.
    fn make_room(&mut self, end: u64) -> Result<(), StoreError> {
        if end > self.ahead {
            let from = self.ahead.max(self.end);
            let zeros = vec![0; usize::try_from(end + AHEAD - from).unwrap_or_default()];
            self.disk().write(from, &zeros).map_err(io)?;
            self.ahead = end + AHEAD;
        }
        Ok(())
    }
}

impl Log for FileLog {
    fn append(&mut self, command: Command) -> Result<(), StoreError> {
        let position = self.next;
        let bytes = sync_protocol::codec::encode(&command);
        let len = u32::try_from(bytes.len()).ok().filter(|len| (*len as usize) < WAITING);
        let len = len.ok_or_else(|| StoreError::Io("a command is too large".to_owned()))?;
        self.waiting.extend_from_slice(&len.to_be_bytes());
        self.waiting.extend_from_slice(&bytes);
        self.counted.0 += 1;
        self.next = position.next();
        self.ordered.push_back((position, command));
        if self.waiting.len() >= WAITING {
            self.sync()?;
        }
        Ok(())
    }

    fn next(&mut self, after: Position) -> Result<Option<(Position, Command)>, StoreError> {
        loop {
            match self.ordered.pop_front() {
                Some((position, command)) if position == after.next() => {
                    return Ok(Some((position, command)));
                }
                // It was applied before the last start.
                Some((position, _)) if position <= after => {}
                Some((position, _)) => return Err(broken(self.active, self.tail, position)),
                None if self.tail < self.end && after.next() < self.counted.1 => {
                    self.read_tail()?
                }
                None => return Ok(None),
            }
        }
    }

    fn sync(&mut self) -> Result<bool, StoreError> {
        let (count, first) = self.counted;
        if count == 0 {
            return Ok(false);
        }
        let commands = std::mem::take(&mut self.waiting);
        let head = FrameHead::of(&self.id, (first, count), self.chain, &commands);
        let head = head.ok_or_else(|| StoreError::Io("a batch is too large".to_owned()))?;
        let end = head.end(self.end);
        self.make_room(end)?;
        let mut frame = Vec::with_capacity(FRAME_HEAD + commands.len());
        frame.extend_from_slice(&head.to_bytes());
        frame.extend_from_slice(&commands);
        self.disk().write(self.end, &frame).map_err(io)?;
        self.disk().sync().map_err(io)?;
        if self.tail == self.end {
            self.tail = end;
        }
        self.end = end;
        self.chain = head.own;
        self.counted = (0, self.next);
        self.waiting = commands;
        self.waiting.clear();
        Ok(true)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn wants_checkpoint(&self) -> bool {
        self.end > CHECKPOINT
    }

    fn trim(&mut self, upto: Position) -> Result<(), StoreError> {
        if self.end <= HEAD as u64 || upto.next() != self.next || self.counted.0 > 0 {
            return Ok(());
        }
        let other = 1 - self.active;
        begin(
            self.disks[other].as_ref(),
            Head { id: self.id, first: self.next, chain: self.chain },
        )?;
        // What people deleted is not kept where nobody needs it any more.
        self.disk().set_len(0).map_err(io)?;
        self.active = other;
        (self.end, self.tail, self.ahead) = (HEAD as u64, HEAD as u64, HEAD as u64);
        Ok(())
    }
}

/// Begins a file anew. Until its head is there, it is none.
fn begin(disk: &dyn Disk, head: Head) -> Result<(), StoreError> {
    disk.set_len(0).map_err(io)?;
    disk.sync().map_err(io)?;
    disk.write(0, &head.to_bytes()).map_err(io)?;
    disk.sync().map_err(io)
}

fn kind(disk: &dyn Disk) -> Result<Kind, StoreError> {
    let len = disk.len().map_err(io)?;
    if len < HEAD as u64 {
        return Ok(Kind::Empty);
    }
    let mut bytes = [0; HEAD];
    disk.read(0, &mut bytes).map_err(io)?;
    Ok(match Head::parse(&bytes) {
        Some(head) => Kind::Good(head),
        // A crash before it was synced: nothing was written behind it yet.
        None if len == HEAD as u64 => Kind::Empty,
        None => Kind::Bad,
    })
}

fn take_command(rest: &mut &[u8]) -> Option<Command> {
    let (len, behind) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (bytes, behind) = behind.split_at_checked(len)?;
    *rest = behind;
    sync_protocol::codec::decode("command", bytes).ok()
}

fn open_file(path: &Path) -> Result<FileDisk, StoreError> {
    let failed = |error: std::io::Error| StoreError::Unwritable {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    if path.exists() {
        private::close_file(path).map_err(failed)?;
    } else {
        private::make_own_file(path).map_err(failed)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    Ok(FileDisk::new(file))
}

fn broken(place: usize, offset: u64, position: Position) -> StoreError {
    let file = LOG_FILES.get(place).copied().unwrap_or_default();
    StoreError::LogBroken { file, offset: aligned(offset), position: position.0 }
}

fn io(error: std::io::Error) -> StoreError {
    StoreError::from_io(&error)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::rules::Action;
    use sync_protocol::ids::AccountId;

    const ID: LogId = [7; 16];

    #[derive(Clone, Debug, Default)]
    struct MemoryDisk(Arc<Mutex<Vec<u8>>>);

    impl Disk for MemoryDisk {
        fn len(&self) -> std::io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
            let bytes = self.0.lock().unwrap();
            out.copy_from_slice(&bytes[offset as usize..offset as usize + out.len()]);
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            let (mut bytes, end) = (self.0.lock().unwrap(), offset as usize + data.len());
            let len = bytes.len().max(end);
            bytes.resize(len, 0);
            bytes[offset as usize..end].copy_from_slice(data);
            Ok(())
        }

        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.0.lock().unwrap().resize(len as usize, 0);
            Ok(())
        }

        fn sync(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn command(n: u64) -> Command {
        let account = AccountId::from_bytes([n as u8; 33]);
        Command::new(n, Action::CountStored { account, bytes: n })
    }

    fn open(
        disks: &[MemoryDisk; 2],
        known: Option<LogId>,
        applied: u64,
    ) -> Result<FileLog, StoreError> {
        let disks = disks.clone().map(|disk| Box::new(disk) as Box<dyn Disk>);
        FileLog::on(disks, known, Position(applied), ID)
    }

    /// A log with these batches of commands, all synced, and where each frame begins.
    fn with(batches: &[u64]) -> ([MemoryDisk; 2], Vec<usize>) {
        let disks = <[MemoryDisk; 2]>::default();
        let mut log = open(&disks, None, 0).unwrap();
        let (mut n, mut starts) = (0, Vec::new());
        for count in batches {
            starts.push(log.bytes() as usize);
            for _ in 0..*count {
                n += 1;
                log.append(command(n)).unwrap();
            }
            assert!(log.sync().unwrap() && !log.sync().unwrap());
        }
        starts.push(log.bytes() as usize);
        (disks, starts)
    }

    fn rest(log: &mut FileLog, after: u64) -> Vec<u64> {
        let (mut after, mut found) = (Position(after), Vec::new());
        while let Some((position, command)) = log.next(after).unwrap() {
            assert_eq!((position, command.time_ms), (after.next(), position.0));
            found.push(position.0);
            after = position;
        }
        found
    }

    #[test]
    fn what_was_synced_comes_back_behind_what_was_applied() {
        let (disks, _) = with(&[2, 1, 3]);
        for applied in 0..=6 {
            let mut log = open(&disks, Some(ID), applied).unwrap();
            assert_eq!(log.behind(Position(applied)), 6 - applied);
            assert_eq!(rest(&mut log, applied), (applied + 1..=6).collect::<Vec<_>>());
            log.append(command(7)).unwrap();
            assert_eq!(rest(&mut log, 6), [7], "not synced, and ordered all the same");
        }
    }

    #[test]
    fn a_torn_tail_is_cut_wherever_it_tore() {
        let (disks, starts) = with(&[2, 3]);
        let whole = disks[0].0.lock().unwrap().clone();
        let len = whole[starts[1]..].first_chunk().copied().map(u32::from_be_bytes).unwrap();
        for end in starts[1]..starts[1] + FRAME_HEAD + len as usize {
            let torn = <[MemoryDisk; 2]>::default();
            *torn[0].0.lock().unwrap() = whole[..end].to_vec();
            let mut log = open(&torn, Some(ID), 0).unwrap();
            assert_eq!(rest(&mut log, 0), [1, 2], "cut at {end}");
            log.append(command(3)).unwrap();
            log.sync().unwrap();
            assert_eq!(rest(&mut open(&torn, Some(ID), 2).unwrap(), 2), [3]);
        }
        // Any of its sectors may be missing.
        let mut torn = whole.clone();
        torn[starts[1]..starts[1] + 32].fill(0);
        *disks[0].0.lock().unwrap() = torn;
        assert_eq!(rest(&mut open(&disks, Some(ID), 0).unwrap(), 0), [1, 2]);
    }

    #[test]
    fn a_chain_that_is_broken_in_the_middle_names_the_place() {
        let (disks, starts) = with(&[2, 3, 1]);
        let whole = disks[0].0.lock().unwrap().clone();
        let last = starts[3] - HEAD;
        for bit in (starts[0] * 8..last * 8).step_by(5) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            *disks[0].0.lock().unwrap() = flipped;
            let broken = bit / 8;
            let expected = starts.iter().rev().find(|start| **start <= broken).unwrap();
            match open(&disks, Some(ID), 0) {
                Err(StoreError::LogBroken { file, offset, position }) => {
                    assert_eq!((file, offset), (LOG_FILES[0], *expected as u64));
                    assert_eq!(position, if *expected == starts[0] { 1 } else { 3 });
                }
                // Between commands and the next frame lies nothing; the last frame may be torn.
                Ok(mut log) => assert!(
                    rest(&mut log, 0).len() == 6 || *expected == starts[2],
                    "bit {bit} of {starts:?}"
                ),
                Err(error) => panic!("{error}"),
            }
            *disks[0].0.lock().unwrap() = whole.clone();
        }
        // A whole frame gone is no torn tail either.
        disks[0].0.lock().unwrap()[starts[1]..starts[2]].fill(0);
        assert!(matches!(open(&disks, Some(ID), 0), Err(StoreError::LogBroken { .. })));
    }

    #[test]
    fn it_goes_on_in_the_other_file_and_keeps_what_was_not_written_down() {
        let disks = <[MemoryDisk; 2]>::default();
        let mut log = open(&disks, None, 0).unwrap();
        for n in 1..=9 {
            log.append(command(n)).unwrap();
            log.sync().unwrap();
            if n % 3 == 0 {
                log.trim(Position(n)).unwrap();
            }
        }
        log.append(command(10)).unwrap();
        log.sync().unwrap();
        drop(log);
        assert_eq!(rest(&mut open(&disks, Some(ID), 9).unwrap(), 9), [10]);
        // The store that goes with it can't be one of before.
        assert_eq!(open(&disks, Some(ID), 8).unwrap_err(), StoreError::LogForeign);
        // A crash while the other file began leaves this one.
        disks[0].set_len(10).unwrap();
        assert_eq!(rest(&mut open(&disks, Some(ID), 10).unwrap(), 10), [] as [u64; 0]);
    }

    #[test]
    fn a_store_without_its_log_or_beside_anothers_is_not_opened() {
        let (disks, _) = with(&[2]);
        assert_eq!(open(&disks, Some([8; 16]), 0).unwrap_err(), StoreError::LogForeign);
        let none = <[MemoryDisk; 2]>::default();
        assert_eq!(open(&none, Some(ID), 0).unwrap_err(), StoreError::LogForeign);
        // It has applied more than the log has: the end of the log is lost.
        assert!(matches!(open(&disks, Some(ID), 3), Err(StoreError::LogBroken { .. })));
        disks[0].0.lock().unwrap()[3] ^= 1;
        assert!(matches!(open(&disks, Some(ID), 0), Err(StoreError::LogBroken { .. })));
    }
}
