use sync_protocol::frames::Op;

use crate::api::{Command, Input};
use crate::engine::testing::{Machines, NOW, account, id};
use crate::engine::{Engine, Need, Task};
use crate::records::Records;

use super::*;

fn session() -> (Session, Turn, Spaces) {
    let machines = Machines::with(1);
    (machines.session, machines.turn, machines.spaces)
}

fn is_up(session: &mut Session) {
    session.phase = Phase::Open;
}

#[test]
fn it_connects_once() {
    let (mut session, mut turn, _) = session();
    session.start(&mut turn);
    session.start(&mut turn);
    assert!(matches!(turn.pending.as_slice(), [Output::Connect]));
}

#[test]
fn an_app_that_wants_to_stay_away_does_until_it_says_otherwise() {
    let (mut session, mut turn, _) = session();
    session.offline = true;
    session.start(&mut turn);
    assert!(turn.pending.is_empty());
    session.come_back();
    session.start(&mut turn);
    assert_eq!(turn.pending.len(), 1);
}

#[test]
fn waiting_grows_with_each_attempt_and_is_never_shorter_than_the_relay_asked_for() {
    let (mut session, mut turn, _) = session();
    let mut longest = 0;
    for _ in 0..20 {
        session.retry_later(&mut turn, 0);
        let Phase::Waiting(at) = session.phase else { panic!("it waits") };
        longest = longest.max(at - NOW);
        assert!(at - NOW <= BACKOFF_LAST_MS);
    }
    assert!(longest > BACKOFF_LAST_MS / 2);
    session.retry_later(&mut turn, 600_000);
    assert!(matches!(session.phase, Phase::Waiting(at) if at >= NOW + 600_000));
}

#[test]
fn a_session_that_ends_takes_with_it_what_holds_for_it_alone() {
    let (mut session, mut turn, mut spaces) = session();
    is_up(&mut session);
    session.caught_up = true;
    session.cursor = Some(Blob(vec![1]));
    spaces.get_mut(&id(1)).expect("it is there").in_session.fetch.ask(0);
    session.reconnect(&mut turn, &mut spaces);
    assert!(!session.is_open() && !session.caught_up() && session.cursor.is_none());
    assert!(!spaces.get(&id(1)).expect("it is there").in_session.fetch.is_under_way());
    assert!(turn.lapsed.session, "the others are told before the next step");
    assert!(matches!(turn.urgent.as_slice(), [Output::Disconnect]));
}

#[test]
fn nobody_disconnects_who_is_not_connected() {
    let (mut session, mut turn, mut spaces) = session();
    session.stop(&mut turn, &mut spaces);
    assert!(turn.pending.is_empty());
}

#[test]
fn a_request_is_known_until_it_is_answered() {
    let (mut session, mut turn, _) = session();
    session.ask(&mut turn, Op::LastSeen, Asked::Seen);
    assert!(session.is_asked(|asked| matches!(asked, Asked::Seen)));
    session.forget_requests();
    assert!(!session.is_asked(|_| true));
}

#[test]
fn a_cursor_is_kept_once_nothing_before_it_waits() {
    let (mut session, mut turn, spaces) = session();
    session.keep_cursor(&mut turn, &spaces);
    assert!(!turn.unsaved.session, "there is none");
    session.cursor = Some(Blob(vec![7]));
    session.keep_cursor(&mut turn, &spaces);
    assert!(turn.unsaved.session);
    assert_eq!(session.row.cursor, Some(Blob(vec![7])));
    assert_eq!(session.ack_at, Some(NOW + ACK_EVERY_MS));
}

#[test]
fn a_copy_of_a_store_writes_as_somebody_new() {
    let (mut session, mut turn, _) = session();
    let first = session.begin_to_write(&mut turn);
    (session.row.fence, session.row.next_fence) = (3, 4);
    session.new_incarnation(&mut turn, &mut Account::default());
    assert_ne!(session.incarnation(), first);
    assert_eq!((session.row.fence, session.row.next_fence), (0, 0));
    assert!(!session.is_of(session.incarnation()), "the session is the one before's");
}

#[test]
fn a_full_relay_is_told_of_until_it_takes_something() {
    let (mut session, ..) = session();
    assert!(!session.is_full_no_more());
    session.set_problem(Problem::Space(id(1), Rejection::Full { retry_ms: 1 }));
    assert!(session.is_full_no_more());
    session.set_problem(Problem::AddressTaken);
    assert!(!session.is_full_no_more(), "that is another problem");
}

#[test]
fn who_is_away_is_news_once() {
    let (mut session, ..) = session();
    let away = vec![AwayView {
        device: DeviceId::of_signing_key(&[1; 32]),
        last_seen_ms: 5,
        dormancy: sync_protocol::dormancy::Dormancy::Asleep,
    }];
    assert!(session.set_away(away.clone()));
    assert!(!session.set_away(away));
}

#[test]
fn a_meeting_needs_a_relay_that_listens() {
    let (mut session, mut turn, _) = session();
    let rendezvous = RendezvousId::from_bytes([1; 16]);
    session.meet(&mut turn, rendezvous, MeetStep::Open);
    assert!(turn.pending.is_empty());
    is_up(&mut session);
    session.meet(&mut turn, rendezvous, MeetStep::Open);
    assert_eq!(turn.pending.len(), 1);
}

#[test]
fn a_told_delay_is_spread_so_that_not_all_come_back_at_once() {
    let mut turn = Turn::new([1; 32], NOW);
    let told: Vec<u64> = (0..50).map(|_| jittered(&mut turn.rng, 1_000)).collect();
    assert!(told.iter().all(|ms| (1_000..=1_500).contains(ms)));
    assert!(told.iter().min() != told.iter().max());
    let longest = jittered(&mut turn.rng, u64::MAX);
    assert!((PAUSE_LAST_MS..=PAUSE_LAST_MS * 3 / 2).contains(&longest), "it comes back: {longest}");
}

#[test]
fn an_account_is_a_name_for_who_is_asked_after() {
    let (mut session, mut turn, _) = session();
    session.ask(&mut turn, Op::LastSeen, Asked::Log(account(1)));
    let asked =
        |of: u8| move |asked: &Asked| matches!(asked, Asked::Log(log) if *log == account(of));
    assert!(session.is_asked(asked(1)) && !session.is_asked(asked(2)));
}

#[test]
fn who_waits_for_the_relay_is_answered_when_the_account_goes() {
    let mut engine = Engine::open([1; 32], NOW, Records::new()).unwrap();
    for (id, need) in [(7, Need::Vaulted), (8, Need::Lookup("ada".parse().unwrap()))] {
        engine.requests.park(need, Task::Command(id, Command::Status));
    }
    engine.turn.lapsed.account = true;
    assert_eq!(answered(&mut engine), [7, 8]);
}

#[test]
fn who_waits_for_an_invite_is_answered_when_the_session_goes_or_the_device_logs_out() {
    for logs_out in [false, true] {
        let mut engine = Engine::open([1; 32], NOW, Records::new()).unwrap();
        is_up(&mut engine.session);
        let asked = Asked::Invite(7, "code".into());
        engine.session.ask(&mut engine.turn, Op::DrawInvite { hash: [1; 32] }, asked);
        if logs_out {
            engine.session.forget_requests();
            engine.turn.lapsed.account = true;
        } else {
            engine.turn.lapsed.session = true;
        }
        assert_eq!(answered(&mut engine), [7]);
    }
}

/// Who is answered with the next input.
fn answered(engine: &mut Engine) -> Vec<CommandId> {
    engine.handle(NOW, Input::Woken);
    engine.handle(NOW, Input::Persisted(1));
    let outputs = std::iter::from_fn(|| engine.poll_output());
    let answered = outputs.filter_map(|output| match output {
        Output::Respond(id, _) => Some(id),
        _ => None,
    });
    answered.collect()
}
