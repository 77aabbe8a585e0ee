//! Small messages that would become huge: what they take of memory is measured, allocation by
//! allocation, while they go through the relay and whole engines. Alone in its process, so that
//! nothing else is counted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "hostile/support/mod.rs"]
mod support;

use automerge::Change;
use peak_alloc::PeakAlloc;
use property_tests::World;
use sha2::{Digest as _, Sha256};
use sync_core::document::{AppOp, Edit, Name, Step, actor};
use sync_protocol::SpaceId;
use sync_protocol::codec::{self, Blob};
use sync_protocol::ids::Commitment;

use support::cheat::Cheat;
use support::forge::{Plaintext, Set};
use support::{agree, conversation, digest, nothing_is_missing};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a bomb would become.
const SWOLLEN: usize = 128 * 1024 * 1024;
/// What it may take, in all devices and the relay together.
const ROOM: usize = 24 * 1024 * 1024;

fn notes() -> Name {
    Name::App(0, "notes".into())
}

/// How much memory this takes at its worst.
fn taken_by(work: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}

fn holds(what: &str, world: &mut World, space: SpaceId, cheat: &mut Cheat, envelope: Blob) {
    assert!(envelope.0.len() < 256 * 1024, "{what}: {} bytes", envelope.0.len());
    let taken = taken_by(|| {
        cheat.push(world, space, vec![envelope]);
        world.pass(20_000).unwrap();
        for device in [0, 1] {
            digest(world, device, space);
        }
    });
    assert!(taken < ROOM, "{what} takes {taken} bytes");
    for device in [0, 1] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    agree(world, &[0, 1], space);
    nothing_is_missing(world, 1, space);
}

fn leb(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A change whose columns say so many operations in a few bytes.
fn endless(count: u64, actor: &[u8]) -> Vec<u8> {
    let run = |value: &[u8]| {
        let mut out = Vec::new();
        leb(count, &mut out);
        if out.last().is_some_and(|last| last & 0x40 != 0) {
            *out.last_mut().unwrap() |= 0x80;
            out.push(0);
        }
        out.extend_from_slice(value);
        out
    };
    let mut falses = Vec::new();
    leb(count, &mut falses);
    let columns = [
        (0x15, run(b"\x01k")),
        (0x34, falses),
        (0x42, run(&[1])),
        (0x56, run(&[0])),
        (0x70, run(&[0])),
    ];
    let mut body = vec![0, 16];
    body.extend_from_slice(actor);
    body.extend_from_slice(&[1, 1, 0, 0, 0, columns.len() as u8]);
    for (spec, data) in &columns {
        body.extend_from_slice(&[*spec, data.len() as u8]);
    }
    columns.iter().for_each(|(_, data)| body.extend_from_slice(data));
    let mut chunk = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
    leb(body.len() as u64, &mut chunk);
    chunk.extend_from_slice(&body);
    let digest = Sha256::digest(&chunk[8..]);
    chunk[4..8].copy_from_slice(&digest[..4]);
    chunk
}

/// A change of 90 KiB of one letter, as a compressed chunk.
fn compressed(world: &World, cheat: &Cheat, space: SpaceId) -> Vec<u8> {
    let value = format!("{:?}", "x".repeat(90_000)).into_bytes();
    let put = AppOp::Put { path: vec![Step::Key("big".into())], value: Blob(value) };
    let change = cheat.changes(world, space, &notes(), &[Edit::App { ops: vec![put] }]).remove(0);
    let mut change = Change::from_bytes(change).unwrap();
    change.bytes().into_owned()
}

#[test]
fn bombs_take_no_more_memory_than_they_are_allowed_and_stop_nobody() {
    let (mut world, space) = conversation(1, 3);
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; SWOLLEN], 6);
    for (n, size) in [1024 * 1024, 100, u32::MAX, SWOLLEN as u32].into_iter().enumerate() {
        let mut cheat = Cheat::with_keys_of(&mut world, 2, n as u64);
        let plaintext = Plaintext { codec: 1, size, body: Blob(bomb.clone()), seen: [0; 8] };
        let plaintext = codec::encode(&plaintext);
        let commitment = Commitment::from_bytes([1; 32]);
        let envelope = cheat.content_of(&world, space, &plaintext, commitment);
        holds("a compressed change set", &mut world, space, &mut cheat, envelope);
    }
    for (n, count) in [100_000, 1 << 40, i64::MAX as u64].into_iter().enumerate() {
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 10 + n as u64);
        let actor = actor(&space, &notes(), &cheat.writer);
        let set = Set::of(notes(), vec![endless(count, actor.to_bytes())]);
        let envelope = cheat.content(&world, space, &set);
        holds("a column that swells", &mut world, space, &mut cheat, envelope);
    }
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 20);
    let set = Set::of(notes(), vec![compressed(&world, &cheat, space)]);
    let envelope = cheat.content(&world, space, &set);
    holds("a compressed chunk", &mut world, space, &mut cheat, envelope);
    let set = Set::of(notes(), vec![Vec::new(); 60_000]);
    let envelope = cheat.content(&world, space, &set);
    holds("more changes than a set may hold", &mut world, space, &mut cheat, envelope);
}
