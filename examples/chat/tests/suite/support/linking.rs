//! Linking by the scriptable client, and what devices that belong together must agree on.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PATIENCE, Person};

/// What happened so far while a device is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The new device shows its offer.
    Offered,
    /// The primary took it.
    Accepted,
    /// The new device shows the code.
    Coded,
    /// The code was typed.
    Confirming,
    /// The primary says that the device is linked.
    Confirmed,
    /// The new device says so too.
    Done,
}

/// All of them, in order.
pub(crate) const STEPS: [Step; 6] =
    [Step::Offered, Step::Accepted, Step::Coded, Step::Confirming, Step::Confirmed, Step::Done];

/// Links a device with all of its owner's history; gives its id.
pub(crate) fn link(primary: &mut Person, new: &mut Person, name: &str) -> Value {
    let linked = try_link(primary, new, name, |_, _, _| true);
    linked
        .unwrap_or_else(|| panic!("{name} is not linked: {:?} {:?}", primary.notices, new.notices))
}

/// Links a device as far as it goes: to the end, until either process ends or refuses, or until
/// `goes_on` says no. Gives the device's id if it was linked.
pub(crate) fn try_link(
    primary: &mut Person,
    new: &mut Person,
    name: &str,
    mut goes_on: impl FnMut(Step, &mut Person, &mut Person) -> bool,
) -> Option<Value> {
    let qr = new.attempt("device.offer", json!({ "name": name }))?.ok()?["qr"].take();
    // What was told before that answer is about an earlier offer.
    primary.notices.retain(|notice| !is_of_link(notice));
    new.notices.retain(|notice| !is_of_link(notice));
    goes_on(Step::Offered, primary, new).then_some(())?;
    let accept = json!({ "qr": qr, "history": "all" });
    let asked = primary.attempt("device.accept", accept)?.ok()?;
    assert_eq!(asked["name"], name);
    goes_on(Step::Accepted, primary, new).then_some(())?;
    let mut heard = new.hear(is_of_link)?;
    let code = heard["params"]["code"].take();
    (!code.is_null()).then_some(())?;
    goes_on(Step::Coded, primary, new).then_some(())?;
    let id = primary.try_ask("device.confirm", json!({ "code": code }))?;
    goes_on(Step::Confirming, primary, new).then_some(())?;
    let device = primary.try_answer(id)?["result"]["device"].take();
    (!device.is_null()).then_some(())?;
    goes_on(Step::Confirmed, primary, new).then_some(())?;
    let heard = new.hear(is_of_link)?;
    assert_eq!(heard["params"]["device"], device, "{heard}");
    goes_on(Step::Done, primary, new).then_some(device)
}

fn is_of_link(notice: &Value) -> bool {
    notice["method"].as_str().is_some_and(|method| method.starts_with("link."))
}

/// Waits until all of these devices show the same of a space, and gives what they show.
pub(crate) fn agree(people: &mut [&mut Person], space: &Value) -> Value {
    agree_within(people, space, PATIENCE)
}

/// As [`agree`], with more patience.
pub(crate) fn agree_within(people: &mut [&mut Person], space: &Value, patience: Duration) -> Value {
    let deadline = Instant::now() + patience;
    let params = json!({ "space": space });
    loop {
        let digests: Vec<Value> = people
            .iter_mut()
            .map(|person| {
                person.call("sync.wait", json!({ "until": "stored", "timeout_ms": 1_000 }));
                person.attempt("sync.digest", params.clone()).unwrap().unwrap_or(Value::Null)
            })
            .collect();
        if !digests[0].is_null() && digests.windows(2).all(|pair| pair[0] == pair[1]) {
            return digests[0].clone();
        }
        assert!(Instant::now() < deadline, "never equal: {digests:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The device itself, as its status names it.
pub(crate) fn own_device(person: &mut Person) -> Value {
    person.call("account.status", json!({}))["device"].take()
}

/// The account's devices that have not ended, as one of them lists them.
pub(crate) fn active_devices(person: &mut Person) -> Vec<Value> {
    let list = person.call("device.list", json!({}));
    let active = list.as_array().unwrap().iter().filter(|view| view["revoked"] == false);
    active.map(|view| view["device"].clone()).collect()
}

/// Waits until a device knows that it was removed.
pub(crate) fn is_told_that_it_was_removed(person: &mut Person) {
    person.until("account.status", &json!({}), |status| status["problem"]["kind"] == "revoked");
}

/// Copies a store that nobody has open.
pub(crate) fn copy_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
