//! A reader whose device writes all the same: what it writes counts nowhere, whoever reads it and when.

use property_tests::World;
use sync_core::Command;
use sync_core::api::{Member, Space};
use sync_core::document::{AppOp, Edit, Name, NewMessage, OrderKey, Stamp, Step};
use sync_protocol::SpaceId;
use sync_protocol::codec::Blob;
use sync_protocol::roster::Role;

use crate::support::cheat::Cheat;
use crate::support::forge::Set;
use crate::support::{agree, conversation, digest, shown, the_group_goes_on};

fn plan() -> Name {
    Name::App(0, "plan".into())
}

fn put(key: &str) -> AppOp {
    AppOp::Put { path: vec![Step::from(key)], value: Blob(b"1".to_vec()) }
}

fn set_role(world: &mut World, space: SpaceId, of: usize, role: Role) {
    let member = Member::Address(world.book().people[of].address.clone());
    world.expect(0, Command::SetRole { conversation: space, member, role }).unwrap();
    world.settle().unwrap();
}

#[test]
fn what_a_reader_or_a_commenter_forces_into_the_log_counts_nowhere() {
    for (seed, role) in [(1, Role::Reader), (2, Role::Commenter)] {
        let (mut world, space) = conversation(seed, 3);
        let of = Space::Conversation(space);
        let write =
            Command::ChangeDocument { space: of, name: "plan".into(), ops: vec![put("by ada")] };
        world.expect(0, write).unwrap();
        world.settle().unwrap();
        set_role(&mut world, space, 2, role);
        let before = (digest(&mut world, 0, space).documents, shown(&mut world, 0, space));
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let edits = [Edit::App { ops: vec![put("by the reader")] }];
        let into_plan = Set::of(plan(), cheat.changes(&world, space, &plan(), &edits));
        cheat.write(&mut world, space, &into_plan);
        let index = Name::App(0, ".".into());
        let edits = [Edit::App {
            ops: vec![AppOp::Put {
                path: vec![Step::from("plan")],
                value: Blob(br#"{"deleted":true}"#.to_vec()),
            }],
        }];
        let deletes = Set::of(index.clone(), cheat.changes(&world, space, &index, &edits));
        cheat.write(&mut world, space, &deletes);
        let after = digest(&mut world, 0, space).documents;
        assert_eq!(after.get("app/plan"), before.0.get("app/plan"), "{role:?}");
        let name = Name::Messages(0);
        let stamp = Stamp { ms: world.now_ms(), counter: 1 };
        let key = OrderKey { stamp, tag: cheat.writer.tag() };
        let edits = [Edit::Message(NewMessage::new(key, "from the reader"))];
        let message = Set::of(name.clone(), cheat.changes(&world, space, &name, &edits));
        cheat.write(&mut world, space, &message);
        let said = shown(&mut world, 0, space).iter().any(|face| face.message == key);
        assert_eq!(said, role == Role::Commenter);
        world.crash_device(1, 100);
        world.pass(2_000).unwrap();
        world.settle().unwrap();
        agree(&mut world, &[0, 1], space);
        let read = digest(&mut world, 1, space).documents;
        assert_eq!(read.get("app/plan"), before.0.get("app/plan"), "{role:?}");
        if role == Role::Reader {
            assert_eq!(shown(&mut world, 1, space), before.1);
        }
        the_group_goes_on(&mut world, space, &[0, 1]);
    }
}
