//! What a space keeps of its members: without an engine.

use sync_protocol::Rejection;
use sync_protocol::codec::Blob;
use sync_protocol::frames::Answer;

use crate::api::{ConversationChange, Event, Failure};
use crate::engine::rows::{Intention, PendingRow};
use crate::engine::testing::{Machines, account, device, epoch, id};
use crate::engine::turn::Task;
use crate::group::Leaf;
use crate::trust::Invalid;

fn add(address: &str) -> Intention {
    Intention::Add { address: address.to_owned(), history: false }
}

fn pending(carries: u64) -> PendingRow {
    let envelope = Blob(Vec::new());
    let child = Some(epoch(3));
    PendingRow { child, envelope, welcomes: None, carries, ticket: None, enters: false }
}

/// The reasons that the app was told for people who were not added, by address.
fn not_added(machines: &mut Machines) -> Vec<(String, Rejection)> {
    let told = machines.told().into_iter();
    told.filter_map(|event| match event {
        Event::Conversation {
            change: ConversationChange::NotAdded { address, reason }, ..
        } => Some((address, reason)),
        _ => None,
    })
    .collect()
}

#[test]
fn a_wish_is_kept_once_and_carried_out_soon() {
    let mut machines = Machines::with(1);
    machines.member_rows().intend(&id(1), add("a"));
    machines.member_rows().intend(&id(1), add("a"));
    assert_eq!(machines.space(1).row.intentions, [add("a")]);
    assert!(machines.is_saved(1));
    assert!(machines.has_task(|task| matches!(task, Task::Advance(space) if *space == id(1))));
}

#[test]
fn a_wish_that_is_not_there_is_removed_without_harm() {
    let mut machines = Machines::with(1);
    machines.member_rows().remove_intention(&id(1), 0);
    machines.member_rows().remove_intention(&id(9), 4);
    assert!(machines.space(1).row.intentions.is_empty());
}

#[test]
fn a_commit_under_way_forgets_what_was_refused_before_it() {
    let mut machines = Machines::with(1);
    let space = machines.space(1);
    (space.in_session.rebuild, space.in_session.refused, space.in_session.deciding_sent) =
        (true, Some(Rejection::Quota), true);
    machines.member_rows().set_pending(&id(1), pending(1));
    let space = machines.space(1);
    assert!(space.row.deciding && !space.in_session.rebuild && !space.in_session.deciding_sent);
    assert_eq!(space.in_session.refused, None);
}

#[test]
fn of_many_who_can_not_be_added_at_once_half_are_tried() {
    let mut machines = Machines::with(1);
    machines.space(1).row.intentions = vec![add("a"), add("b")];
    let large = Failure::TooLarge { what: "commit", limit: 9 };
    assert!(machines.member_rows().fewer_additions(&id(1), 8, &large));
    assert_eq!(machines.space(1).additions.most, Some(4));
    assert!(not_added(&mut machines).is_empty(), "nobody is told yet");
}

#[test]
fn the_one_who_can_not_be_added_is_told_by_name() {
    let mut machines = Machines::with(1);
    machines.space(1).row.intentions = vec![add("a"), add("b")];
    let refused = Failure::Refused(Rejection::Denied);
    assert!(machines.member_rows().fewer_additions(&id(1), 1, &refused));
    assert_eq!(not_added(&mut machines), [("a".to_owned(), Rejection::Denied)]);
    assert_eq!(machines.space(1).row.intentions, [add("b")], "others are still to be added");
}

#[test]
fn a_limit_of_rate_is_true_of_all_who_are_still_to_be_added() {
    let mut machines = Machines::with(1);
    machines.space(1).row.intentions = vec![add("a"), add("b"), Intention::Leave];
    let rate = Failure::Refused(Rejection::Rate { retry_ms: 9 });
    assert!(machines.member_rows().fewer_additions(&id(1), 1, &rate));
    assert_eq!(not_added(&mut machines).len(), 2);
    assert_eq!(machines.space(1).row.intentions, [Intention::Leave]);
}

#[test]
fn what_is_about_no_addition_is_no_reason_to_add_fewer() {
    let mut machines = Machines::with(1);
    machines.space(1).row.intentions = vec![Intention::SetTitle("x".to_owned())];
    assert!(!machines.member_rows().fewer_additions(&id(1), 1, &Failure::Offline));
}

#[test]
fn only_a_refusal_that_lasts_has_a_commit_built_anew() {
    for (reason, lasts) in [
        (Rejection::Quota, true),
        (Rejection::NotFound, true),
        (Rejection::Unavailable { retry_ms: 1 }, false),
        (Rejection::Full { retry_ms: 1 }, false),
        (Rejection::Rate { retry_ms: 1 }, false),
        (Rejection::Behind { index: 1 }, false),
        (Rejection::Fenced, false),
    ] {
        let mut machines = Machines::with(1);
        machines.space(1).row.intentions = vec![add("a")];
        machines.core(1).pending = Some(pending(1));
        assert_eq!(machines.member_rows().refuses_additions(&id(1), &reason), lasts, "{reason:?}");
        assert_eq!(machines.space(1).in_session.rebuild, lasts);
    }
}

#[test]
fn who_leaves_waits_for_nobody() {
    let mut machines = Machines::with(1);
    machines.space(1).row.intentions = vec![add("a"), Intention::Leave];
    machines.core(1).pending = Some(pending(1));
    let soon = Rejection::Rate { retry_ms: 1 };
    assert!(machines.member_rows().refuses_additions(&id(1), &soon));
}

#[test]
fn an_account_without_packages_is_known_as_that() {
    let mut machines = Machines::with(1);
    machines.space(1).additions.asked.insert(account(2));
    let none = Answer::Refused(Rejection::NotFound);
    machines.member_rows().on_packages(&id(1), &account(2), none);
    let additions = &machines.space(1).additions;
    assert!(additions.packages.get(&account(2)).is_some_and(Vec::is_empty));
    assert!(!additions.asked.contains(&account(2)), "it may be asked again");
}

#[test]
fn a_refusal_that_passes_has_packages_asked_for_again() {
    let mut machines = Machines::with(1);
    let later = Answer::Refused(Rejection::Unavailable { retry_ms: 5 });
    machines.member_rows().on_packages(&id(1), &account(2), later);
    assert!(machines.space(1).retry_at.is_some());
    assert!(machines.space(1).additions.refused.is_empty());
}

#[test]
fn leaves_write_from_the_handshake_that_let_them_in_to_the_one_that_put_them_out() {
    let mut machines = Machines::with(1);
    let leaf = Leaf { account: account(2), device: device(2), signing_key: [2; 32] };
    machines.member_rows().change_members(&id(1), 4, &[leaf], &[]);
    machines.member_rows().change_members(&id(1), 9, &[], &[device(2)]);
    let core = machines.core(1);
    for (index, may) in [(3, false), (4, true), (8, true), (9, false)] {
        assert_eq!(core.writer_at(&device(2), index).is_some(), may, "{index}");
    }
}

#[test]
fn who_has_left_keeps_what_was_read_and_wishes_nothing() {
    let mut machines = Machines::with(1);
    machines.space(1).row.intentions = vec![add("a")];
    machines.core(1).pending = Some(pending(1));
    machines.space(1).row.next = 7;
    machines.member_rows().left(&id(1));
    let space = machines.space(1);
    assert!(!space.row.active && !space.row.deciding && space.row.intentions.is_empty());
    assert_eq!(space.row.next, 7);
    assert!(space.core.as_ref().is_some_and(|core| core.pending.is_none()));
    let told = machines.told();
    let left = |event: &Event| {
        matches!(event, Event::Conversation { change: ConversationChange::Left, .. })
    };
    assert!(told.iter().any(left));
}

#[test]
fn a_newer_epoch_elsewhere_is_no_lie() {
    let mut machines = Machines::with(1);
    machines.member_rows().not_believed(&id(1), Invalid::Older);
    machines.member_rows().not_believed(&id(1), Invalid::EndedGuide);
    assert!(machines.evidence().is_empty());
    machines.member_rows().not_believed(&id(1), Invalid::OtherHistory);
    assert_eq!(machines.evidence(), [Invalid::OtherHistory]);
}

#[test]
fn an_entrance_is_under_way_while_its_commit_is() {
    let mut machines = Machines::with(1);
    assert!(!machines.member_rows().is_entering(&id(1)).expect("it is in memory"));
    machines.core(1).pending = Some(PendingRow { enters: true, ..pending(0) });
    assert!(machines.member_rows().is_entering(&id(1)).expect("it is in memory"));
}

#[test]
fn each_space_has_an_id_of_its_own() {
    let mut machines = Machines::with(1);
    let (one, two) = (machines.member_rows().random_space(), machines.member_rows().random_space());
    assert_ne!(one, two);
}
