//! Many people with several devices each, put into one conversation at once.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use sync_client::{Client, Events, Notice, Options};
use sync_core::api::{ConversationChange, Event, Join, LinkEvent, Until};
use sync_protocol::SpaceId;
use tempfile::TempDir;

use crate::people::{PATIENCE, reached};
use crate::process::Server;
use crate::report::{Measure, Target};
use crate::rounds::Scale;
use crate::{Outcome, failed, machine};

/// Devices that are opened and linked side by side.
const SIDE_BY_SIDE: usize = 8;
/// How often something is looked at that is not told.
const LOOK: Duration = Duration::from_millis(50);
/// Seconds in which all have to be in.
const WITHIN_S: f64 = 10.0;

/// Somebody's devices, the primary first.
type Person = Vec<Client>;

/// Devices around a relay of its own process.
struct Crowd {
    people: Vec<Person>,
    _relay: Server,
    _directory: TempDir,
}

/// All by one call, and one by one without waiting between the calls.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let (count, devices) = scale.pick((4, 2), (20, 3), (80, 3));
    let burst = scale.pick(3, 16, 67);
    let crowd = Crowd::gather(count, devices).await?;
    let first = crowd.first()?;

    let who = format!("{count} people with {devices} devices each");
    let everybody = crowd.people.iter().flatten().collect::<Vec<_>>();
    let mut events: Vec<Events> = everybody.iter().map(|client| client.events()).collect();
    let spent = processor_s()?;
    let started = Instant::now();
    let members: Vec<String> = (1..count).map(address).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let id = first.conversations().create("A crowd", &members).await?.id();
    reached(first.wait(Until::Stored, PATIENCE).await?)?;
    let stored = started.elapsed();
    let others = everybody.iter().zip(&mut events).skip(1);
    all_show(others.map(|(client, events)| (*client, events)), id, count).await?;
    let shown = started.elapsed();
    let spent = processor_s()? - spent;

    let conversation = first.conversations().create("A burst", &[]).await?;
    let id = conversation.id();
    reached(first.wait(Until::Stored, PATIENCE).await?)?;
    let added = crowd.people.get(1..=burst).ok_or_else(|| failed("too few people"))?;
    let joining: Vec<&Client> = added.iter().flatten().collect();
    let mut events: Vec<Events> = joining.iter().map(|client| client.events()).collect();
    let leaves = joining.len();
    let again = Instant::now();
    let calls = (1..=burst).map(|n| {
        let (conversation, address) = (conversation.clone(), address(n));
        async move { conversation.add(&address, true).await }
    });
    futures_util::future::try_join_all(calls).await?;
    reached(first.wait(Until::Stored, PATIENCE).await?)?;
    let burst_stored = again.elapsed();
    let joining = joining.into_iter().zip(&mut events);
    all_show(joining, id, burst + 1).await?;
    let burst_shown = again.elapsed();
    crowd.part().await;
    let figure = |what: String, time: Duration| {
        Measure::new("crowd", what, time.as_secs_f64(), "s").toward(Target::AtMost(WITHIN_S))
    };
    Ok(vec![
        figure(format!("{who}, by one call: stored"), stored),
        figure(format!("{who}, by one call: on all devices"), shown),
        Measure::new("crowd", "processor time of all these devices for it", spent, "s"),
        figure(format!("{leaves} leaves added in a burst: stored"), burst_stored),
        figure(format!("{leaves} leaves added in a burst: on all devices"), burst_shown),
    ])
}

/// Seconds of processor time of all clients: they live in this process.
fn processor_s() -> Outcome<f64> {
    machine::processor_s(std::process::id())
}

fn address(n: usize) -> String {
    format!("person{n}")
}

/// Waits until all of these are in a conversation and show so many members.
async fn all_show<'a>(
    clients: impl Iterator<Item = (&'a Client, &'a mut Events)>,
    id: SpaceId,
    members: usize,
) -> Outcome<()> {
    for (client, events) in clients {
        told(events, |event| match event {
            Event::Conversation { conversation, change: ConversationChange::Joined }
                if conversation == id =>
            {
                Some(())
            }
            _ => None,
        })
        .await?;
        let started = Instant::now();
        while shown(client, id).await? != members {
            if started.elapsed() > PATIENCE {
                return Err(failed("not all members are shown"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

async fn shown(client: &Client, id: SpaceId) -> Outcome<usize> {
    let all = client.conversations().list().await?;
    let view = all.into_iter().find(|view| view.conversation == id);
    Ok(view.map_or(0, |view| view.members.len()))
}

/// Waits for an event.
async fn told<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> Outcome<T> {
    let coming = async {
        loop {
            match events.next().await {
                Some(Notice::Event(event)) => match wanted(event) {
                    Some(found) => return Ok(found),
                    None => continue,
                },
                Some(Notice::Lagged(_)) | None => return Err(failed("notices were lost")),
                Some(_) => {}
            }
        }
    };
    let coming = tokio::time::timeout(PATIENCE, coming).await;
    coming.map_err(|_| failed("what was waited for did not happen"))?
}

impl Crowd {
    /// Signs people up and links their devices.
    async fn gather(count: usize, devices: usize) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let relay = Server::relay(&directory.path().join("relay"), None)?;
        let (home, url) = (directory.path().to_owned(), relay.url());
        let people = (0..count).map(|n| {
            let (home, url) = (home.clone(), url.clone());
            async move {
                let home = |device: usize| home.join(format!("person{n}-{device}"));
                let primary = open(&home(0), &url).await?;
                primary.account().create(&address(n), &format!("Person {n}")).await?;
                reached(primary.wait(Until::UpToDate, PATIENCE).await?)?;
                reached(primary.wait(Until::Stored, PATIENCE).await?)?;
                let mut person = vec![primary];
                for device in 1..devices {
                    let linked = link(&person, &home(device), &url).await?;
                    person.push(linked);
                }
                Ok::<_, crate::Failure>(person)
            }
        });
        let people = stream::iter(people).buffered(SIDE_BY_SIDE).try_collect().await?;
        Ok(Self { people, _relay: relay, _directory: directory })
    }

    fn first(&self) -> Outcome<&Client> {
        self.people.first().and_then(|person| person.first()).ok_or_else(|| failed("nobody"))
    }

    async fn part(self) {
        let closing = self.people.into_iter().flatten().map(Client::close);
        futures_util::future::join_all(closing).await;
    }
}

async fn open(home: &std::path::Path, url: &str) -> Outcome<Client> {
    let options = Options { notices: 1 << 12, ..Options::default() };
    Ok(Client::open(home, url, options).await?)
}

/// Links a new device of somebody.
async fn link(person: &[Client], home: &std::path::Path, url: &str) -> Outcome<Client> {
    let primary = person.first().ok_or_else(|| failed("nobody"))?;
    let guest = open(home, url).await?;
    let mut events = guest.events();
    let offer = guest.devices().offer("another", Join::Any).await?;
    primary.devices().accept(&offer, true).await?;
    let code = told(&mut events, |event| match event {
        Event::Link(LinkEvent::Code { code, .. }) => Some(code),
        _ => None,
    });
    primary.devices().confirm(&code.await?).await?;
    let done = |event| matches!(event, Event::Link(LinkEvent::Done { .. })).then_some(());
    told(&mut events, done).await?;
    reached(guest.wait(Until::UpToDate, PATIENCE).await?)?;
    reached(primary.wait(Until::Stored, PATIENCE).await?)?;
    Ok(guest)
}
