//! The loop alone, with a store, a socket and an app that only take notes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::api::Until;
use crate::records::{Batch, Records};

#[derive(Debug, Default)]
struct Notes {
    jobs: Vec<Job>,
    sockets: Vec<u64>,
    dropped: usize,
    sent: usize,
    answers: BTreeMap<u64, Result<Response, Failure>>,
    told: Vec<String>,
    problem: Option<&'static str>,
}

impl Ports for Notes {
    type Reply = u64;
    type Problem = &'static str;
    type StoreError = &'static str;

    fn ask(&mut self, job: Job) {
        self.jobs.push(job);
    }
    fn connect(&mut self, socket: u64) {
        self.sockets.push(socket);
    }
    fn disconnect(&mut self) {
        self.dropped += 1;
    }
    fn send(&mut self, _: Vec<u8>) {
        self.sent += 1;
    }
    fn reply(&mut self, reply: u64, result: Result<Response, Failure>) {
        assert!(self.answers.insert(reply, result).is_none(), "answered twice");
    }
    fn tell(&mut self, notice: Notice<&'static str, &'static str>) {
        self.told.push(match notice {
            Notice::Event(_) => "event".to_owned(),
            Notice::Unreachable(why) => format!("unreachable: {why}"),
            Notice::StoreFailed(why) => format!("store failed: {why}"),
            Notice::StoreBack => "store back".to_owned(),
        });
    }
    fn keep_problem(&mut self, problem: Option<&'static str>) {
        self.problem = problem;
    }
    fn silent(&self) -> &'static str {
        "silent"
    }
    fn no_network(&self) -> &'static str {
        "no network"
    }
}

const START: u64 = 1_700_000_000_000;

fn after(ms: u64) -> Now {
    Now { unix_ms: START + ms, steady_ms: ms }
}

fn engine() -> Engine {
    Engine::open([7; 32], START, Records::new()).unwrap()
}

fn opened(probes: bool) -> HostLoop<Notes> {
    let mut host = HostLoop::new(engine(), Notes::default(), probes);
    host.turn(after(0));
    host
}

fn create() -> Command {
    Command::CreateAccount { address: "ada".parse().unwrap(), name: "Ada".to_owned() }
}

/// With an account, all of it durable.
fn signed_up(probes: bool) -> HostLoop<Notes> {
    let mut host = opened(probes);
    host.on_command(after(0), 1, create(), 1);
    host.turn(after(0));
    make_durable(&mut host, after(0));
    host
}

fn batches(host: &mut HostLoop<Notes>) -> Vec<Batch> {
    let (writes, loads) = std::mem::take(&mut host.ports().jobs)
        .into_iter()
        .partition::<Vec<Job>, _>(|job| matches!(job, Job::Write(_)));
    host.ports().jobs = loads;
    let batch = |job| match job {
        Job::Write(batch) => batch,
        Job::Load(_) => unreachable!("they were parted"),
    };
    writes.into_iter().map(batch).collect()
}

fn make_durable(host: &mut HostLoop<Notes>, now: Now) {
    while let Some(last) = batches(host).pop() {
        let number = host.store();
        host.on_store(now, number, Done::Written(last.number)).unwrap();
        host.turn(now);
    }
}

#[test]
fn what_is_answered_is_told_to_whoever_asked_and_to_nobody_else() {
    let mut host = signed_up(false);
    host.on_command(after(1), 2, Command::Status, 20);
    host.on_command(after(1), 3, Command::Status, 30);
    host.turn(after(1));
    make_durable(&mut host, after(1));
    let asked: Vec<u64> = host.ports().answers.keys().copied().filter(|reply| *reply > 1).collect();
    assert_eq!(asked, [20, 30]);
}

#[test]
fn a_cancelled_wait_is_never_answered() {
    let mut host = signed_up(false);
    host.on_command(after(1), 2, Command::Wait(Until::UpToDate), 2);
    host.turn(after(1));
    host.on_cancel(after(2), 2);
    host.turn(after(2));
    host.on_store_failed(after(3), "full");
    assert!(!host.ports().answers.contains_key(&2));
}

#[test]
fn what_happens_on_an_earlier_socket_is_of_no_interest() {
    let mut host = signed_up(false);
    assert_eq!(host.ports().sockets, [1]);
    host.on_socket(after(1), 1, Happening::Closed(Some("broken")));
    host.turn(after(1));
    assert_eq!(host.ports().problem, Some("broken"));
    let wait = host.patience_ms(after(1));
    host.turn(after(1 + wait));
    assert_eq!(host.ports().sockets, [1, 2]);
    host.on_socket(after(2 + wait), 1, Happening::Opened);
    assert_eq!(host.ports().problem, Some("broken"), "the second is not open");
    host.on_socket(after(2 + wait), 2, Happening::Opened);
    assert_eq!(host.ports().problem, None);
}

#[test]
fn the_same_problem_is_told_once() {
    let mut host = signed_up(false);
    let mut at = 1;
    for socket in 1..=3 {
        host.on_socket(after(at), socket, Happening::Closed(Some("broken")));
        host.turn(after(at));
        while host.ports().sockets.len() as u64 == socket {
            at += host.patience_ms(after(at)).max(1);
            host.turn(after(at));
        }
    }
    assert_eq!(host.ports().told.iter().filter(|told| *told == "unreachable: broken").count(), 1);
}

#[test]
fn a_late_word_of_a_failed_store_is_not_the_present_ones() {
    let mut host = signed_up(false);
    host.on_store_failed(after(1), "full");
    host.turn(after(1));
    assert_eq!(host.on_store(after(2), 0, Done::Failed("full")), Ok(()));
    host.reopened(engine());
    host.turn(after(3));
    assert_eq!(host.on_store(after(3), 1, Done::Failed("damaged")), Err("damaged"));
    let told = &host.ports().told;
    assert!(
        told.contains(&"store failed: full".to_owned()) && told.contains(&"store back".to_owned())
    );
}

#[test]
fn a_failed_store_leaves_no_command_without_an_answer() {
    let mut host = opened(false);
    host.on_command(after(0), 1, create(), 1);
    host.turn(after(0));
    host.on_store_failed(after(1), "full");
    assert_eq!(host.ports().answers[&1], Err(Failure::Store));
    host.refuse(2);
    assert_eq!(host.ports().answers[&2], Err(Failure::Store));
}

#[test]
fn a_close_waits_for_the_store_but_not_for_ever() {
    let mut host = opened(false);
    host.on_command(after(0), 1, create(), 1);
    host.turn(after(0));
    host.on_close(after(0));
    assert!(host.is_closing() && !host.is_over(after(1)));
    assert!(host.patience_ms(after(1)) <= CLOSING_NAP_MS);
    assert!(host.is_over(after(CLOSE_MS + 1)));
    make_durable(&mut host, after(2));
    assert!(host.is_over(after(2)));
}

#[test]
fn a_network_that_comes_back_is_used_at_once_unless_the_app_stays_away() {
    let mut host = signed_up(false);
    host.on_network(after(1), false);
    host.turn(after(1));
    assert_eq!(host.ports().problem, Some("no network"));
    host.on_network(after(2), true);
    host.turn(after(2));
    assert_eq!(host.ports().sockets, [1, 2]);
    host.on_command(after(3), 9, Command::GoOffline, 9);
    host.turn(after(3));
    host.on_network(after(4), true);
    host.turn(after(4));
    assert_eq!(host.ports().sockets, [1, 2]);
}

#[test]
fn a_clock_that_is_set_back_puts_nothing_off_for_long() {
    let mut host = signed_up(false);
    host.on_socket(after(1), 1, Happening::Closed(None));
    host.turn(after(1));
    let wait = host.patience_ms(after(1));
    let set_back = |ms| Now { unix_ms: START + ms - 3_600_000, steady_ms: ms };
    assert_eq!(host.patience_ms(set_back(1 + wait)), 0, "by the steady clock it is time");
    host.turn(set_back(1 + wait));
    // The engine's own time stood still at the step: it waits once more.
    assert!(host.patience_ms(set_back(1 + wait)) <= wait);
    host.turn(set_back(1 + 2 * wait));
    assert_eq!(host.ports().sockets, [1, 2]);
}

#[test]
fn pauses_double_up_to_the_longest() {
    let pauses: Vec<u64> = reopen_pauses().take(7).collect();
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}
