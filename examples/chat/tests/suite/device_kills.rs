//! Devices killed at each step of linking, revoking and recovering: nothing is half done, and either
//! side can start again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::linking::{
    STEPS, Step, active_devices, agree, is_told_that_it_was_removed, link, own_device, try_link,
};
use crate::support::{PATIENCE, Person, World};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    New,
    Primary,
}

/// When somebody is killed at no particular step: times that fall all over what is under way.
fn moments() -> impl Iterator<Item = Duration> {
    (0..8_u64).map(|n| Duration::from_millis((n * 137 + n * n * 31) % 700))
}

/// Ada, with one conversation and its one message, and her code.
struct Ada {
    primary: Person,
    recovery_code: Value,
    conversation: Value,
    stores: [String; 2],
}

impl Ada {
    fn sign_up(world: &World, trial: &str) -> Self {
        let address = format!("ada-{trial}");
        let stores = [address.clone(), format!("{address}-new")];
        let mut primary = world.open(&stores[0]);
        let params = json!({ "address": address, "name": "Ada" });
        let recovery_code = primary.call("account.create", params)["recovery_code"].take();
        let params = json!({ "title": "Notes", "members": [] });
        let conversation = primary.call("conversation.create", params)["conversation"].take();
        let hello = json!({ "conversation": conversation, "text": "hello" });
        primary.call("message.send", hello);
        primary.wait("stored");
        Self { primary, recovery_code, conversation, stores }
    }

    /// After whatever happened, the new device is linked, or is as empty as before and can be
    /// linked now; and the account has these two devices and no other.
    fn ends_linked(&mut self, new: &mut Person) {
        let deadline = Instant::now() + PATIENCE;
        while new.call("account.status", json!({}))["device"].is_null() {
            assert!(Instant::now() < deadline, "the new device can't be linked again");
            if try_link(&mut self.primary, new, "new", |_, _, _| true).is_none() {
                // It looks for a while whether it was linked, and the primary may be on its way.
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        agree(&mut [&mut self.primary, new], &self.conversation);
        agree(&mut [&mut self.primary, new], &"account".into());
        let mut expected =
            [own_device(&mut self.primary), own_device(new)].map(|id| id.to_string());
        expected.sort();
        let mut active: Vec<_> =
            active_devices(&mut self.primary).iter().map(Value::to_string).collect();
        active.sort();
        assert_eq!(active, expected, "no device is half linked");
        let text = json!({ "conversation": self.conversation, "text": "from the new one" });
        new.call("message.send", text);
        agree(&mut [&mut self.primary, new], &self.conversation);
    }
}

/// Kills at one step and goes on.
fn kill_at(world: &World, step: Step, victim: Victim) {
    println!("{victim:?} dies when {step:?}");
    let mut ada = Ada::sign_up(world, &format!("{step:?}-{victim:?}").to_lowercase());
    let mut new = world.open(&ada.stores[1]);
    try_link(&mut ada.primary, &mut new, "new", |at, primary, new| {
        if at == step {
            match victim {
                Victim::New => new.stop(),
                Victim::Primary => primary.stop(),
            }
        }
        at != step
    });
    match victim {
        Victim::New => new = world.open(&ada.stores[1]),
        Victim::Primary => ada.primary = world.open(&ada.stores[0]),
    }
    ada.ends_linked(&mut new);
}

#[test]
fn a_new_device_killed_at_any_step_of_linking_is_linked_or_can_be_linked_again() {
    let world = World::start();
    for step in STEPS {
        kill_at(&world, step, Victim::New);
    }
}

#[test]
fn a_primary_killed_at_any_step_of_linking_has_linked_or_can_link_again() {
    let world = World::start();
    for step in STEPS {
        kill_at(&world, step, Victim::Primary);
    }
}

#[test]
fn either_side_of_a_link_killed_at_any_time_leaves_nothing_half_done() {
    let world = World::start();
    for (n, delay) in moments().enumerate() {
        let victim = if n % 2 == 0 { Victim::New } else { Victim::Primary };
        println!("{victim:?} dies after {delay:?}");
        let mut ada = Ada::sign_up(&world, &format!("link{n}"));
        let mut new = world.open(&ada.stores[1]);
        // The process is up when it answers.
        new.call("account.status", json!({}));
        let killer = match victim {
            Victim::New => new.kill_in(delay),
            Victim::Primary => ada.primary.kill_in(delay),
        };
        try_link(&mut ada.primary, &mut new, "new", |_, _, _| true);
        killer.join().unwrap();
        match victim {
            Victim::New => {
                new.stop();
                new = world.open(&ada.stores[1]);
            }
            Victim::Primary => {
                ada.primary.stop();
                ada.primary = world.open(&ada.stores[0]);
            }
        }
        ada.ends_linked(&mut new);
    }
}

/// After whatever happened, the device is revoked, or still can be; and it is told.
fn ends_revoked(ada: &mut Ada, laptop: &mut Person, device: &Value) {
    ada.primary.wait("up_to_date");
    if active_devices(&mut ada.primary).contains(device) {
        ada.primary.call("device.revoke", json!({ "device": device }));
    }
    assert!(!active_devices(&mut ada.primary).contains(device));
    ada.primary.wait("stored");
    let later = json!({ "conversation": ada.conversation, "text": "sealed later" });
    ada.primary.call("message.send", later);
    ada.primary.wait("stored");
    is_told_that_it_was_removed(laptop);
    assert!(!laptop.texts(&ada.conversation).contains(&"sealed later".to_owned()));
}

#[test]
fn a_revocation_survives_the_death_of_either_side() {
    let world = World::start();
    for (n, delay) in moments().enumerate() {
        let victim = if n % 2 == 0 { Victim::Primary } else { Victim::New };
        println!("{victim:?} dies {delay:?} after a revocation was asked for");
        let mut ada = Ada::sign_up(&world, &format!("revoke{n}"));
        let mut laptop = world.open(&ada.stores[1]);
        let device = link(&mut ada.primary, &mut laptop, "laptop");
        agree(&mut [&mut ada.primary, &mut laptop], &ada.conversation);
        let killer = match victim {
            Victim::New => laptop.kill_in(delay),
            Victim::Primary => ada.primary.kill_in(delay),
        };
        ada.primary.attempt("device.revoke", json!({ "device": device }));
        killer.join().unwrap();
        match victim {
            Victim::New => {
                laptop.stop();
                laptop = world.open(&ada.stores[1]);
            }
            Victim::Primary => {
                ada.primary.stop();
                ada.primary = world.open(&ada.stores[0]);
            }
        }
        ends_revoked(&mut ada, &mut laptop, &device);
    }
}

#[test]
fn a_device_killed_while_it_logs_out_is_empty_or_still_belongs_to_the_account() {
    let world = World::start();
    for (n, delay) in moments().enumerate() {
        println!("the laptop dies {delay:?} after it logs out");
        let mut ada = Ada::sign_up(&world, &format!("logout{n}"));
        let mut laptop = world.open(&ada.stores[1]);
        let device = link(&mut ada.primary, &mut laptop, "laptop");
        agree(&mut [&mut ada.primary, &mut laptop], &ada.conversation);
        let killer = laptop.kill_in(delay);
        laptop.attempt("device.revoke", json!({ "device": device }));
        killer.join().unwrap();
        laptop.stop();
        laptop = world.open(&ada.stores[1]);
        let status = laptop.call("account.status", json!({}));
        if status["account"].is_null() {
            let list =
                |list: &Value| list.as_array().unwrap().len() == 2 && list[1]["revoked"] == true;
            ada.primary.until("device.list", &json!({}), list);
            link(&mut ada.primary, &mut laptop, "laptop again");
            agree(&mut [&mut ada.primary, &mut laptop], &ada.conversation);
        } else {
            ends_revoked(&mut ada, &mut laptop, &device);
        }
    }
}

#[test]
fn a_recovery_killed_at_any_time_has_happened_or_can_be_repeated_with_the_same_code() {
    let world = World::start();
    for (n, delay) in moments().enumerate() {
        println!("the recovering device dies after {delay:?}");
        let mut ada = Ada::sign_up(&world, &format!("recover{n}"));
        let mut new = world.open(&ada.stores[1]);
        new.call("account.status", json!({}));
        let recover = json!({
            "address": ada.stores[0], "recovery_code": ada.recovery_code, "name": "new",
        });
        let killer = new.kill_in(delay);
        new.attempt("account.recover", recover.clone());
        killer.join().unwrap();
        new.stop();
        new = world.open(&ada.stores[1]);
        if new.call("account.status", json!({}))["account"].is_null() {
            new.call("account.recover", recover);
        }
        new.until("conversation.list", &json!({}), |list| !list.as_array().unwrap().is_empty());
        new.until("message.list", &json!({ "conversation": ada.conversation }), |list| {
            list[0]["text"] == "hello"
        });
        let text = json!({ "conversation": ada.conversation, "text": "back" });
        new.call("message.send", text);
        new.wait("stored");
        let own = own_device(&mut new);
        assert_eq!(active_devices(&mut new), [own]);
        // The code that the answer would have brought may never have been seen.
        let code = new.call("account.new_recovery_code", json!({}))["recovery_code"].take();
        assert!(code != Value::Null && code != ada.recovery_code);
        is_told_that_it_was_removed(&mut ada.primary);
        assert!(!ada.primary.texts(&ada.conversation).contains(&"back".to_owned()));
    }
}
