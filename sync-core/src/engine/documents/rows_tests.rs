//! What a space keeps of its documents: without an engine.

use crate::api::Event;
use crate::document::Name;
use crate::document::receipts::Mark;
use crate::engine::rooms::ContentRows;
use crate::engine::testing::{Machines, NOW, account, id};
use crate::engine::turn::Task;

fn app(era: u32) -> Name {
    Name::App(era, "list".to_owned())
}

fn rows(machines: &mut Machines) -> ContentRows<'_> {
    machines.content_rows()
}

#[test]
fn a_document_is_listed_once_and_in_order() {
    let mut machines = Machines::with(1);
    for name in [app(1), Name::Messages(2), app(1), Name::Messages(0)] {
        rows(&mut machines).note_document(&id(1), &name);
    }
    let documents = machines.space(1).row.documents.clone();
    assert_eq!(documents.len(), 3);
    assert!(documents.is_sorted());
    assert_eq!(rows(&mut machines).segments(&id(1)), [2, 0], "the newest first");
    assert_eq!(machines.space(1).row.segment, 2);
}

#[test]
fn a_receipt_is_due_soon_and_never_in_the_own_space() {
    let mut machines = Machines::with(2);
    machines.space(2).row.own = true;
    rows(&mut machines).owe_receipts(&id(1));
    rows(&mut machines).owe_receipts(&id(2));
    assert!(machines.space(1).row.receipts_due && !machines.space(2).row.receipts_due);
    assert!(machines.space(1).receipting.deadline().is_some_and(|at| at >= NOW));
}

#[test]
fn receipts_that_follow_each_other_are_one() {
    let mut machines = Machines::with(1);
    machines.space(1).receipting.writes(NOW);
    rows(&mut machines).owe_receipts(&id(1));
    let first = machines.space(1).receipting.deadline();
    assert!(first > Some(NOW), "one was written just now");
    machines.turn.now += 500;
    rows(&mut machines).owe_receipts(&id(1));
    assert_eq!(machines.space(1).receipting.deadline(), first);
}

#[test]
fn a_receipt_that_was_due_when_the_store_was_closed_is_due_again() {
    let mut machines = Machines::with(2);
    machines.space(2).row.receipts_due = true;
    machines.space(2).row.unheeded = vec![3];
    rows(&mut machines).resume_receipts();
    assert!(
        machines.space(1).receipting.deadline().is_none()
            && machines.space(2).receipting.deadline().is_some()
    );
    let is_it = |task: &Task| matches!(task, Task::Siblings(space, 3) if *space == id(2));
    assert!(machines.has_task(is_it));
}

#[test]
fn what_a_sibling_read_is_followed_once_for_each_segment() {
    let mut machines = Machines::with(1);
    rows(&mut machines).owe_siblings(&id(1), 4);
    rows(&mut machines).owe_siblings(&id(1), 4);
    rows(&mut machines).owe_siblings(&id(1), 5);
    assert_eq!(machines.space(1).row.unheeded, [4, 5]);
}

#[test]
fn a_segments_top_goes_up_alone() {
    let mut machines = Machines::with(1);
    let mark = |index| Mark { index, ordinal: 0 };
    for index in [3, 9, 5] {
        machines.space(1).note_top(1, mark(index));
    }
    machines.space(1).note_top(0, mark(1));
    assert_eq!(machines.space(1).row.tops, [(0, mark(1)), (1, mark(9))]);
}

#[test]
fn names_are_heard_once_they_are_said() {
    let mut machines = Machines::with(1);
    rows(&mut machines).owe_names(&id(1), 2);
    assert_eq!(machines.space(1).row.unheard, Some(2));
    assert!(machines.has_task(|task| matches!(task, Task::Names(_, 2))));
}

#[test]
fn acceptance_is_looked_at_once_however_often_it_is_called() {
    let mut machines = Machines::with(1);
    rows(&mut machines).call_acceptance();
    rows(&mut machines).call_acceptance();
    let count = machines.turn.tasks.iter().filter(|task| matches!(task, Task::Accepted)).count();
    assert_eq!(count, 1);
}

#[test]
fn who_invited_this_account_is_written_down_unless_it_was() {
    let mut machines = Machines::with(3);
    machines.space(1).row.invited_by = Some(account(2));
    machines.space(2).row.invited_by = Some(account(2));
    machines.space(2).row.inviter_kept = true;
    rows(&mut machines).resume_inviters();
    let owed: Vec<_> = machines
        .turn
        .tasks
        .iter()
        .filter_map(|task| match task {
            Task::Inviter(space) => Some(*space),
            _ => None,
        })
        .collect();
    assert_eq!(owed, [id(1)]);
}

#[test]
fn an_era_that_begins_twice_begins_once() {
    let mut machines = Machines::with(1);
    rows(&mut machines).era_begins(&id(1), 1, 5);
    assert!(machines.is_saved(1));
    machines.turn.unsaved.spaces.clear();
    rows(&mut machines).era_begins(&id(1), 1, 5);
    assert!(!machines.is_saved(1), "nothing changed");
}

#[test]
fn a_page_that_was_behind_everything_is_looked_for_again_when_something_comes_below() {
    let mut machines = Machines::with(1);
    rows(&mut machines).forget_reach(&id(1), 0);
    assert!(!machines.is_saved(1), "there was none");
}

#[test]
fn a_space_that_is_not_there_owes_nothing() {
    let mut machines = Machines::with(1);
    rows(&mut machines).owe_receipts(&id(9));
    rows(&mut machines).note_document(&id(9), &app(0));
    assert!(rows(&mut machines).segments(&id(9)).is_empty());
    let told = machines.told();
    assert!(told.iter().all(|event| !matches!(event, Event::Evidence { .. })));
}
