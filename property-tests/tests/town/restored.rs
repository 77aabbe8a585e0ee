//! A relay that was put back to an earlier backup: it begins a new generation, and its devices write
//! again what it lacks of theirs.

use sync_core::api::Command;
use sync_protocol::SpaceId;
use sync_server::rules::put_back;
use sync_server::store::MemoryStore;

use crate::support::Town;
use crate::support::linking::{link, status};

impl Town {
    /// What a backup made now holds.
    fn backup(&mut self) -> MemoryStore {
        assert!(!self.exchange(), "at rest");
        self.relay.store().durable()
    }

    /// The relay is stopped, and started anew over what was put back.
    fn put_back(&mut self, mut backup: MemoryStore, generation: u64) {
        put_back(&mut backup, generation).unwrap();
        self.restart_relay(backup);
    }
}

fn all_agree(town: &mut Town, id: SpaceId, devices: &[usize], texts: usize) {
    let digest = town.digest(devices[0], id);
    for n in devices {
        assert_eq!(town.texts(*n, id).len(), texts, "device {n}");
        assert_eq!(town.digest(*n, id), digest, "device {n}");
        let status = status(town, *n);
        assert!(status.up_to_date && status.problem.is_none(), "{status:?}");
        assert_eq!(status.waiting, 0);
    }
}

#[test]
fn what_came_after_the_backup_is_written_again_by_those_who_wrote_it() {
    let mut town = Town::new(3);
    sign_up_all(&mut town, &["ada", "bob", "car"]);
    let id = town.found(0, "Tea", &["bob", "car"]);
    town.settle();
    for n in 0..20 {
        town.say(n % 3, id, &format!("before {n}"));
        town.settle();
    }
    let backup = town.backup();
    town.run(2, Command::GoOffline);
    for n in 0..20 {
        town.say(n % 2, id, &format!("after {n}"));
        town.settle();
    }
    town.put_back(backup, 78);
    town.settle();
    town.run(2, Command::GoOnline);
    town.settle();
    all_agree(&mut town, id, &[0, 1, 2], 40);
    assert!(
        status(&mut town, 0).put_back_ms.is_some() && status(&mut town, 1).put_back_ms.is_some()
    );
    assert_eq!(status(&mut town, 2).put_back_ms, None, "it had read nothing that was lost");
    for n in 0..10 {
        town.say(n % 3, id, &format!("later {n}"));
        town.settle();
    }
    all_agree(&mut town, id, &[0, 1, 2], 50);
    for n in 0..3 {
        town.restart(n);
    }
    town.settle();
    all_agree(&mut town, id, &[0, 1, 2], 50);
}

fn sign_up_all(town: &mut Town, names: &[&str]) {
    for (n, name) in names.iter().enumerate() {
        town.sign_up(n, name);
    }
}

fn add(town: &mut Town, by: usize, id: SpaceId, address: &str) {
    let (address, share_history) = (address.parse().unwrap(), true);
    town.run(by, Command::AddMember { conversation: id, address, share_history });
    town.settle();
}

#[test]
fn members_who_came_after_the_backup_come_again_and_all_reads_as_before() {
    let mut town = Town::new(4);
    sign_up_all(&mut town, &["ada", "bob", "car", "dan"]);
    let id = town.found(0, "Tea", &["bob", "car"]);
    town.settle();
    town.say(0, id, "before");
    town.settle();
    let backup = town.backup();
    town.run(2, Command::GoOffline);
    town.say(0, id, "from ada");
    town.say(1, id, "from bob");
    town.settle();
    add(&mut town, 0, id, "dan");
    town.say(3, id, "from dan");
    town.settle();
    let title = "More tea".to_owned();
    town.run(0, Command::SetTitle { conversation: id, title });
    town.settle();
    town.say(1, id, "from bob again");
    town.settle();
    all_agree(&mut town, id, &[0, 1, 3], 5);
    town.put_back(backup, 78);
    town.settle();
    all_agree(&mut town, id, &[0, 1, 3], 5);
    town.run(2, Command::GoOnline);
    town.settle();
    all_agree(&mut town, id, &[0, 1, 2, 3], 5);
    for n in 0..4 {
        town.say(n, id, &format!("later {n}"));
        town.settle();
    }
    all_agree(&mut town, id, &[0, 1, 2, 3], 9);
}

#[test]
fn what_was_founded_after_the_backup_is_founded_again() {
    let mut town = Town::new(4);
    sign_up_all(&mut town, &["ada", "bob", "car"]);
    town.settle();
    let backup = town.backup();
    town.sign_up(3, "eve");
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    town.say(1, id, "from bob");
    town.settle();
    add(&mut town, 0, id, "eve");
    town.say(3, id, "from eve");
    town.settle();
    let other = town.found(3, "Late", &["ada", "car"]);
    town.settle();
    town.say(0, other, "welcome");
    town.say(2, other, "from car");
    town.settle();
    town.put_back(backup, 78);
    town.settle();
    all_agree(&mut town, id, &[0, 1, 3], 2);
    all_agree(&mut town, other, &[3, 0, 2], 2);
    for n in [0, 1, 3] {
        town.say(n, id, &format!("later {n}"));
        town.settle();
    }
    all_agree(&mut town, id, &[0, 1, 3], 5);
    // Its address leads to it again.
    add(&mut town, 0, id, "car");
    let third = town.found(2, "Third", &["eve"]);
    town.settle();
    town.say(3, third, "here");
    town.settle();
    assert_eq!(town.texts(2, third), ["here"]);
    all_agree(&mut town, id, &[0, 1, 2, 3], 5);
}

#[test]
fn devices_that_were_linked_or_ended_after_the_backup_are_so_again() {
    let mut town = Town::new(2);
    sign_up_all(&mut town, &["ada", "bob"]);
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    let (old, device) = link(&mut town, 0, true);
    let backup = town.backup();
    let (new, _) = link(&mut town, 0, true);
    town.run(0, Command::RevokeDevice { device });
    town.settle();
    town.say(new, id, "from the new one");
    town.say(1, id, "from bob");
    town.settle();
    town.put_back(backup, 78);
    town.settle();
    all_agree(&mut town, id, &[0, 1, new], 2);
    assert_eq!(town.texts(old, id), Vec::<String>::new(), "it stays out");
    town.say(new, id, "later");
    town.settle();
    all_agree(&mut town, id, &[0, 1, new], 3);
}

/// Whoever was there for a change and restarted since knows it from its disk.
#[test]
fn whoever_restarts_meanwhile_writes_again_all_the_same() {
    let mut town = Town::new(3);
    sign_up_all(&mut town, &["ada", "bob", "car"]);
    let id = town.found(0, "Tea", &["bob"]);
    town.settle();
    let backup = town.backup();
    town.say(0, id, "from ada");
    town.settle();
    add(&mut town, 0, id, "car");
    town.say(2, id, "from car");
    town.say(1, id, "from bob");
    town.settle();
    town.run(2, Command::GoOffline);
    town.run(0, Command::GoOffline);
    town.restart(0);
    town.put_back(backup, 78);
    town.run(0, Command::GoOffline);
    town.settle();
    town.say(1, id, "written before the others are back");
    town.settle();
    assert_eq!(town.texts(1, id).len(), 4);
    assert!(status(&mut town, 1).waiting > 0, "what it builds on is not back");
    town.restart(1);
    town.run(0, Command::GoOnline);
    town.settle();
    town.run(2, Command::GoOnline);
    town.settle();
    all_agree(&mut town, id, &[0, 1, 2], 4);
}

/// Twice in a row, and with other things told in between.
#[test]
fn many_histories_end_alike() {
    for seed in 0..20usize {
        eprintln!("seed {seed}");
        let mut town = Town::new(4);
        sign_up_all(&mut town, &["ada", "bob", "car", "dan"]);
        let id = town.found(0, "Tea", &["bob", "car"]);
        town.settle();
        let (mut said, mut has_dan) = (0, false);
        let mut away = seed % 3;
        for round in 0..2 {
            for n in 0..seed % 5 {
                town.say((seed + n) % 3, id, &format!("{round} before {n}"));
                said += 1;
            }
            town.settle();
            let backup = town.backup();
            away = (away + 1) % 3;
            town.run(away, Command::GoOffline);
            for n in 0..3 + seed % 7 {
                let by = (seed * 7 + n) % 3;
                if by != away {
                    town.say(by, id, &format!("{round} after {n}"));
                    said += 1;
                }
                if n % 2 == 0 {
                    town.settle();
                }
                if n == 2 && away != 0 && !has_dan && seed % 4 == 1 {
                    add(&mut town, 0, id, "dan");
                    has_dan = true;
                }
            }
            town.settle();
            town.put_back(backup, 100 + round);
            if seed % 2 == 0 {
                town.settle();
            }
            town.run(away, Command::GoOnline);
            town.settle();
            let devices = if has_dan { vec![0, 1, 2, 3] } else { vec![0, 1, 2] };
            all_agree(&mut town, id, &devices, said);
        }
    }
}
