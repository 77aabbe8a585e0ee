//! Devices that sleep for weeks: warned of, let in again, and short of nothing.

use sync_core::api::{Command, Event, Response, Status, Until};
use sync_protocol::dormancy::Dormancy;

use crate::support::Town;
use crate::support::linking::{devices, link, talking};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn status(town: &mut Town, n: usize) -> Status {
    match town.run(n, Command::Status) {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

fn come_back(town: &mut Town, n: usize) {
    town.run(n, Command::GoOffline);
    town.run(n, Command::GoOnline);
    town.settle();
}

fn dormancy(town: &mut Town, n: usize, place: usize) -> Option<Dormancy> {
    devices(town, n)[place].dormancy
}

#[test]
fn a_sleeping_device_is_warned_of_and_wakes_with_its_edits() {
    for (days, expected) in [(22, Dormancy::Asleep), (31, Dormancy::Dormant)] {
        let (mut town, id) = talking();
        let (laptop, device) = link(&mut town, 0, true);
        town.run(laptop, Command::GoOffline);
        town.say(laptop, id, "written before the sleep");
        town.say(1, id, "missed");
        town.settle();
        assert_eq!((status(&mut town, 0).away, dormancy(&mut town, 0, 1)), (Vec::new(), None));
        town.now += days * DAY_MS;
        come_back(&mut town, 0);
        let away = status(&mut town, 0).away;
        assert_eq!(away.iter().map(|one| one.device).collect::<Vec<_>>(), [device]);
        assert_eq!((away[0].dormancy, dormancy(&mut town, 0, 1)), (expected, Some(expected)));
        let told = |event: &Event| matches!(event, Event::Status(status) if status.away == away);
        assert!(town.devices[0].events.iter().any(told), "the app hears of it by itself");
        town.run(laptop, Command::GoOnline);
        town.settle();
        assert_eq!(town.run(laptop, Command::Wait(Until::Stored)), Response::Done);
        for n in [0, 1, laptop] {
            let texts = town.texts(n, id);
            assert!(texts.iter().any(|text| text == "missed"), "{n}");
            assert!(texts.iter().any(|text| text == "written before the sleep"), "{n}");
        }
        assert_eq!(town.digest(0, id), town.digest(laptop, id));
        assert_eq!(dormancy(&mut town, 0, 1), None);
        assert_eq!(status(&mut town, 0).away, [], "whoever looked knows that it is back");
    }
}

#[test]
fn only_the_relays_time_counts() {
    let (mut town, _) = talking();
    let (laptop, _) = link(&mut town, 0, true);
    town.run(laptop, Command::GoOffline);
    town.settle();
    for (days, expected) in [(22, Dormancy::Asleep), (31, Dormancy::Dormant)] {
        town.relay_ahead_ms = (days * DAY_MS).cast_signed();
        come_back(&mut town, 0);
        assert_eq!(dormancy(&mut town, 0, 1), Some(expected));
    }
    // The relay's clock was put right, and everybody else's went wrong.
    town.now += 31 * DAY_MS;
    town.relay_ahead_ms = -(31 * DAY_MS).cast_signed();
    come_back(&mut town, 0);
    assert_eq!((status(&mut town, 0).away, dormancy(&mut town, 0, 1)), (Vec::new(), None));
}

#[test]
fn who_is_removed_is_not_warned_of() {
    let (mut town, _) = talking();
    let (laptop, device) = link(&mut town, 0, true);
    town.run(laptop, Command::GoOffline);
    town.now += 31 * DAY_MS;
    come_back(&mut town, 0);
    assert_eq!(status(&mut town, 0).away.len(), 1);
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    assert_eq!(status(&mut town, 0).away, []);
    assert_eq!(dormancy(&mut town, 0, 1), None);
}
