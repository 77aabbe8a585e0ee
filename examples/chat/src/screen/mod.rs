//! The screen: conversations, messages and what to know about them.
//!
//! [`model`] is what is shown; [`update`] and [`keys`] change it, and say what to ask of the client;
//! [`draw`] draws it. Only this file knows terminals and clients.

mod draw;
mod field;
mod finding;
mod forms;
mod keys;
mod model;
mod pages;
mod reading;
pub(crate) mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod update;

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossterm::event::{Event as TerminalEvent, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use sync_client::{Client, Events};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use model::{Answer, Effect, Model, Purpose};
use terminal::{End, Ends, Taken};

/// Answers that may wait to be shown.
const ANSWERS: usize = 256;
/// The shortest time between two drawings: a flood of news costs no more than this.
const FRAME: Duration = Duration::from_millis(30);

/// Why the screen ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The person is done, or the terminal is gone.
    Quit,
    /// A signal ended it, of this number.
    Signal(u8),
}

/// Runs the screen until the user quits or a signal ends it. The terminal is then as it was.
///
/// # Errors
/// If there is no terminal, or a part of the program failed.
pub(crate) async fn run(client: Client, relay: &str) -> io::Result<Ended> {
    let ends = Ends::listen()?;
    let terminal = Taken::take()?;
    let (mut model, effects) = Model::start(relay, now_ms());
    model.device_name = device_name();
    let (answers, answered) = channel(ANSWERS);
    let waiting = effects;
    let asker = Asker { client: client.clone(), answers, waiting, asked: Vec::new() };
    let outcome = serve(terminal, ends, model, client.events(), answered, asker).await;
    client.close().await;
    outcome
}

async fn serve(
    mut terminal: Taken,
    mut ends: Ends,
    mut model: Model,
    mut events: Events,
    mut answered: Receiver<(Purpose, Answer)>,
    mut asker: Asker,
) -> io::Result<Ended> {
    let mut input = EventStream::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let mut next_frame = tokio::time::interval(FRAME);
    let mut is_stale = true;
    while !model.quits {
        let effects = tokio::select! {
            end = ends.next() => return match end {
                End::Signal(number) => Ok(Ended::Signal(number)),
                End::Panic => Err(failed()),
            },
            event = input.next() => match event.transpose()? {
                Some(event) => take_input(&mut model, event),
                None => break,
            },
            notice = events.next() => match notice {
                Some(notice) => model.notice(notice),
                None => return Err(failed()),
            },
            Some((purpose, answer)) = answered.recv() => {
                asker.answered(&purpose);
                model.answer(purpose, answer)
            }
            _ = clock.tick() => {
                model.tick(now_ms());
                Vec::new()
            }
            _ = next_frame.tick(), if is_stale => {
                asker.catch_up().await;
                terminal.draw(|frame| {
                    model.size = frame.area().as_size();
                    draw::draw(frame, &model);
                })?;
                is_stale = false;
                continue;
            }
        };
        asker.ask(effects).await;
        is_stale = true;
    }
    Ok(Ended::Quit)
}

/// What it was about, its thread has said.
fn failed() -> io::Error {
    io::Error::other("a part of the program failed; what is written is safe in --data")
}

fn take_input(model: &mut Model, event: TerminalEvent) -> Vec<Effect> {
    model.tick(now_ms());
    match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => {
            model.notice = None;
            model.press(key)
        }
        TerminalEvent::Paste(text) => model.paste(&text),
        _ => Vec::new(),
    }
}

/// Asks the client, and brings back the answers. What changes something is asked at once and in
/// order; what only wants to know is asked once a frame, and not again before it is answered.
struct Asker {
    client: Client,
    answers: Sender<(Purpose, Answer)>,
    waiting: Vec<Effect>,
    asked: Vec<Purpose>,
}

impl Asker {
    async fn ask(&mut self, effects: Vec<Effect>) {
        for Effect(purpose, command) in effects {
            if !purpose.is_question() {
                self.submit(Effect(purpose, command)).await;
            } else if let Some(known) = self.waiting.iter_mut().find(|known| known.0 == purpose) {
                known.1 = command;
            } else {
                self.waiting.push(Effect(purpose, command));
            }
        }
    }

    /// Asks what waits.
    async fn catch_up(&mut self) {
        let (later, now) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|Effect(purpose, _)| self.asked.contains(purpose));
        self.waiting = later;
        let now: Vec<Effect> = now;
        for effect in now {
            self.asked.push(effect.0.clone());
            self.submit(effect).await;
        }
    }

    fn answered(&mut self, purpose: &Purpose) {
        self.asked.retain(|asked| asked != purpose);
    }

    async fn submit(&self, Effect(purpose, command): Effect) {
        let submitted = self.client.submit(command).await;
        let answers = self.answers.clone();
        tokio::spawn(async move {
            // The screen may be gone by then.
            let _ = answers.send((purpose, submitted.answer().await)).await;
        });
    }
}

/// What the system calls this machine, where it says so.
fn device_name() -> String {
    let told = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let name = told.or_else(|| std::fs::read_to_string("/etc/hostname").ok()).unwrap_or_default();
    name.trim().chars().take(40).collect()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
