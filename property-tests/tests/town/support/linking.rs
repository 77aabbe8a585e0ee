//! Linking in a town, step by step.

use sync_core::api::{Command, DeviceView, Event, Join, LinkEvent, Response, Status};
use sync_protocol::{DeviceId, SpaceId};

use super::Town;

pub(crate) fn offer(town: &mut Town, n: usize) -> String {
    let (name, join) = (format!("device {n}"), Join::Any);
    let id = town.tell(n, Command::OfferDevice { name, join });
    town.pass(1_000);
    match town.devices[n].answers.remove(&id) {
        Some(Ok(Response::Offer(offer))) => offer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code(town: &Town, n: usize) -> String {
    shown_code(town, n).expect("a code is shown")
}

/// The newest code that a device shows, if it does.
pub(crate) fn shown_code(town: &Town, n: usize) -> Option<String> {
    let mut codes = town.devices[n].events.iter().filter_map(|event| match event {
        Event::Link(LinkEvent::Code { code, .. }) => Some(code.clone()),
        _ => None,
    });
    codes.next_back()
}

/// A new device that shows its code to whoever uses `primary`; gives its number and the code.
pub(crate) fn offered(town: &mut Town, primary: usize, history: bool) -> (usize, String) {
    let n = town.arrive();
    let offer = offer(town, n);
    town.tell(primary, Command::AcceptDevice { offer, history });
    town.pass(1_000);
    (n, code(town, n))
}

pub(crate) fn status(town: &mut Town, n: usize) -> Status {
    match town.run(n, Command::Status) {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// The space of a device's account.
pub(crate) fn own_space(town: &mut Town, n: usize) -> SpaceId {
    status(town, n).account.expect("it has an account").space()
}

/// Whether a link of this device came to nothing.
pub(crate) fn failed(town: &Town, n: usize) -> bool {
    town.devices[n].events.iter().any(|e| matches!(e, Event::Link(LinkEvent::Failed(_))))
}

/// Links a new device to the account of `primary`; gives its number and id.
pub(crate) fn link(town: &mut Town, primary: usize, history: bool) -> (usize, DeviceId) {
    let n = town.arrive();
    let offer = offer(town, n);
    let name = town.tell(primary, Command::AcceptDevice { offer, history });
    town.pass(1_000);
    let name = town.devices[primary].answers.remove(&name).unwrap().unwrap();
    assert_eq!(name, Response::DeviceName(format!("device {n}")));
    let code = code(town, n);
    assert_eq!(code.len(), 7);
    let Response::Device(device) = town.run(primary, Command::ConfirmDevice { code }) else {
        panic!("not linked");
    };
    town.settle();
    let done = town.devices[n].events.iter().any(
        |event| matches!(event, Event::Link(LinkEvent::Done { device: of, .. }) if *of == device),
    );
    assert!(done, "{:?}", town.devices[n].events);
    (n, device)
}

pub(crate) fn devices(town: &mut Town, n: usize) -> Vec<DeviceView> {
    match town.run(n, Command::ListDevices) {
        Response::Devices(devices) => devices,
        other => panic!("{other:?}"),
    }
}

/// Two people who have talked: Ada (0) and Bob (1).
pub(crate) fn talking() -> (Town, SpaceId) {
    let mut town = Town::new(2);
    town.sign_up(0, "ada");
    town.sign_up(1, "bob");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    for n in 0..5 {
        town.say(0, id, &format!("from ada {n}"));
        town.say(1, id, &format!("from bob {n}"));
        town.settle();
    }
    (town, id)
}
