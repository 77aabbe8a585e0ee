//! Bugs put in on purpose, one of each kind that a system like this must not have: the invariants
//! catch every one.

use property_tests::order::OrderFault;
use property_tests::plan::{Faults, Planted};
use property_tests::{Invariant, Plan, Violation, World, suite};
use sync_core::Command;
use sync_core::api::Member;
use sync_server::store::Table;

/// Seeds within which random worlds must show a planted bug.
const SEEDS: u64 = 40;

fn busy(planted: Planted, faults: Faults) -> Plan {
    let calm = Plan::calm(3).lasting(200);
    Plan { membership: 0, sync_ms: 300, faults, planted, ..calm }
}

fn first_violation(plan: Plan) -> Option<Violation> {
    (0..SEEDS).find_map(|seed| suite::run_with(seed, plan).err())
}

/// The same worlds without the bug are fine, so that it is the bug that is caught.
fn is_caught(planted: Planted, faults: Faults) -> Violation {
    let caught = first_violation(busy(planted, faults)).expect("the planted bug shows");
    let honest = first_violation(busy(Planted::Nothing, faults));
    assert_eq!(honest, None, "the worlds fail without the planted bug, too");
    println!("{planted:?} was caught: {caught}");
    caught
}

#[test]
fn a_planted_lost_acknowledgement_is_caught() {
    let faults = Faults { relay_crash: 4, ..Faults::default() };
    is_caught(Planted::LostAck, faults);
}

#[test]
fn a_planted_reordered_persist_is_caught() {
    let faults = Faults { device_crash: 6, ..Faults::default() };
    is_caught(Planted::ReorderedPersist, faults);
}

#[test]
fn a_planted_order_that_is_not_everybodys_is_caught() {
    let plan = |planted| Plan { nodes: 3, ..busy(planted, Faults::default()) };
    assert_eq!(first_violation(plan(Planted::Nothing)), None, "they fail without it, too");
    for fault in [OrderFault::Swaps, OrderFault::Skips] {
        let caught = first_violation(plan(Planted::Order(fault)));
        println!("{fault:?} was caught: {}", caught.expect("the planted bug shows"));
    }
}

/// A store goes back in time together with what the relay knows of it, so that no fence stops it.
fn a_store_goes_back(forged: bool) -> Result<(), Violation> {
    let mut world = World::with(1, Plan::calm(2));
    world.sign_up()?;
    let space = world.converse(0, &[1])?;
    world.say(0, space)?;
    world.settle()?;
    let copy = world.device(0).disk.copy();
    let fences = world.relay_mut().store().unwrap().table(Table::Fences);
    world.say(0, space)?;
    world.settle()?;
    world.crash_device(0, 1_000);
    world.device_mut(0).disk = copy;
    if forged {
        world.crash_relay(500)?;
        world.relay_mut().store_mut().unwrap().set_table(Table::Fences, &fences);
    }
    world.isolate(0, 20_000);
    world.pass(5_000)?;
    world.say(0, space)?;
    if forged {
        // Nobody tells the device what it wrote in the time that it forgot.
        world.deafen(0);
    }
    world.pass(90_000)?;
    world.settle()
}

#[test]
fn a_planted_reused_number_is_caught() {
    suite::guarded(|| a_store_goes_back(false)).unwrap();
    let caught = suite::guarded(|| a_store_goes_back(true)).unwrap_err();
    println!("ReusedSeq was caught: {caught}");
    assert_eq!(caught.invariant, Invariant::Chained);
}

/// Somebody who has not heard of a removal pushes, and the relay takes it or not.
fn a_push_past_a_removal(planted: Planted) -> Result<(), Violation> {
    let mut world = World::with(2, Plan { planted, ..Plan::calm(3) });
    world.sign_up()?;
    let space = world.converse(0, &[1, 2])?;
    world.settle()?;
    world.isolate(1, 20_000);
    world.pass(1_000)?;
    let member = Member::Address(world.book().people[2].address.clone());
    world.expect(0, Command::RemoveMember { conversation: space, member })?;
    world.wait_until_stored(0)?;
    world.say(1, space)?;
    world.deafen(1);
    world.crash_relay(1_000)?;
    world.pass(90_000)?;
    world.set_meddler(None);
    world.heal()?;
    world.settle()?;
    world.say(0, space)?;
    world.check().map(drop)
}

#[test]
fn a_planted_push_past_an_unseen_removal_is_caught() {
    suite::guarded(|| a_push_past_a_removal(Planted::Nothing)).unwrap();
    let caught = suite::guarded(|| a_push_past_a_removal(Planted::UnseenRemoval)).unwrap_err();
    println!("UnseenRemoval was caught: {caught}");
    assert_eq!(caught.invariant, Invariant::Chained);
}

/// A device is ended, and goes on writing before the spaces have new keys.
fn a_device_writes_after_its_end(planted: Planted) -> Result<(), Violation> {
    let plan = Plan { planted, ..Plan::calm(2) };
    let mut world = World::with(3, plan.with_devices());
    world.sign_up()?;
    let space = world.converse(0, &[1])?;
    world.settle()?;
    let laptop = world.link(0, true)?;
    world.settle()?;
    world.say(laptop, space)?;
    world.settle()?;
    let device = world.device(laptop).id.unwrap();
    world.expect(0, Command::RevokeDevice { device })?;
    world.isolate(0, 20_000);
    let text = world.text("message");
    // Whether it may is for the relay to say.
    let _ =
        world.ask(laptop, Command::SendMessage { conversation: space, text, reply_to: None })?;
    world.pass(90_000)?;
    world.heal()?;
    world.check().map(drop)
}

#[test]
fn a_planted_write_after_the_cut_is_caught() {
    suite::guarded(|| a_device_writes_after_its_end(Planted::Nothing)).unwrap();
    let planted = || a_device_writes_after_its_end(Planted::TakesEnded);
    let caught = suite::guarded(planted).unwrap_err();
    println!("TakesEnded was caught: {caught}");
    assert_eq!(caught.invariant, Invariant::Removed);
}
