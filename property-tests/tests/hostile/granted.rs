//! What an invitation grants beside keys: with the past or without, its author's word mutes nobody, parts
//! nobody from the others, and keeps nobody out.

use property_tests::World;
use sync_core::Command;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::CommitHeader;
use sync_protocol::frames::{ClientFrame, RelayFrame};
use sync_protocol::{EpochId, SpaceId};

use crate::member_history::{EpochRow, Grant, Secrets, regrant};
use crate::support::cheat::{Cheat, Keys, stand};
use crate::support::ways_in::{Handshake, group, header, named, read_logs, real_commit};
use crate::support::{account, is_member, talk};

/// Of those who talk, who is let in.
const DORA: usize = 3;

/// Ada lets Dora in; what she grants is what `lie` makes of it.
fn lets_dora_in(
    world: &mut World,
    space: SpaceId,
    history: bool,
    lie: impl Fn(&mut Grant) + 'static,
) {
    let inviter = Keys::of(world, 0);
    let records = world.device(DORA).disk.read(b"iaccount");
    let secrets: Secrets = codec::decode("account", &records[b"iaccount".as_slice()]).unwrap();
    world.set_bender(Some(Box::new(move |device, mut frame| {
        if let ClientFrame::Push(push) = &mut frame
            && device == 0
            && push.space == space
            && let Some(welcomes) = &mut push.welcomes
        {
            regrant(welcomes, &inviter, &secrets.hpke, &lie);
        }
        vec![frame]
    })));
    let address = world.book().people[DORA].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: history };
    world.expect(0, add).unwrap();
    world.pass(30_000).unwrap();
    world.set_bender(None);
}

/// Whether one hears what another says within a minute.
fn hears(world: &mut World, who: usize, speaker: usize, space: SpaceId) -> bool {
    let Ok(said) = world.say(speaker, space) else { return false };
    world.pass(60_000).unwrap();
    world.messages(who, space).is_ok_and(|all| all.iter().any(|one| one.message == said))
}

/// She carried the wish out at once, which the relay refuses, and came to nothing else.
#[test]
fn an_invitation_with_the_past_that_says_that_somebody_asked_to_leave_mutes_nobody() {
    let (mut world, space) = talk(1_000, 4, &[1, 2]);
    let bob = account(&world, 1);
    lets_dora_in(&mut world, space, true, move |grant| {
        grant.leavers = vec![(bob, Blob(vec![9; 32]))];
    });
    assert!(hears(&mut world, 1, DORA, space), "Dora is heard by nobody");
    assert!(hears(&mut world, DORA, 1, space));
    assert!(is_member(&world, DORA, space, 1), "Dora has put Bob out for herself");
}

/// The relay has the log that is named, and the group has accepted none of it yet.
#[test]
fn an_invitation_with_the_past_that_names_longer_logs_than_were_accepted_parts_nobody() {
    let (mut world, space) = talk(1_001, 4, &[1, 2]);
    let bob = account(&world, 1);
    for _ in 0..2 {
        world.expect(1, Command::NewRecoveryCode).unwrap();
        world.pass(10_000).unwrap();
    }
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let logs = read_logs(&mut world, &mut cheat, &[bob]);
    assert_eq!(logs[0].1.len(), 3);
    let heads = named(&logs);
    lets_dora_in(&mut world, space, true, move |grant| grant.heads = heads.clone());
    assert!(hears(&mut world, DORA, 1, space));
    // Cleo's program commits new keys, and knows less of Bob's log.
    let older = vec![(bob, logs[0].1[..2].to_vec())];
    let roster = group(&world, 2, space).context().roster.clone();
    let header = CommitHeader { logs: named(&older), ..header(&world, 2, space) };
    let Handshake { envelope, child, .. } =
        real_commit(&world, &cheat, space, header, (vec![], vec![]), (roster, older));
    world.expect(2, Command::GoOffline).unwrap();
    let heard = cheat.push(&mut world, space, vec![envelope]);
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.pass(20_000).unwrap();
    for device in [0, 1, DORA] {
        assert_eq!(stand(&world, device, space).epoch, child, "{device} is elsewhere");
    }
    assert!(hears(&mut world, DORA, 1, space) && hears(&mut world, 1, DORA, space));
}

#[test]
fn an_invitation_with_the_past_that_makes_up_how_the_log_begins_accuses_nobody() {
    let (mut world, space) = talk(1_002, 4, &[1, 2]);
    lets_dora_in(&mut world, space, true, |grant| grant.log_hash = [5; 32]);
    for speaker in [1, DORA, 0] {
        world.say(speaker, space).unwrap();
        world.pass(10_000).unwrap();
    }
    for device in [0, 1, 2, DORA] {
        let told = std::mem::take(&mut world.device_mut(device).evidence);
        assert!(told.is_empty(), "{device}: {told:?}");
    }
}

/// As if she could read from the beginning, with nothing of how far others have written.
#[test]
fn an_invitation_without_the_past_that_names_an_epoch_of_it_mutes_nobody() {
    let (mut world, space) = talk(1_003, 4, &[1, 2]);
    lets_dora_in(&mut world, space, false, |grant| {
        let row = EpochRow { number: 0, index: 0, root: [1; 32], binding: [2; 32], era: 0 };
        grant.epochs = vec![(EpochId::from_bytes([7; 32]), row)];
        grant.frontier.clear();
    });
    for speaker in [0, 1, 2] {
        assert!(hears(&mut world, DORA, speaker, space), "{speaker} is mute to Dora");
    }
    assert!(hears(&mut world, 1, DORA, space));
}

/// She waited for ever for the log to show that she was let in.
#[test]
fn an_invitation_that_begins_behind_its_own_handshake_keeps_nobody_out() {
    for (seed, history, beyond) in [(1_004, false, 1_000), (1_005, true, 1_000), (1_006, false, 1)]
    {
        let (mut world, space) = talk(seed, 4, &[1, 2]);
        lets_dora_in(&mut world, space, history, move |grant| grant.from += beyond);
        world.say(1, space).unwrap();
        world.pass(600_000).unwrap();
        let told = std::mem::take(&mut world.device_mut(DORA).evidence);
        let heard = hears(&mut world, DORA, 1, space);
        assert!(heard, "{history} {beyond}: Dora never comes in: {told:?}");
        assert!(hears(&mut world, 1, DORA, space), "{history} {beyond}: Dora is mute: {told:?}");
    }
}
