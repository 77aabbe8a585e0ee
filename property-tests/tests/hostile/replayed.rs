//! A relay that shows an old invitation once more.

use property_tests::World;
use sync_core::Command;
use sync_core::api::Member;
use sync_protocol::frames::{Delivery, InboxItem, RelayFrame};
use sync_protocol::{SpaceId, limits};

use crate::support::cheat::{Cheat, stand};
use crate::support::ways_in::{inbox_frame, take_packages};
use crate::support::{Shared, account, shared, talk};

const DORA: usize = 3;

/// Keeps the invitation that Dora gets.
fn tape(world: &mut World, space: SpaceId) -> Shared<Option<InboxItem>> {
    let taped = shared(None);
    let tape = taped.clone();
    world.set_meddler(Some(Box::new(move |to, frame| {
        if let RelayFrame::Delivery(Delivery::Inbox(items)) = &frame
            && to == DORA
            && let Some(item) = items.iter().find(|item| item.space == Some(space))
        {
            *tape.borrow_mut() = Some(item.clone());
        }
        vec![frame]
    })));
    taped
}

/// Dora was let in by the package that she gives when all others are used up. Since then Cleo was put out,
/// and Dora left. The relay shows her the invitation again, and the log as it was then.
#[test]
fn an_old_invitation_leads_nobody_back_to_who_is_gone_since() {
    let (mut world, space) = talk(1_040, 4, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let dora = account(&world, DORA);
    for _ in 0..=limits::PACKAGES_PER_HOUR {
        take_packages(&mut world, &mut cheat, dora);
    }
    drop(cheat);
    let taped = tape(&mut world, space);
    let address = world.book().people[DORA].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: false };
    world.expect(0, add).unwrap();
    world.pass(20_000).unwrap();
    for device in [0, 1, DORA] {
        world.say(device, space).unwrap();
        world.pass(5_000).unwrap();
    }
    let end = stand(&world, 0, space).next;
    let member = Member::Address(world.book().people[2].address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
    world.pass(20_000).unwrap();
    world.expect(DORA, Command::Leave { conversation: space }).unwrap();
    world.pass(60_000).unwrap();
    let item = taped.borrow().clone().unwrap();
    let mut again = Some(InboxItem { number: item.number + 100, ..item });
    world.set_meddler(Some(Box::new(move |to, frame| match frame {
        frame if to != DORA => vec![frame],
        RelayFrame::Welcome(_) => {
            std::iter::once(frame).chain(again.take().map(inbox_frame)).collect()
        }
        RelayFrame::Delivery(Delivery::Entries(mut entries)) if entries.space == space => {
            entries.entries.truncate(end.saturating_sub(entries.first) as usize);
            vec![RelayFrame::Delivery(Delivery::Entries(entries))]
        }
        frame => vec![frame],
    })));
    world.expect(DORA, Command::GoOffline).unwrap();
    world.expect(DORA, Command::GoOnline).unwrap();
    world.pass(60_000).unwrap();
    let text = format!("{}for Cleo to read", property_tests::MARK);
    let send = Command::SendMessage { conversation: space, text, reply_to: None };
    assert!(world.ask(DORA, send).unwrap().is_err(), "Dora is where Cleo is still in");
}
