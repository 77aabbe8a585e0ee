//! Invitations that wait: to a conversation that a device is still in, because it has not read yet that it
//! was put out.

use sync_core::Command;
use sync_core::api::Member;
use sync_protocol::EpochId;
use sync_protocol::frames::{ClientFrame, Push, RelayFrame, WelcomeFor, Welcomes};

use crate::support::cheat::{Cheat, Keys};
use crate::support::ways_in::{Grant, Guest, handshake, header, invitation, log_of, read_logs};
use crate::support::{account, agree, nothing_is_missing, talk};

/// Bob is put out and put back while he is away, with all that was said. A member that may let in nobody
/// sends him an invitation to the same conversation after that.
#[test]
fn an_invitation_of_nobodys_takes_no_other_ones_place() {
    let (mut world, space) = talk(970, 3, &[1, 2]);
    world.expect(1, Command::GoOffline).unwrap();
    let address = world.book().people[1].address.clone();
    let member = Member::Address(address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
    world.pass(10_000).unwrap();
    world.say(0, space).unwrap();
    world.pass(10_000).unwrap();
    let add = Command::AddMember { conversation: space, address, share_history: true };
    world.expect(0, add).unwrap();
    world.pass(20_000).unwrap();
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let (bob, device) = (account(&world, 1), Keys::of(&world, 1).device());
    let both = [bob, account(&world, 2)];
    let logs = read_logs(&mut world, &mut cheat, &both);
    let guest = Guest { device, hpke: log_of(&logs, bob).active(&device).unwrap().keys.hpke };
    let epoch = EpochId::from_bytes([0xfa; 32]);
    let item =
        invitation(&cheat.keys, (space, epoch), &guest, (vec![7; 300], logs), &Grant::default());
    let header = header(&world, 2, space);
    let (garbage, _) = handshake(&world, &cheat, space, &header, ([1; 32], b"x"));
    let items = vec![WelcomeFor { account: bob, device, item: item.item }];
    let welcomes = Some(Welcomes { common: item.common.unwrap_or_default(), items });
    let push = Push { space, envelopes: vec![garbage], welcomes, ticket: None };
    let heard = cheat.say(&mut world, &ClientFrame::Push(push));
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.expect(1, Command::GoOnline).unwrap();
    world.pass(60_000).unwrap();
    for device in [0, 1, 2] {
        world.say(device, space).unwrap();
        world.pass(20_000).unwrap();
    }
    agree(&mut world, &[0, 1, 2], space);
    nothing_is_missing(&mut world, 1, space);
}
