//! One writer to seven readers: the relay's processor time beside a durable echo's, with clients
//! that only read; then with native clients, everything encrypted, decrypted and kept.

use std::net::SocketAddr;
use std::time::Instant;

use futures_util::SinkExt as _;
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame};
use sync_protocol::limits;
use tokio_tungstenite::tungstenite::Message;

use crate::Outcome;
use crate::author::{Author, push, space};
use crate::echo::{self, ALL, STORED};
use crate::floors::noise;
use crate::link::{Link as _, WebSocket, Wire, found, message, open, write_all};
use crate::people::People;
use crate::process::Server;
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median};

const READERS: usize = 7;
/// Change sets under way.
const WINDOW: u64 = 64;
/// Messages in a change set.
const SETS: [usize; 2] = [10, 50];
/// Bytes of a message in a change set, sealed, and of the rest of the set.
const MESSAGE: usize = 175;
const AROUND: usize = 150;
/// Bytes of deliveries after which a device grants as many again.
const CREDIT: u64 = (limits::WINDOW / 4) as u64;

/// Relay processor time, then native throughput.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let rounds = scale.pick(1, 3, 5);
    let mut measures = Vec::new();
    for messages in SETS {
        let sets = scale.pick(200, 3_000, 20_000) / messages * 4;
        let (mut relay, mut echo, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let payload = messages * MESSAGE + AROUND;
            let ours = through_relay(sets, payload).await? / (sets * messages * READERS) as f64;
            let bare =
                through_echo(sets, payload + 280).await? / (sets * messages * READERS) as f64;
            relay.push(ours * 1e6);
            echo.push(bare * 1e6);
            ratios.push(ours / bare);
        }
        let what = format!("relay's processor time, sets of {messages}, for 1,000 delivered");
        let mut measure = Measure::new("fan-out", what, median(&relay), "ms")
            .beside("durable echo", median(&echo))
            .toward(Target::RatioAtMost(2.0));
        if let Some(floor) = &mut measure.floor {
            floor.ratio = median(&ratios);
        }
        measures.push(measure);
    }
    measures.extend(native(scale).await?);
    Ok(measures)
}

/// Seconds of the relay's processor time.
async fn through_relay(sets: usize, payload: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let relay = Server::relay(directory.path(), None)?;
    let mut writer = Author::new(1);
    let others: Vec<_> = (0..READERS as u64).map(|n| Author::new(n + 2)).collect();
    let mut readers = Vec::new();
    for mut author in others.clone() {
        let mut wire = Wire::open(relay.address, None).await?;
        open(&mut wire, &mut author).await?;
        readers.push(wire);
    }
    let mut wire = Wire::open(relay.address, None).await?;
    open(&mut wire, &mut writer).await?;
    let others: Vec<_> = others.iter().collect();
    found(&mut wire, &mut writer, space(1), &others).await?;
    let envelopes = (0..sets).map(|_| writer.content(space(1), payload));
    let frames = envelopes.map(|one| push(space(1), vec![one])).collect();
    let before = relay.processor_s()?;
    let mut tasks = tokio::task::JoinSet::new();
    for wire in readers {
        tasks.spawn(read(wire, sets));
    }
    tasks.spawn(async move {
        write_all(&mut wire, frames, WINDOW).await?;
        Ok(wire)
    });
    let mut wires = Vec::new();
    while let Some(done) = tasks.join_next().await {
        wires.push(done??);
    }
    Ok(relay.processor_s()? - before)
}

/// Reads that many change sets, granting credit as devices do.
async fn read(mut wire: Wire, sets: usize) -> Outcome<Wire> {
    let (mut seen, mut taken) = (0, 0);
    while seen < sets {
        let RelayFrame::Delivery(delivery) = wire.next().await? else { continue };
        taken += delivery.cost();
        if taken >= CREDIT {
            wire.send(ClientFrame::Credit { bytes: std::mem::take(&mut taken) }).await?;
        }
        if let Delivery::Entries(entries) = delivery {
            // The handshake that made this device a member comes first.
            let is_content = |first: u64, n: usize| first + n as u64 >= 2;
            let all = 0..entries.entries.len();
            seen += all.filter(|n| is_content(entries.first, *n)).count();
        }
    }
    Ok(wire)
}

/// Seconds of the echo's processor time for the same messages.
async fn through_echo(sets: usize, bytes: usize) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let server = Server::echo(directory.path())?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(echo::join(server.address, ALL).await?);
    }
    let before = server.processor_s()?;
    for mut socket in readers {
        tasks.spawn(async move {
            for _ in 0..sets {
                message(&mut socket).await?;
            }
            Ok::<_, crate::Failure>(socket)
        });
    }
    tasks.spawn(write_echo(server.address, sets, bytes));
    let mut sockets = Vec::new();
    while let Some(done) = tasks.join_next().await {
        sockets.push(done??);
    }
    Ok(server.processor_s()? - before)
}

async fn write_echo(address: SocketAddr, sets: usize, bytes: usize) -> Outcome<WebSocket> {
    let mut socket = echo::join(address, ALL).await?;
    let set = noise(bytes);
    let (mut sent, mut done) = (0, 0);
    while done < sets {
        while sent < sets && sent - done < WINDOW as usize {
            socket.feed(Message::Binary(set.clone().into())).await?;
            sent += 1;
        }
        socket.flush().await?;
        done += usize::from(message(&mut socket).await?.as_ref() == STORED);
    }
    Ok(socket)
}

/// Native clients all round.
async fn native(scale: Scale) -> Outcome<Vec<Measure>> {
    let count = scale.pick(60, 3_000, 10_000);
    let (mut rates, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..scale.pick(1, 2, 3) {
        let people = People::gather(READERS + 1).await?;
        let before = people.relay.processor_s()?;
        let started = Instant::now();
        let last = people.say(0, count, 1).await?;
        // A screen that shows the last has all before it: they lie before it in the log.
        for n in 1..=READERS {
            people.has(n, last).await?;
        }
        let slowest = started.elapsed().as_secs_f64();
        rates.push(count as f64 / slowest);
        let delivered = (count * READERS) as f64;
        processor.push((people.relay.processor_s()? - before) * 1e6 / delivered);
        people.part().await;
    }
    let floor = raw_native(scale).await?;
    let what = "native clients, encrypted: messages to each of 7 readers";
    Ok(vec![
        Measure::new("fan-out", what, median(&rates), "1/s")
            .beside("durable echo, plain, 10 in a message", floor)
            .toward(Target::AtLeast(6_000.0)),
        Measure::new(
            "fan-out",
            "native clients: relay's processor time for 1,000 delivered",
            median(&processor),
            "ms",
        ),
    ])
}

/// Messages a second to each reader of a durable echo.
async fn raw_native(scale: Scale) -> Outcome<f64> {
    let (messages, payload) = (10, 10 * MESSAGE + AROUND);
    let sets = scale.pick(20, 500, 2_000);
    let started = Instant::now();
    through_echo(sets, payload).await?;
    Ok((sets * messages) as f64 / started.elapsed().as_secs_f64())
}
