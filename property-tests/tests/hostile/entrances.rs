//! Ways in that lead astray: whoever answers a new device first, relay, stranger or member, hands it
//! an invitation or a ticket to a group of their own. It comes in by none of them, writes nothing
//! that they read, and is where the group is once it hears the truth.

use property_tests::World;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{Answer, ClientFrame, InboxItem, Push, RelayFrame, Reply, Taken};
use sync_protocol::roster::{Role, Roster, RosterChange};
use sync_protocol::{AccountId, EpochId, SpaceId};

use crate::support::cheat::{Cheat, Keys, stand};
use crate::support::ways_in::{
    EpochRow, Fork, Grant, Guest, Handshake, Logs, Tap, TicketBody, epochs, group, handshake,
    header, inbox_frame, invitation, log_of, re_signed, read_logs, real_commit, take_packages,
    ticket,
};
use crate::support::{
    account, agree, evidence, honest_again, nothing_is_missing, says, shown, talk,
};

fn is_ticket(reply: &Reply) -> bool {
    matches!(reply.answer, Answer::Ticket { .. })
}

/// The relay hands a device something for its inbox, before anything else of that kind, and does not
/// say by what ticket it could come in.
fn hand(world: &mut World, device: usize, item: InboxItem) {
    let mut item = Some(item);
    world.set_meddler(Some(Box::new(move |to, frame| {
        let waits = matches!(&frame, RelayFrame::Reply(_) | RelayFrame::Delivery(_));
        if to == device && matches!(&frame, RelayFrame::Reply(reply) if is_ticket(reply)) {
            return Vec::new();
        }
        match item.take_if(|_| to == device && waits) {
            Some(item) => vec![inbox_frame(item), frame],
            None => vec![frame],
        }
    })));
    world.expect(device, sync_core::Command::GoOffline).unwrap();
    world.expect(device, sync_core::Command::GoOnline).unwrap();
    world.pass(20_000).unwrap();
}

/// The relay answers with this ticket to whoever of these asks for a space's.
fn answer_with(world: &mut World, from: usize, forged: Blob, at: u64) {
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        RelayFrame::Reply(Reply { id, answer: Answer::Ticket { .. } }) if to >= from => {
            let answer = Answer::Ticket { ticket: forged.clone(), index: at };
            vec![RelayFrame::Reply(Reply { id, answer })]
        }
        frame => vec![frame],
    })));
}

/// Once the lie is over, these devices talk as if it had never been.
fn all_is_well(world: &mut World, space: SpaceId, devices: &[usize]) {
    honest_again(world);
    world.pass(120_000).unwrap();
    world.settle().unwrap();
    for device in devices {
        world.say(*device, space).unwrap();
        world.settle().unwrap();
    }
    agree(world, devices, space);
    nothing_is_missing(world, devices[devices.len() - 1], space);
}

/// A group of a stranger's, with the victim's device in it, under the name of the victim's space.
fn strangers_group(
    stranger: &Keys,
    victim: AccountId,
    own: SpaceId,
    taken: Taken,
) -> (Fork, Vec<u8>) {
    let founded = Roster::founded_by(stranger.account);
    let devices = vec![taken.device];
    let add = RosterChange::Add { account: victim, role: Role::Admin, devices };
    let roster = founded.after(&stranger.account, &[add], &[]).unwrap();
    let mut fork = Fork::founded(stranger, own, founded);
    let welcome = fork.go_on(vec![taken.package.0], vec![], roster);
    (fork, welcome)
}

/// The relay and an account of its operator's take a device that waits to be let into its own
/// account's space into a group of theirs.
fn lure(world: &mut World, ghost: &mut Cheat, device: usize) -> Fork {
    let victim = account(world, 0);
    let own = victim.space();
    let id = world.device(device).id.unwrap();
    let stranger = ghost.keys.clone();
    let logs = read_logs(world, ghost, &[victim, stranger.account]);
    let packages = take_packages(world, ghost, victim);
    let taken = packages.into_iter().find(|taken| taken.device == id).unwrap();
    let (fork, welcome) = strangers_group(&stranger, victim, own, taken);
    // The relay knows the ids of all epochs, and says which one this is.
    let epoch = stand(world, 0, own).epoch;
    let row = EpochRow { number: 0, index: 0, root: fork.root(), binding: [0; 32], era: 0 };
    let grant = Grant { epochs: vec![(epoch, row)], ..Grant::default() };
    let hpke = log_of(&logs, victim).active(&id).unwrap().keys.hpke;
    let guest = Guest { device: id, hpke };
    let item = invitation(&stranger, (own, epoch), &guest, (welcome, logs), &grant);
    hand(world, device, item);
    fork
}

#[test]
fn a_stranger_lures_no_new_device_into_a_group_in_place_of_its_own_accounts_space() {
    let (mut world, space) = talk(1, 3, &[2]);
    let own = account(&world, 0).space();
    let mut ghost = Cheat::with_keys_of(&mut world, 1, 0);
    // The relay keeps the real way in to itself.
    let tap = Tap::on(&mut world, move |by, push| {
        by == 0 && push.space == own && push.welcomes.is_some()
    });
    let laptop = world.link(0, true).unwrap();
    world.pass(2_000).unwrap();
    let fork = lure(&mut world, &mut ghost, laptop);
    let told = evidence(&mut world, laptop, own);
    assert!(says(&told, "a group is not this account's own space"), "{told:?}");
    assert!(tap.written(laptop, own).is_empty(), "it wrote into a group that is not its own");
    all_is_well(&mut world, space, &[0, 2, laptop]);
    assert_eq!(tap.opened(&world, laptop, own, &fork.root()), 0);
    assert!(group(&world, laptop, own).leaves().iter().all(|leaf| leaf.account.space() == own));
}

#[test]
fn a_stranger_lures_nobody_who_brings_their_account_back() {
    let (mut world, space) = talk(2, 3, &[2]);
    let own = account(&world, 0).space();
    let mut ghost = Cheat::with_keys_of(&mut world, 1, 0);
    let tap = Tap::on(&mut world, |_, _| false);
    let device = world.begin_recovery(0).unwrap();
    // The relay does not answer what is asked for.
    world.set_meddler(Some(Box::new(move |to, frame| match &frame {
        RelayFrame::Reply(Reply { answer: Answer::Ticket { .. }, .. }) if to == device => vec![],
        _ => vec![frame],
    })));
    world.pass(10_000).unwrap();
    assert!(world.device(device).id.is_some(), "the account's log has the new device");
    let epoch = stand(&world, 0, own).epoch;
    let victim = account(&world, 0);
    let id = world.device(device).id.unwrap();
    let stranger = ghost.keys.clone();
    let logs = read_logs(&mut world, &mut ghost, &[victim, stranger.account]);
    let packages = take_packages(&mut world, &mut ghost, victim);
    let taken = packages.into_iter().find(|taken| taken.device == id).unwrap();
    let (fork, welcome) = strangers_group(&stranger, victim, own, taken);
    let hpke = log_of(&logs, victim).active(&id).unwrap().keys.hpke;
    let guest = Guest { device: id, hpke };
    let grant = Grant::default();
    let item = invitation(&stranger, (own, epoch), &guest, (welcome, logs), &grant);
    // The invitation arrives, and the ticket's answer does not.
    let mut item = Some(item);
    world.set_meddler(Some(Box::new(move |to, frame| match &frame {
        RelayFrame::Reply(Reply { answer: Answer::Ticket { .. }, .. }) if to == device => {
            item.take().map(inbox_frame).into_iter().collect()
        }
        _ => vec![frame],
    })));
    world.expect(device, sync_core::Command::GoOffline).unwrap();
    world.expect(device, sync_core::Command::GoOnline).unwrap();
    world.pass(20_000).unwrap();
    let told = evidence(&mut world, device, own);
    assert!(says(&told, "a group is not this account's own space"), "{told:?}");
    assert_eq!(tap.opened(&world, device, own, &fork.root()), 0);
    world.retire(0);
    all_is_well(&mut world, space, &[2, device]);
    assert_eq!(tap.opened(&world, device, own, &fork.root()), 0);
}

/// The members' logs, and the join key of the first.
fn logs_and_join(world: &mut World, cheat: &mut Cheat, people: &[usize]) -> (Logs, [u8; 32]) {
    let mut accounts: Vec<AccountId> = people.iter().map(|one| account(world, *one)).collect();
    if !accounts.contains(&cheat.keys.account) {
        accounts.push(cheat.keys.account);
    }
    let logs = read_logs(world, cheat, &accounts);
    let join = *log_of(&logs, accounts[0]).join();
    (logs, join)
}

/// A group of the cheat's own that has the same members, by its word.
fn look_alike(cheat: &Cheat, space: SpaceId, logs: &Logs) -> Fork {
    let own = cheat.keys.account;
    let others = logs.iter().map(|(account, _)| *account).filter(|account| *account != own);
    let add = |account| RosterChange::Add { account, role: Role::Admin, devices: vec![] };
    let changes: Vec<RosterChange> = others.map(add).collect();
    let roster = Roster::founded_by(own).after(&own, &changes, &[]).unwrap();
    Fork::founded(&cheat.keys, space, roster)
}

#[test]
fn a_relay_that_answers_with_a_ticket_of_a_strangers_leads_no_device_astray() {
    let made_up = EpochId::from_bytes([0xfe; 32]);
    for (seed, real_id, ahead, history) in
        [(3, false, 0, true), (4, true, 0, true), (5, false, 1, true), (6, false, 9, false)]
    {
        let (mut world, space) = talk(seed, 3, &[1]);
        let mut ghost = Cheat::with_keys_of(&mut world, 2, 0);
        let (logs, join) = logs_and_join(&mut world, &mut ghost, &[0, 1]);
        let fork = look_alike(&ghost, space, &logs);
        let now = stand(&world, 0, space);
        let epoch = if real_id { now.epoch } else { made_up };
        let forged = fork.ticket(epoch, now.number + ahead, &logs, &[join]);
        let tap = Tap::on(&mut world, |_, _| false);
        answer_with(&mut world, 3, forged, now.next - 1);
        let laptop = world.link(0, history).unwrap();
        world.pass(120_000).unwrap();
        let text = format!("{}a secret", property_tests::MARK);
        let send = sync_core::Command::SendMessage { conversation: space, text, reply_to: None };
        let _ = world.ask(laptop, send).unwrap();
        world.pass(120_000).unwrap();
        assert_eq!(tap.opened(&world, laptop, space, &fork.root()), 0, "{seed}");
        assert!(tap.written(laptop, space).is_empty(), "{seed}: it wrote where nobody else is");
        if real_id {
            let told = evidence(&mut world, laptop, space);
            let known = says(&told, "a group is not the one that is known under its name");
            assert!(known, "{told:?}");
        }
        if history {
            all_is_well(&mut world, space, &[0, 1, laptop]);
        } else {
            it_hears_what_is_said(&mut world, space, &[0, 1, laptop]);
        }
    }
}

/// As [`all_is_well`], where the last device may not read what was before.
fn it_hears_what_is_said(world: &mut World, space: SpaceId, devices: &[usize]) {
    honest_again(world);
    world.pass(120_000).unwrap();
    world.settle().unwrap();
    for author in devices {
        let said = world.say(*author, space).unwrap();
        world.settle().unwrap();
        for device in devices {
            let shown = shown(world, *device, space);
            assert!(shown.iter().any(|face| face.message == said), "{author} to {device}");
        }
    }
}

/// What a member who knows the present root can change of a real ticket.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Another group under the real epoch's id and root.
    OtherGroup,
    /// The real tree, and a key of its own to which entrances are sealed.
    OtherKey,
    /// The real tree, and another confirmation.
    OtherConfirmation,
    /// The real tree, and an epoch that nobody else is in.
    SecretCommit,
}

/// Where some bytes lie in others, the last time.
fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).rposition(|window| window == part).unwrap()
}

fn members_ticket(
    world: &mut World,
    cheat: &mut Cheat,
    space: SpaceId,
    change: Change,
) -> (Blob, Fork, u64) {
    let (logs, join) = logs_and_join(world, cheat, &[0, 1, 2]);
    let now = stand(world, cheat.device, space);
    let mut fork = match change {
        Change::OtherGroup => look_alike(cheat, space, &logs),
        _ => Fork::of(world, cheat, space),
    };
    let real = Fork::of(world, cheat, space);
    let signing = cheat.keys.signing();
    let info = real.info();
    let (epoch, number, root, info) = match change {
        Change::OtherGroup => (now.epoch, now.number, real.root(), fork.info()),
        Change::OtherKey => {
            // The extension of the kind 4 holds the key: its last 32 bytes.
            let tag = [0, 4, 33, 32];
            let info = re_signed(&info, &signing, |content| {
                let at = find(content, &tag) + tag.len();
                content[at..at + 32].copy_from_slice(&[9; 32]);
            });
            (now.epoch, now.number, real.root(), info)
        }
        Change::OtherConfirmation => {
            let info = re_signed(&info, &signing, |content| {
                // Before the signer's index stands the confirmation.
                let at = content.len() - 4 - 8;
                content[at] ^= 1;
            });
            (now.epoch, now.number, real.root(), info)
        }
        Change::SecretCommit => {
            fork.until(now.number + 1);
            (EpochId::from_bytes([0xfd; 32]), now.number + 1, fork.root(), fork.info())
        }
    };
    let body = TicketBody {
        group_info: Blob(info),
        root,
        number,
        grant: Grant::default(),
        logs,
        named: vec![],
    };
    (ticket(space, &cheat.keys, epoch, &body, &[join]), fork, now.next - 1)
}

#[test]
fn a_members_ticket_into_the_real_epoch_leads_into_no_other_group() {
    let changes =
        [Change::OtherGroup, Change::OtherKey, Change::OtherConfirmation, Change::SecretCommit];
    for (seed, change) in (10..).zip(changes) {
        let (mut world, space) = talk(seed, 3, &[1, 2]);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let (forged, fork, at) = members_ticket(&mut world, &mut cheat, space, change);
        let tap = Tap::on(&mut world, |_, _| false);
        answer_with(&mut world, 3, forged, at);
        let laptop = world.link(0, true).unwrap();
        world.pass(120_000).unwrap();
        assert!(tap.written(laptop, space).is_empty(), "{change:?}: it wrote where nobody else is");
        assert_eq!(tap.opened(&world, laptop, space, &fork.root()), 0, "{change:?}");
        let told = evidence(&mut world, laptop, space);
        let known = says(&told, "a group is not the one that is known under its name");
        assert!(known || matches!(change, Change::SecretCommit), "{change:?}: {told:?}");
        all_is_well(&mut world, space, &[0, 1, laptop]);
    }
}

/// A member pushes a commit that all others pass over, with a ticket of its own: the relay is honest
/// and keeps it as the newest.
fn leave_with_garbage(world: &mut World, cheat: &mut Cheat, space: SpaceId, forged: Blob) {
    let header = header(world, cheat.device, space);
    let (envelope, _) = handshake(world, cheat, space, &header, ([1; 32], b"x"));
    push(world, cheat, space, envelope, forged);
}

fn push(world: &mut World, cheat: &mut Cheat, space: SpaceId, envelope: Blob, ticket: Blob) {
    let push = Push { space, envelopes: vec![envelope], welcomes: None, ticket: Some(ticket) };
    let heard = cheat.say(world, &ClientFrame::Push(push));
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.settle().unwrap();
}

#[test]
fn a_ticket_that_a_member_leaves_with_a_commit_of_garbage_leads_nobody_astray() {
    let changes =
        [Change::OtherGroup, Change::OtherKey, Change::OtherConfirmation, Change::SecretCommit];
    for (seed, change) in (20..).zip(changes) {
        let (mut world, space) = talk(seed, 3, &[1, 2]);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let (forged, fork, _) = members_ticket(&mut world, &mut cheat, space, change);
        leave_with_garbage(&mut world, &mut cheat, space, forged);
        let tap = Tap::on(&mut world, |_, _| false);
        let laptop = world.link(0, true).unwrap();
        world.pass(120_000).unwrap();
        assert_eq!(tap.opened(&world, laptop, space, &fork.root()), 0, "{change:?}");
        // Somebody's next change leaves a good ticket.
        let title = format!("{}on", property_tests::MARK);
        let command = sync_core::Command::SetTitle { conversation: space, title };
        world.expect(0, command).unwrap();
        all_is_well(&mut world, space, &[0, 1, laptop]);
    }
}

/// The commit itself is a good one, and what the log has of it opens for nobody else: its author
/// alone is where its name leads.
#[test]
fn a_commit_that_only_its_author_can_open_takes_no_new_device_along() {
    for (seed, history) in [(30, true), (31, false)] {
        let (mut world, space) = talk(seed, 3, &[1, 2]);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let (logs, join) = logs_and_join(&mut world, &mut cheat, &[0, 1, 2]);
        let roster = group(&world, 2, space).context().roster.clone();
        let header = header(&world, 2, space);
        let number = header.number;
        let real =
            real_commit(&world, &cheat, space, header.clone(), (vec![], vec![]), (roster, vec![]));
        let Handshake { child, root, group_info, .. } = real;
        // The same name, and a payload that is none.
        let binding = sync_core::group::Group::binding_of(&group_info).unwrap();
        let commitment = crate::support::forge::key_commitment(&root, &binding);
        let (envelope, named) = handshake(&world, &cheat, space, &header, (commitment, b"x"));
        assert_eq!(named, child);
        let grant = Grant { from: stand(&world, 2, space).next, ..Grant::default() };
        let body =
            TicketBody { group_info: Blob(group_info), root, number, grant, logs, named: vec![] };
        let forged = ticket(space, &cheat.keys, child, &body, &[join]);
        push(&mut world, &mut cheat, space, envelope, forged);
        let tap = Tap::on(&mut world, |_, _| false);
        let laptop = world.link(0, history).unwrap();
        world.pass(600_000).unwrap();
        assert_eq!(tap.opened(&world, laptop, space, &root), 0, "{history}");
        let title = format!("{}on", property_tests::MARK);
        let command = sync_core::Command::SetTitle { conversation: space, title };
        world.expect(0, command).unwrap();
        honest_again(&mut world);
        world.pass(120_000).unwrap();
        world.settle().unwrap();
        for device in [0, 1, laptop] {
            world.say(device, space).unwrap();
            world.settle().unwrap();
        }
        let epoch = stand(&world, 0, space).epoch;
        assert_eq!(stand(&world, laptop, space).epoch, epoch, "{history}");
        assert!(epochs(&world, 0, space).iter().all(|(known, _)| *known != child));
    }
}

/// A member's invitation under the real epoch's id, with a root of its own.
#[test]
fn an_invitation_under_a_real_epochs_id_leads_into_no_other_group() {
    for (seed, real_tree) in [(40, false), (41, true)] {
        let (mut world, space) = talk(seed, 3, &[1, 2]);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        // The ticket's answer is withheld: the invitation comes first.
        world.set_meddler(Some(Box::new(move |to, frame| match &frame {
            RelayFrame::Reply(Reply { answer: Answer::Ticket { .. }, .. }) if to > 2 => vec![],
            _ => vec![frame],
        })));
        let tap = Tap::on(&mut world, |_, _| false);
        let laptop = world.link(0, true).unwrap();
        world.pass(5_000).unwrap();
        let victim = account(&world, 0);
        let id = world.device(laptop).id.unwrap();
        let (logs, _) = logs_and_join(&mut world, &mut cheat, &[0, 1, 2]);
        let packages = take_packages(&mut world, &mut cheat, victim);
        let taken = packages.into_iter().find(|taken| taken.device == id).unwrap();
        let now = stand(&world, 2, space);
        let mut fork = if real_tree {
            Fork::of(&world, &cheat, space)
        } else {
            look_alike(&cheat, space, &logs)
        };
        let roster = fork.group.context().roster.clone();
        if !real_tree {
            fork.until(now.number - 1);
        }
        let welcome = fork.go_on(vec![taken.package.0], vec![], roster);
        let hpke = log_of(&logs, victim).active(&id).unwrap().keys.hpke;
        let guest = Guest { device: id, hpke };
        let grant = Grant::default();
        let item = invitation(&cheat.keys, (space, now.epoch), &guest, (welcome, logs), &grant);
        hand(&mut world, laptop, item);
        assert!(tap.written(laptop, space).is_empty(), "it wrote where nobody else is");
        assert_eq!(tap.opened(&world, laptop, space, &fork.root()), 0);
        let told = evidence(&mut world, laptop, space);
        assert!(says(&told, "a group is not the one that is known under its name"), "{told:?}");
        all_is_well(&mut world, space, &[0, 1, laptop]);
    }
}

#[test]
fn a_ticket_from_before_a_removal_leads_no_new_device_to_who_was_removed() {
    let (mut world, space) = talk(50, 4, &[1, 2]);
    // The relay keeps the ticket of before.
    let mut ghost = Cheat::with_keys_of(&mut world, 1, 0);
    let heard = ghost.ask(&mut world, sync_protocol::frames::Op::ReadTicket { space });
    let (old, at) = heard
        .into_iter()
        .find_map(|frame| match frame {
            RelayFrame::Reply(Reply { answer: Answer::Ticket { ticket, index }, .. }) => {
                Some((ticket, index))
            }
            _ => None,
        })
        .unwrap();
    let before = group(&world, 2, space);
    let address = world.book().people[2].address.clone();
    let member = sync_core::api::Member::Address(address);
    world.expect(0, sync_core::Command::RemoveMember { conversation: space, member }).unwrap();
    world.settle().unwrap();
    world.say(1, space).unwrap();
    world.settle().unwrap();
    let tap = Tap::on(&mut world, |_, _| false);
    answer_with(&mut world, 4, old, at);
    let tablet = world.link(1, true).unwrap();
    world.pass(120_000).unwrap();
    let root: [u8; 32] = *before.root();
    assert_eq!(tap.opened(&world, tablet, space, &root), 0);
    assert!(tap.of(tablet, space).is_empty(), "it went where who was removed still is");
    all_is_well(&mut world, space, &[0, 1, tablet]);
}

/// A change that all pass over stands behind the newest ticket. Whoever comes in by that can't know
/// that it is nothing: its account's other devices say so by another ticket.
#[test]
fn a_change_that_all_pass_over_keeps_no_new_device_out() {
    for (seed, history) in [(60, true), (61, false)] {
        let (mut world, space) = talk(seed, 3, &[1, 2]);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let header = header(&world, 2, space);
        let (garbage, _) = handshake(&world, &cheat, space, &header, ([1; 32], b"x"));
        cheat.store(&mut world, space, vec![garbage]);
        let laptop = world.link(0, history).unwrap();
        world.pass(120_000).unwrap();
        if history {
            all_is_well(&mut world, space, &[0, 1, laptop]);
        } else {
            it_hears_what_is_said(&mut world, space, &[0, 1, laptop]);
        }
    }
}

/// The relay refuses a new device's entrance, then answers with a member's tickets into a secret
/// branch: that it tried before makes it nobody who was in before.
#[test]
fn a_new_device_that_was_refused_follows_no_member_into_a_branch_of_its_own() {
    let (mut world, space) = talk(62, 3, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (logs, join) = logs_and_join(&mut world, &mut cheat, &[0, 1, 2]);
    let mut fork = Fork::of(&world, &cheat, space);
    let now = stand(&world, 2, space);
    fork.until(now.number + 1);
    let epoch = EpochId::from_bytes([0xfb; 32]);
    let forged = fork.ticket(epoch, now.number + 1, &logs, &[join]);
    let tap = Tap::on(&mut world, |_, _| false);
    let refused = crate::support::shared(false);
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        frame if to < 3 => vec![frame],
        RelayFrame::Stored(stored) if stored.space == space && !*refused.borrow() => {
            *refused.borrow_mut() = true;
            let reason = sync_protocol::Rejection::Behind { index: now.next };
            vec![RelayFrame::Refused { space, seq: 0, reason }]
        }
        RelayFrame::Delivery(sync_protocol::frames::Delivery::Entries(entries))
            if entries.space == space =>
        {
            vec![]
        }
        RelayFrame::Reply(Reply { id, answer: Answer::Ticket { .. } }) if *refused.borrow() => {
            let answer = Answer::Ticket { ticket: forged.clone(), index: now.next };
            vec![RelayFrame::Reply(Reply { id, answer })]
        }
        frame => vec![frame],
    })));
    let laptop = world.link(0, true).unwrap();
    world.pass(300_000).unwrap();
    assert!(tap.of(laptop, space).iter().all(|pushed| pushed.header.epoch != epoch));
    assert_eq!(tap.opened(&world, laptop, space, &fork.root()), 0);
    all_is_well(&mut world, space, &[0, 1, laptop]);
}
