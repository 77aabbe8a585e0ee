//! Where a removed device's writing ends.

use sync_protocol::envelope::Cut;
use sync_protocol::error::Rejection;
use sync_protocol::roster::RosterChange;
use sync_server::relay::SessionId;

use crate::support::{Device, add, join, push, space};
use crate::world::{World, refusals, stored};

/// Ada with a second device, a phone, in space 1: three entries, the last two the phone's.
struct Scene {
    world: World,
    ada: Device,
    phone: Device,
    at_ada: SessionId,
    at_phone: SessionId,
}

fn scene() -> Scene {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let at_ada = world.connect(&mut ada);
    let mut phone = world.link(at_ada, &mut ada, 2);
    let at_phone = world.connect(&mut phone);
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![join(&phone)])];
    world.send(at_ada, push(space(1), start));
    let words = (0..2).map(|_| phone.content(space(1), 2)).collect();
    world.send(at_phone, push(space(1), words));
    world.commit();
    world.inboxes.clear();
    Scene { world, ada, phone, at_ada, at_phone }
}

impl Scene {
    /// Ada removes the phone; what the relay says to it.
    fn remove(&mut self, cursor: u64, cuts: Vec<Cut>) -> Vec<Rejection> {
        let out = self.ada.remove_devices(space(1), cursor, &[&self.phone], cuts);
        self.world.take(self.at_ada);
        self.world.send(self.at_ada, push(space(1), vec![out]));
        self.world.commit();
        let frames = self.world.take(self.at_ada);
        let reasons = refusals(&frames);
        assert_eq!(stored(&frames).len() + reasons.len(), 1);
        reasons
    }
}

#[test]
fn a_device_ends_where_all_of_it_was_read() {
    let mut scene = scene();
    let cut = scene.phone.cut(4);
    assert!(scene.remove(4, vec![cut]).is_empty());
}

#[test]
fn who_cuts_what_it_has_not_seen_is_behind_and_reads_on() {
    let mut scene = scene();
    let late = scene.phone.content(space(1), 2);
    scene.world.send(scene.at_phone, push(space(1), vec![late]));
    scene.world.commit();
    let (early, late) = (scene.phone.cut(4), scene.phone.cut(5));
    assert_eq!(scene.remove(4, vec![early]), [Rejection::Behind { index: 4 }]);
    assert!(scene.remove(5, vec![late]).is_empty());
}

#[test]
fn what_others_wrote_meanwhile_does_not_matter() {
    let mut scene = scene();
    let word = scene.ada.content(space(1), 4);
    scene.world.send(scene.at_ada, push(space(1), vec![word]));
    scene.world.commit();
    let cut = scene.phone.cut(4);
    assert!(scene.remove(4, vec![cut]).is_empty());
}

#[test]
fn one_cut_ends_every_writer_of_a_device() {
    let mut scene = scene();
    for n in 0..3 {
        scene.phone.incarnation += 1;
        scene.phone.rewind(space(1));
        (scene.phone.fence, scene.phone.next_fence) = (0, 900 + n);
        let again = scene.world.connect(&mut scene.phone);
        let word = scene.phone.content(space(1), 2);
        scene.world.send(again, push(space(1), vec![word]));
        scene.world.commit();
    }
    let (early, late) = (scene.phone.cut(6), scene.phone.cut(7));
    assert_eq!(scene.remove(6, vec![early]), [Rejection::Behind { index: 6 }]);
    assert!(scene.remove(7, vec![late]).is_empty());
}

#[test]
fn cuts_are_those_of_the_devices_that_go_and_end_where_their_author_stands() {
    let mut scene = scene();
    let (right, early, late) = (scene.phone.cut(4), scene.phone.cut(3), scene.phone.cut(5));
    let other = scene.ada.cut(4);
    for wrong in [vec![], vec![early], vec![late], vec![other], vec![right, other], vec![right; 2]]
    {
        assert_eq!(scene.remove(4, wrong), [Rejection::Invalid]);
    }
    assert!(scene.remove(4, vec![right]).is_empty());
}

/// The relay takes in what only devices can find to be worthless: it must not keep a device in.
#[test]
fn a_device_can_not_ward_off_its_removal_with_what_nobody_counts() {
    let mut scene = scene();
    let garbage = scene.phone.content(space(1), 2);
    scene.world.send(scene.at_phone, push(space(1), vec![garbage]));
    scene.world.commit();
    let (early, late) = (scene.phone.cut(4), scene.phone.cut(5));
    assert_eq!(scene.remove(4, vec![early]), [Rejection::Behind { index: 4 }]);
    assert!(scene.remove(5, vec![late]).is_empty());
}

#[test]
fn the_cuts_of_whole_accounts_are_the_logs_to_decide() {
    let mut world = World::new();
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let (a, b) = (world.connect(&mut ada), world.connect(&mut bob));
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob)])];
    world.send(a, push(space(1), start));
    let word = bob.content(space(1), 2);
    world.send(b, push(space(1), vec![word]));
    let out = ada.handshake(space(1), 2, vec![crate::support::remove(&bob)]);
    world.take(a);
    world.send(a, push(space(1), vec![out]));
    world.commit();
    assert_eq!(refusals(&world.take(a)), []);
}

#[test]
fn the_cut_of_a_device_elsewhere_does_not_matter() {
    let mut scene = scene();
    let founding = scene.phone.found(space(2));
    let word = scene.phone.content(space(2), 1);
    scene.world.send(scene.at_phone, push(space(2), vec![founding, word]));
    scene.world.commit();
    let cut = scene.phone.cut(4);
    assert!(scene.remove(4, vec![cut]).is_empty());
}

/// It comes in by the newest ticket, whose author may not have read what it wrote since.
#[test]
fn a_device_that_takes_the_place_of_its_own_leaf_is_not_cut() {
    let mut scene = scene();
    let account = scene.phone.account;
    let out = RosterChange::RemoveDevices { account, devices: vec![scene.phone.id] };
    let back = join(&scene.phone);
    let entrance = scene.phone.handshake(space(1), 2, vec![out, back]);
    scene.world.take(scene.at_phone);
    scene.world.send(scene.at_phone, push(space(1), vec![entrance]));
    scene.world.commit();
    let frames = scene.world.take(scene.at_phone);
    assert_eq!(refusals(&frames), []);
    assert_eq!(stored(&frames).len(), 1);
    let word = scene.phone.content(space(1), 5);
    scene.world.send(scene.at_phone, push(space(1), vec![word]));
    scene.world.commit();
    assert_eq!(stored(&scene.world.take(scene.at_phone))[0].seq, 3, "it goes on writing");
}
