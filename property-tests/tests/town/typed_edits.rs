//! Any sequence of edits by three devices, of which one comes late with history and one without: all end
//! equal in value and fingerprint, and so does whoever only follows what is told of.

use serde_json::{Value, json};
use sync_core::api::{Command, Event, Question, Response, Space};
use sync_core::document::{AppOp, Step, Unit};
use sync_protocol::SpaceId;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;

use crate::support::Town;
use crate::support::linking::link;

const PLAN: &str = "plan";
/// Edits of one world.
const EDITS: usize = 60;
const WORLDS: u64 = 24;

/// Draws numbers, the same for one seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % most.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }
}

fn blob(value: &Value) -> Blob {
    Blob(value.to_string().into_bytes())
}

/// What a device has, with everything tagged that JSON has no word for.
fn read(town: &mut Town, n: usize, space: Space, path: &[Step]) -> Value {
    let question = Question::Content { path: path.to_vec(), typed: true, at: Vec::new() };
    match town.run(n, Command::AskDocument { space, name: PLAN.to_owned(), question }) {
        Response::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

/// The only field of a tagged value.
fn tag<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.as_object().filter(|fields| fields.len() == 1)?.get(name)
}

fn is_leaf(value: &Value) -> bool {
    let tags = ["$text", "$counter", "$time", "$bytes", "$map"];
    tags.iter().any(|name| tag(value, name).is_some()) || !(value.is_object() || value.is_array())
}

/// All places in a document, with what stands there.
fn places(value: &Value, path: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, Value)>) {
    if !path.is_empty() {
        found.push((path.clone(), value.clone()));
    }
    if is_leaf(value) {
        return;
    }
    let mut visit = |step: Step, inner: &Value| {
        path.push(step);
        places(inner, path, found);
        path.pop();
    };
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, inner)| visit(key.as_str().into(), inner))
        }
        Value::Array(items) => (0_u64..).zip(items).for_each(|(n, inner)| visit(n.into(), inner)),
        _ => {}
    }
}

fn some_value(draw: &mut Draw, depth: usize) -> Value {
    match draw.below(if depth < 2 { 10 } else { 7 }) {
        0 => json!(null),
        1 => json!(draw.below(100)),
        2 => json!(0.1 * draw.below(1000) as f64),
        3 => json!(
            *draw.of(&["", "é", "a😀b", "a longer one, which is one value all the same"]).unwrap()
        ),
        4 => {
            let text = *draw.of(&["", "héllo 😀", "abc"]).unwrap();
            json!({ "$text": text })
        }
        5 => json!({ "$counter": draw.below(9) as i64 - 4 }),
        6 => [json!({ "$time": -5 }), json!({ "$bytes": "AQI=" })][draw.below(2)].clone(),
        7 => json!((0..draw.below(4)).map(|_| some_value(draw, depth + 1)).collect::<Vec<_>>()),
        8 => json!({ "$map": { "$text": draw.below(5) } }),
        _ => json!({ "n": some_value(draw, depth + 1), "m": {} }),
    }
}

fn key(draw: &mut Draw) -> Step {
    ["a", "b", "ü", "list", "text", "n"][draw.below(6)].into()
}

/// An edit that can be made of a document as it is.
fn edit(draw: &mut Draw, whole: &Value) -> Vec<AppOp> {
    let mut all = vec![(Vec::new(), whole.clone())];
    places(whole, &mut Vec::new(), &mut all);
    let of = |wanted: fn(&Value) -> bool| -> Vec<(Vec<Step>, Value)> {
        all.iter().filter(|(_, value)| wanted(value)).cloned().collect()
    };
    let maps = of(|value| value.is_object() && !is_leaf(value));
    let lists = of(Value::is_array);
    let mut made = Vec::new();
    match draw.below(11) {
        0 | 1 => {
            let mut path = draw.of(&maps).map(|(path, _)| path.clone()).unwrap_or_default();
            path.push(key(draw));
            made.push(AppOp::Put { path, value: blob(&some_value(draw, 0)) });
        }
        2 | 3 => {
            // What others begin alike, with something in it that is one's own.
            let at = key(draw);
            made.push(AppOp::Ensure { path: vec![at.clone()], value: blob(&json!([])) });
            let is_list = whole.get(name(&at)).is_none_or(Value::is_array);
            if is_list {
                let value = blob(&some_value(draw, 0));
                made.push(AppOp::Insert { path: vec![at, 0.into()], value });
            }
        }
        4 | 5 => {
            if let Some((path, list)) = draw.of(&lists) {
                let len = list.as_array().map_or(0, Vec::len);
                let path = [path.as_slice(), &[(draw.below(len + 1) as u64).into()]].concat();
                made.push(AppOp::Insert { path, value: blob(&some_value(draw, 0)) });
            }
        }
        6 => made.extend(draw.of(&all[1..]).map(|(path, _)| AppOp::Delete { path: path.clone() })),
        7 => {
            let many = |(_, list): &&(_, Value)| list.as_array().is_some_and(|list| list.len() > 1);
            let lists: Vec<_> = lists.iter().filter(many).cloned().collect();
            if let Some((path, list)) = draw.of(&lists) {
                let len = list.as_array().map_or(0, Vec::len);
                let path = [path.as_slice(), &[(draw.below(len) as u64).into()]].concat();
                made.push(AppOp::Move { path, to: draw.below(len) as u64 });
            }
        }
        8 => {
            let counters = of(|value| tag(value, "$counter").is_some());
            let by = draw.below(9) as i64 - 4;
            made.extend(
                draw.of(&counters).map(|(path, _)| AppOp::Increment { path: path.clone(), by }),
            );
        }
        9 => {
            let texts = of(|value| tag(value, "$text").is_some_and(Value::is_string));
            if let Some((path, text)) = draw.of(&texts) {
                let len = tag(text, "$text")
                    .and_then(Value::as_str)
                    .map_or(0, |text| text.chars().count());
                let index = draw.below(len + 1);
                made.push(AppOp::SpliceText {
                    path: path.clone(),
                    index: index as u64,
                    delete: draw.below(len - index + 1) as u64,
                    insert: ["", "x", "😀é"][draw.below(3)].to_owned(),
                    unit: Unit::Characters,
                });
            }
        }
        _ => {
            let places: Vec<_> = all[1..].to_vec();
            if let Some((path, was)) = draw.of(&places) {
                let value = blob(&json!({ "was": was }));
                made.push(AppOp::Convert { path: path.clone(), value });
            }
        }
    }
    made
}

fn name(step: &Step) -> &str {
    match step {
        Step::Key(key) => key,
        Step::Index(_) => "",
    }
}

/// Somebody who has the document as it was once, and reads again only where something is told of.
struct Follower {
    device: usize,
    shown: Value,
}

impl Follower {
    fn new(town: &mut Town, device: usize, space: Space) -> Self {
        town.devices[device].events.clear();
        Self { device, shown: read(town, device, space, &[]) }
    }

    fn follow(&mut self, town: &mut Town, space: Space) {
        let events = std::mem::take(&mut town.devices[self.device].events);
        for event in events {
            let Event::Document { name, paths, .. } = event else { continue };
            if name != "app/plan" && !name.is_empty() {
                continue;
            }
            for path in paths.unwrap_or_else(|| vec![Vec::new()]) {
                if !self.take(town, space, &path) {
                    // What it belongs into is not known: it was told of, too, or came with its parent.
                    self.shown = read(town, self.device, space, &[]);
                }
            }
        }
    }

    fn take(&mut self, town: &mut Town, space: Space, path: &[Step]) -> bool {
        let value = read(town, self.device, space, path);
        let Some((last, way)) = path.split_last() else {
            self.shown = value;
            return true;
        };
        let mut place = &mut self.shown;
        for step in way {
            let inner = match step {
                Step::Key(key) => place.as_object_mut().and_then(|fields| fields.get_mut(key)),
                Step::Index(n) => place.as_array_mut().and_then(|list| list.get_mut(*n as usize)),
            };
            let Some(inner) = inner else { return false };
            place = inner;
        }
        let nothing = value.is_null() && conflicts(town, self.device, space, path).is_empty();
        match (place, last) {
            (Value::Object(fields), Step::Key(key)) => {
                if nothing {
                    fields.remove(key);
                } else {
                    fields.insert(key.clone(), value);
                }
                true
            }
            (Value::Array(list), Step::Index(n)) if !nothing => {
                list.get_mut(*n as usize).map(|place| *place = value).is_some()
            }
            _ => false,
        }
    }
}

fn conflicts(town: &mut Town, n: usize, space: Space, path: &[Step]) -> Vec<Value> {
    let question = Question::Conflicts { path: path.to_vec() };
    match town.run(n, Command::AskDocument { space, name: PLAN.to_owned(), question }) {
        Response::Conflicts(all) => all.into_iter().map(|view| view.value).collect(),
        other => panic!("{other:?}"),
    }
}

fn address(n: usize) -> Address {
    format!("person{n}").parse().unwrap()
}

/// Ada is there from the beginning; Bob comes with history, Cat without, at some time.
fn world(seed: u64) {
    let mut draw = Draw(seed);
    let mut town = Town::new(3);
    town.sign_up_all(0..3);
    town.settle();
    let id: SpaceId = town.found(0, "Tea", &[]);
    town.settle();
    let space = Space::Conversation(id);
    let mut here = vec![0];
    let mut offline = [false; 8];
    let mut followers: Vec<Follower> = vec![Follower::new(&mut town, 0, space)];
    let (bob, cat) = (draw.below(EDITS / 2), draw.below(EDITS / 2));
    let linked = draw.below(EDITS);
    for turn in 0..EDITS {
        for (at, n, history) in [(bob, 1, true), (cat, 2, false)] {
            if at == turn {
                let address = address(n);
                if offline[0] {
                    town.run(0, Command::GoOnline);
                    offline[0] = false;
                }
                town.run(
                    0,
                    Command::AddMember { conversation: id, address, share_history: history },
                );
                town.settle();
                here.push(n);
                followers.push(Follower::new(&mut town, n, space));
            }
        }
        if linked == turn && seed.is_multiple_of(2) && !offline[0] {
            let (laptop, _) = link(&mut town, 0, draw.below(2) == 0);
            town.pass(5_000);
            here.push(laptop);
            followers.push(Follower::new(&mut town, laptop, space));
        }
        let n = *draw.of(&here).unwrap();
        match draw.below(12) {
            0 => {
                town.run(n, if offline[n] { Command::GoOnline } else { Command::GoOffline });
                offline[n] = !offline[n];
            }
            1 if !offline[n] => {
                town.restart(n);
                town.devices[n].events.push(all_may_have_changed(space));
            }
            2 => town.settle(),
            _ => {
                let whole = read(&mut town, n, space, &[]);
                let ops = edit(&mut draw, &whole);
                let command = Command::ChangeDocument { space, name: PLAN.to_owned(), ops };
                let told = format!("seed {seed}, turn {turn}: {command:?} of {whole}");
                town.try_run(n, command).unwrap_or_else(|error| panic!("{error:?}: {told}"));
            }
        }
        let follower = &mut followers[draw.below(here.len())];
        follower.follow(&mut town, space);
    }
    for n in &here {
        if offline[*n] {
            town.run(*n, Command::GoOnline);
        }
    }
    town.settle();
    let expected = read(&mut town, 0, space, &[]);
    let digest = town.digest(0, id).documents[&"app/plan".to_owned()].clone();
    for n in &here {
        assert_eq!(read(&mut town, *n, space, &[]), expected, "seed {seed}, device {n}");
        let own = town.digest(*n, id).documents[&"app/plan".to_owned()].clone();
        assert_eq!(own, digest, "seed {seed}, device {n}");
    }
    for follower in &mut followers {
        follower.follow(&mut town, space);
        assert_eq!(follower.shown, expected, "seed {seed}, who follows on {}", follower.device);
    }
    for n in &here {
        town.restart(*n);
        town.settle();
        assert_eq!(read(&mut town, *n, space, &[]), expected, "seed {seed}, device {n} anew");
    }
}

/// As a host tells an app whose connection to the engine was gone.
fn all_may_have_changed(space: Space) -> Event {
    let Space::Conversation(space) = space else { panic!("no conversation") };
    Event::Document { space, name: String::new(), paths: None, by: None }
}

#[test]
fn any_sequence_of_edits_ends_equal_on_all_and_for_who_follows_what_is_told() {
    for seed in 0..WORLDS / 2 {
        world(seed);
    }
}

#[test]
fn any_other_sequence_of_edits_ends_equal_too() {
    for seed in WORLDS / 2..WORLDS {
        world(seed);
    }
}
