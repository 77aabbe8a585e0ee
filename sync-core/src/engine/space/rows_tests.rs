//! What a space keeps of its log, and how it asks for more: without an engine.

use sync_protocol::codec::Blob;
use sync_protocol::frames::Answer;
use sync_protocol::frontier::Tip;
use sync_protocol::{EpochId, Rejection, limits};

use crate::api::Event;
use crate::engine::rows::{EpochRow, FoundRow, LostRow, PendingRow, WriterRow};
use crate::engine::session::Asked;
use crate::engine::space::deliveries::ASK_AGAIN_MS;
use crate::engine::testing::{Machines, NOW, account, device, epoch, id, writer};
use crate::engine::turn::Task;
use crate::trust::Invalid;

fn epoch_row(number: u64, index: u64) -> EpochRow {
    EpochRow { number, index, root: [1; 32], binding: [2; 32], era: 0 }
}

fn pending(child: Option<EpochId>, carries: u64) -> PendingRow {
    let envelope = Blob(Vec::new());
    PendingRow { child, envelope, welcomes: None, carries, ticket: None, enters: false }
}

#[test]
fn what_can_not_be_built_upon_is_let_go_and_asked_for_again() {
    let mut machines = Machines::with(1);
    machines.log_rows().stall(&id(1), 7, Invalid::LogBeganAnew);
    let space = machines.space(1);
    assert!(space.row.lagging && space.in_session.deliveries.is_empty());
    assert_eq!((space.in_session.fetch.wanted(), space.retry_at), (8, Some(NOW + ASK_AGAIN_MS)));
    assert!(machines.is_saved(1));
    assert_eq!(machines.evidence(), [Invalid::LogBeganAnew]);
}

#[test]
fn what_is_not_believed_is_told_once_a_second() {
    let mut machines = Machines::with(1);
    for _ in 0..40 {
        machines.log_rows().evidence(&id(1), Invalid::OtherHistory);
        machines.log_rows().evidence(&id(1), Invalid::Misplaced);
    }
    assert_eq!(machines.evidence(), [Invalid::OtherHistory, Invalid::Misplaced]);
    machines.turn.now += 1_000;
    machines.log_rows().evidence(&id(1), Invalid::OtherHistory);
    assert_eq!(machines.evidence(), [Invalid::OtherHistory]);
}

#[test]
fn the_last_index_there_is_does_not_overflow() {
    let mut machines = Machines::with(1);
    machines.log_rows().stall(&id(1), u64::MAX, Invalid::LogBeganAnew);
    assert_eq!(machines.space(1).in_session.fetch.wanted(), u64::MAX);
}

#[test]
fn a_writers_chain_goes_on_where_it_was_read() {
    let mut machines = Machines::with(1);
    let tip = Tip { seq: 3, ..Tip::START };
    machines.log_rows().advance_tip(&id(1), writer(2), tip);
    assert_eq!(machines.core(1).tips.tip(&writer(2)), tip);
    assert!(machines.turn.unsaved.writers.contains(&(id(1), writer(2))));
}

#[test]
fn nothing_happens_to_a_space_that_is_not_there() {
    let mut machines = Machines::with(1);
    machines.log_rows().advance_tip(&id(9), writer(2), Tip::START);
    machines.log_rows().is_gone(&id(9));
    machines.log_rows().found_again(&id(9), 4);
    machines.log_rows().note_all_unreadable(&id(9), 4);
    machines.fetching().on_new_generation(&id(9), None);
    assert!(machines.turn.unsaved.writers.is_empty() && machines.turn.unsaved.spaces.is_empty());
}

#[test]
fn an_own_number_that_stands_in_a_log_begun_anew_is_remembered_as_the_highest() {
    let mut machines = Machines::with(1);
    machines.space(1).row.found = Some(FoundRow { seq: 0, epoch: EpochId::NONE });
    for seq in [4, 9, 2] {
        machines.log_rows().found_again(&id(1), seq);
    }
    assert_eq!(machines.space(1).row.found.map(|found| found.seq), Some(9));
}

#[test]
fn a_handshake_that_stands_elsewhere_by_now_moves_what_began_with_it() {
    let mut machines = Machines::with(1);
    machines.space(1).row.found = Some(FoundRow { seq: 0, epoch: EpochId::NONE });
    let core = machines.core(1);
    core.epochs.insert(epoch(5), epoch_row(1, 10));
    let row =
        |n, from, to| WriterRow { device: device(n), account: account(n), key: [n; 32], from, to };
    core.state.writers = vec![row(1, 10, None), row(2, 3, Some(10)), row(3, 3, None)];
    assert!(machines.log_rows().finds_handshake(&id(1), &epoch(5), 4));
    let writers = &machines.core(1).state.writers;
    let places: Vec<_> = writers.iter().map(|row| (row.from, row.to)).collect();
    assert_eq!(places, [(4, None), (3, Some(4)), (3, None)]);
    assert_eq!(machines.space(1).row.found.map(|found| found.epoch), Some(epoch(5)));
}

#[test]
fn a_handshake_that_nobody_knows_is_found_by_nobody() {
    let mut machines = Machines::with(1);
    assert!(!machines.log_rows().finds_handshake(&id(1), &epoch(5), 4), "the log is as it was");
    machines.space(1).row.found = Some(FoundRow { seq: 0, epoch: EpochId::NONE });
    assert!(!machines.log_rows().finds_handshake(&id(1), &epoch(5), 4), "it is another's");
}

#[test]
fn a_commit_that_is_given_up_leaves_nothing_that_decides() {
    let mut machines = Machines::with(1);
    machines.core(1).pending = Some(pending(Some(epoch(3)), 1));
    (machines.space(1).row.deciding, machines.space(1).in_session.deciding_sent) = (true, true);
    machines.space(1).row.found = Some(FoundRow { seq: 0, epoch: EpochId::NONE });
    assert!(machines.fetching().handshake_refused(&id(1)));
    let space = machines.space(1);
    assert!(!space.row.deciding && !space.in_session.deciding_sent && space.row.lagging);
    assert!(space.core.as_ref().is_some_and(|core| core.pending.is_none()));
}

#[test]
fn a_refusal_is_one_of_a_handshake_that_stood_only_where_the_log_began_anew() {
    let mut machines = Machines::with(1);
    assert!(!machines.fetching().handshake_refused(&id(1)));
}

#[test]
fn only_the_newest_own_handshakes_are_kept() {
    let mut machines = Machines::with(1);
    for n in 1..=12 {
        machines.core(1).epochs.insert(epoch(n), epoch_row(u64::from(n), u64::from(n)));
        machines.log_rows().keep_handshake(&id(1), pending(Some(epoch(n)), 3));
    }
    let kept: Vec<_> = machines.core(1).handshakes.keys().copied().collect();
    assert_eq!(kept, [5, 6, 7, 8, 9, 10, 11, 12]);
    let carries = machines.core(1).handshakes.values().map(|row| row.carries).sum::<u64>();
    assert_eq!(carries, 0, "what they carried is done");
}

#[test]
fn what_a_returning_account_can_not_read_is_told_once_it_is_counted() {
    let mut machines = Machines::with(1);
    machines.log_rows().note_all_unreadable(&id(1), 0);
    assert_eq!(machines.space(1).row.lost, None, "there was nothing");
    machines.log_rows().note_all_unreadable(&id(1), 6);
    machines.log_rows().tell_unreadable(&id(1));
    machines.log_rows().tell_unreadable(&id(1));
    assert!(matches!(machines.told().as_slice(), [Event::Conversation { .. }]), "once");
    assert!(machines.turn.tells_status);
}

#[test]
fn what_was_passed_over_is_looked_at_only_where_there_is_any() {
    let mut machines = Machines::with(2);
    machines.log_rows().call_what_was_lost();
    assert!(!machines.has_task(|task| matches!(task, Task::ReadLost)));
    machines.space(2).row.lost = Some(LostRow::default());
    machines.log_rows().call_what_was_lost();
    assert!(machines.has_task(|task| matches!(task, Task::ReadLost)));
}

#[test]
fn the_log_is_read_one_further_and_its_hash_goes_on() {
    let mut machines = Machines::with(1);
    machines.fetching().entry_done(&id(1), 0, 5, &[3; 32]);
    let first = machines.space(1).row.log_hash;
    machines.fetching().entry_done(&id(1), 1, 4, &[3; 32]);
    let space = machines.space(1);
    assert_eq!(space.row.next, 2);
    assert_eq!(space.row.activity_ms, 5, "time does not go back");
    assert_ne!(space.row.log_hash, first, "the same entry at another place is another log");
    assert_eq!(space.recent.get(&1), Some(&first));
}

#[test]
fn nothing_is_asked_for_without_a_session() {
    let mut machines = Machines::with(1);
    machines.fetching().mark_lagging(&id(1));
    assert!(machines.space(1).row.lagging && !machines.space(1).in_session.fetch.is_under_way());
    assert!(!machines.session.is_asked(|asked| matches!(asked, Asked::Fetch(..))));
}

#[test]
fn a_log_that_is_gone_is_read_from_its_start_and_told_of() {
    let mut machines = Machines::with(1);
    let space = machines.space(1);
    (space.row.next, space.row.generation) = (9, Some(4));
    let number = space.in_session.fetch.ask(9);
    let gone = Answer::Refused(Rejection::NotFound);
    machines.fetching().on_fetched(&id(1), number, &gone);
    assert_eq!((machines.space(1).row.next, machines.space(1).row.generation), (0, None));
    assert_eq!(machines.evidence(), [Invalid::LogBeganAnew]);
    assert!(machines.has_task(|task| matches!(task, Task::Advance(space) if *space == id(1))));
}

#[test]
fn an_answer_to_a_fetch_of_before_changes_nothing() {
    let mut machines = Machines::with(1);
    let of_before = machines.space(1).in_session.fetch.ask(9);
    machines.space(1).in_session.fetch.lapse();
    let number = machines.space(1).in_session.fetch.ask(9);
    machines.fetching().on_fetched(&id(1), of_before, &Answer::Done);
    assert!(machines.space(1).in_session.fetch.is_under_way());
    machines.fetching().on_fetched(&id(1), number, &Answer::Done);
    assert_eq!(machines.space(1).in_session.fetch.take_in(), Some(9));
}

#[test]
fn a_fetch_that_the_relay_can_not_answer_now_is_tried_later() {
    let mut machines = Machines::with(1);
    let number = machines.space(1).in_session.fetch.ask(0);
    let later = Answer::Refused(Rejection::Unavailable { retry_ms: 10 });
    machines.fetching().on_fetched(&id(1), number, &later);
    assert_eq!(machines.space(1).retry_at, Some(NOW + ASK_AGAIN_MS));
}

#[test]
fn the_table_of_writers_is_bounded_by_the_protocol() {
    const { assert!(limits::WRITERS > 0) };
    let mut machines = Machines::with(1);
    for n in 0..limits::WRITERS as u64 {
        let own = sync_protocol::WriterId { incarnation: n + 1, ..writer(1) };
        machines.log_rows().advance_tip(&id(1), own, Tip { seq: 1, ..Tip::START });
    }
    assert_eq!(machines.core(1).tips.writers_of(&device(1)), limits::WRITERS);
}
