//! One engine by itself: from a command to what is to be kept, to what is to be sent, and back.

use std::time::Duration;

use sync_core::{Command, Input};
use sync_protocol::error::Rejection;
use sync_protocol::frames::RelayFrame;
use sync_protocol::ids::SpaceId;
use sync_server::store::MemoryStore;

use crate::floors::{Crypto, automerge_appends};
use crate::report::Measure;
use crate::rounds::{Scale, each_us, median};
use crate::town::{Town, message};
use crate::{Outcome, failed};

/// Change sets that may be under way in a space before edits wait for each other.
const UNDER_WAY: usize = 4;
/// Bytes of a lone message's sealed payload.
const LONE_PAYLOAD: usize = 330;
/// Bytes of a message inside its document.
const MESSAGE: usize = 130;
/// Messages in a delivery.
const BURST: usize = 100;

type World = Town<MemoryStore>;

/// Append, seal and open, each beside the libraries' own cost.
pub(crate) fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let rounds = scale.pick(1, 5, 15);
    let count = scale.pick(8, 100, 200);
    let crypto = Crypto::new();
    let mut figures = [const { Vec::new() }; 9];
    for _ in 0..rounds {
        let (mut town, space) = World::talking(MemoryStore::new(), 2)?;
        let seal = each_us(seal(&mut town, space, count)?, count * UNDER_WAY);
        let alone = each_us(open_alone(&mut town, space, count)?, count);
        let batch = each_us(open_batch(&mut town, space, count)?, count);
        let append = each_us(append(&mut town, space, count)?, count);
        let sealed = each_us(crypto.seal_and_sign(LONE_PAYLOAD, count)?, count);
        let opened = each_us(crypto.open_and_verify(LONE_PAYLOAD, count, 1)?, count);
        let together = each_us(crypto.open_and_verify(MESSAGE, count, BURST)?, count);
        let changed = each_us(automerge_appends(count, MESSAGE)?.0, count);
        let now = [append, changed, seal, sealed, alone, opened, batch, together];
        for (all, one) in figures.iter_mut().zip(now) {
            all.push(one);
        }
    }
    let [append, changed, seal, sealed, alone, opened, batch, together, _] =
        figures.map(|all| median(&all));
    Ok(vec![
        Measure::new("engine", "append: send a message, up to what is kept", append, "us")
            .beside("raw Automerge put and commit", changed),
        Measure::new("engine", "seal a change set of one message", seal, "us")
            .beside("raw XChaCha20-Poly1305 and Ed25519", sealed),
        Measure::new("engine", "open a lone message, up to what is kept", alone, "us")
            .beside("raw Ed25519 and XChaCha20-Poly1305", opened),
        Measure::new("engine", "open a message of a burst, up to what is kept", batch, "us")
            .beside("raw, one signature for the burst", together),
    ])
}

fn busy(town: &World, n: usize) -> Duration {
    town.devices.get(n).map_or(Duration::ZERO, |device| device.busy)
}

/// Messages written offline.
fn append(town: &mut World, space: SpaceId, count: usize) -> Outcome<Duration> {
    town.run(0, Command::GoOffline)?;
    // The first opens the document.
    town.say(0, space, message(0))?;
    let before = busy(town, 0);
    for n in 0..count {
        town.say(0, space, message(n))?;
    }
    Ok(busy(town, 0) - before)
}

/// The relay says that it lacks what was pushed, so that all of it is sealed again.
fn seal(town: &mut World, space: SpaceId, count: usize) -> Outcome<Duration> {
    let written = written(town, space)?;
    for n in 0..UNDER_WAY {
        town.say(0, space, message(n))?;
    }
    let reason = Rejection::Gap { have: written };
    let refusal = RelayFrame::Refused { space, seq: written + 1, reason }.to_bytes();
    let before = busy(town, 0);
    let sent = town.devices.first().map_or(0, |device| device.traffic.frames_out);
    for _ in 0..count {
        town.feed(0, Input::Received(refusal.clone()))?;
    }
    let spent = busy(town, 0) - before;
    let frames = town.devices.first().map_or(0, |device| device.traffic.frames_out) - sent;
    if frames < count {
        return Err(failed(format!("{frames} pushes came of {count} refusals")));
    }
    town.settle()?;
    Ok(spent)
}

/// The number of the first device's newest change set.
fn written(town: &mut World, space: SpaceId) -> Outcome<u64> {
    let space = sync_core::api::Space::Conversation(space);
    let sync_core::Response::Digest(digest) = town.run(0, Command::Digest { space })? else {
        return Err(failed("no digest"));
    };
    let sync_core::Response::Status(status) = town.run(0, Command::Status)? else {
        return Err(failed("no status"));
    };
    let mine = digest.frontier.iter().find(|(writer, _)| Some(writer.device) == status.device);
    Ok(mine.map_or(0, |(_, (seq, _))| *seq))
}

/// Live messages, one by one, to a device on which the conversation is not open.
fn open_alone(town: &mut World, space: SpaceId, count: usize) -> Outcome<Duration> {
    town.restart(1)?;
    town.settle()?;
    let before = busy(town, 1);
    for n in 0..count {
        town.say(0, space, message(n))?;
        town.quiet()?;
    }
    Ok(busy(town, 1) - before)
}

/// A burst that was written while the device was away.
fn open_batch(town: &mut World, space: SpaceId, count: usize) -> Outcome<Duration> {
    town.run(1, Command::GoOffline)?;
    town.run(0, Command::GoOffline)?;
    for n in 0..count {
        town.say(0, space, message(n))?;
    }
    town.run(0, Command::GoOnline)?;
    town.settle()?;
    let before = busy(town, 1);
    town.run(1, Command::GoOnline)?;
    town.settle()?;
    Ok(busy(town, 1) - before)
}
