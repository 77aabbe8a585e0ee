//! Many words of one member where one would be enough: what others keep of them is bounded.

use sync_core::document::people::Person;
use sync_core::document::{Edit, Name};

use crate::support::cheat::{Cheat, stand};
use crate::support::forge::Set;
use crate::support::{account, talk};

/// A member is called something else each time it speaks.
#[test]
fn a_member_of_many_names_fills_nobodys_own_space() {
    let (mut world, space) = talk(981, 3, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let own = account(&world, 0).space();
    let before = stand(&world, 0, own).next;
    for n in 0..30 {
        let (name, version) = (format!("Mallory the {n}th"), (1 << 32) + n);
        let person = Person { name, version, tag: cheat.writer.tag() };
        let changes = cheat.changes(&world, space, &Name::People(0), &[Edit::Person(person)]);
        cheat.write(&mut world, space, &Set::of(Name::People(0), changes));
    }
    let written = stand(&world, 0, own).next - before;
    assert!(written <= 4, "Ada's own space grew by {written} entries");
}
