//! The engine's host in a world: inputs in, outputs carried out.

use sync_core::api::{ConversationChange, LinkEvent, Response, Space, Status};
use sync_core::records::{Batch, Load, Records};
use sync_core::{Command, CommandId, Engine, Event as Told, Failure, Input, Output};

use super::{Event, World};
use crate::trace::short;
use crate::violation::{Invariant, Violation};

/// Outputs that one input may cause.
const OUTPUTS: usize = 20_000;
/// The longest that a host sleeps, in ms.
const SLEEP_MS: u64 = 30 * 24 * 3600 * 1000;

/// How long a claim may be on its way to the screen, in ms.
const STALE_MS: u64 = 10_000;

impl World {
    /// Gives an engine an input and carries out what it wants.
    pub(super) fn feed(&mut self, device: usize, input: Input) -> Result<(), Violation> {
        let slot = &mut self.devices[device];
        let now_ms = slot.clock.shows(self.agenda.now_ms());
        let Some(engine) = &mut slot.engine else { return Ok(()) };
        engine.handle(now_ms, input);
        self.drain(device)
    }

    pub(super) fn drain(&mut self, device: usize) -> Result<(), Violation> {
        for _ in 0..OUTPUTS {
            let slot = &mut self.devices[device];
            let Some(output) = slot.engine.as_mut().and_then(Engine::poll_output) else {
                return Ok(());
            };
            if self.chaos && self.chance.device(device).one_in(self.plan.faults.output_crash) {
                let back_ms = self.chance.device(device).below(5_000);
                self.crash_device(device, back_ms);
                return Ok(());
            }
            self.carry_out(device, output)?;
        }
        let detail = format!("device {device} answers one input without end");
        Err(Violation::new(Invariant::Robust, detail))
    }

    fn carry_out(&mut self, device: usize, output: Output) -> Result<(), Violation> {
        match output {
            Output::Persist(batch) => self.persist(device, batch),
            Output::Load(load) => self.load(device, load),
            Output::Connect => self.dial(device),
            Output::Disconnect => {
                self.note(format_args!("{device} disconnects"));
                let now_ms = self.agenda.now_ms();
                self.devices[device].unconfirm(now_ms);
                if let Some(id) = self.devices[device].connection.take() {
                    self.hang_up(id);
                }
            }
            Output::Send(message) => {
                self.note(format_args!("{device} sends {}", short(&message)));
                self.send_up(device, message)?;
            }
            Output::Wake(at_ms) => self.sleep(device, at_ms),
            Output::Respond(id, answer) => self.answered(device, id, answer)?,
            Output::Notify(told) => self.told(device, told)?,
        }
        Ok(())
    }

    fn persist(&mut self, device: usize, batch: Batch) {
        let number = batch.number;
        let writes = batch.writes.len();
        let delay = self.chance.device(device).between(0, self.plan.sync_ms);
        let slot = &mut self.devices[device];
        let life = slot.life;
        if !slot.disk.write(batch) {
            self.note(format_args!("{device} has no room"));
            self.agenda.after(delay, Event::StoreFailed { device, life });
            return;
        }
        let due = slot.synced_ms.max(self.agenda.now_ms() + delay);
        slot.synced_ms = due;
        self.note(format_args!("{device} persists {number} of {writes}"));
        self.agenda.at(due, Event::Synced { device, life, number });
    }

    fn load(&mut self, device: usize, load: Load) {
        self.note(format_args!("{device} loads {load:?}"));
        let delay = self.chance.device(device).between(0, self.plan.sync_ms);
        let slot = &self.devices[device];
        let records = slot.disk.read(&load.prefix());
        let life = slot.life;
        self.agenda.after(delay, Event::Loaded { device, life, load, records });
    }

    /// A host sleeps for as long as it is now from the time asked for, by its own clock; if the
    /// clock is set meanwhile, it wakes early or late.
    fn sleep(&mut self, device: usize, at_ms: u64) {
        let slot = &mut self.devices[device];
        slot.wake += 1;
        let now_ms = slot.clock.shows(self.agenda.now_ms());
        let delay = at_ms.saturating_sub(now_ms).min(SLEEP_MS);
        let (life, wake) = (slot.life, slot.wake);
        self.agenda.after(delay, Event::Woken { device, life, wake });
    }

    pub(super) fn synced(
        &mut self,
        device: usize,
        life: u64,
        number: u64,
    ) -> Result<(), Violation> {
        if self.devices[device].life != life {
            return Ok(());
        }
        self.devices[device].disk.sync(number);
        self.back_up(device);
        self.feed(device, Input::Persisted(number))
    }

    pub(super) fn loaded(
        &mut self,
        device: usize,
        life: u64,
        load: Load,
        records: Records,
    ) -> Result<(), Violation> {
        if self.devices[device].life != life {
            return Ok(());
        }
        self.feed(device, Input::Loaded(load, records))
    }

    /// A host that learns of a failed store closes the engine and opens it anew.
    pub(super) fn store_failed(&mut self, device: usize, life: u64) -> Result<(), Violation> {
        if self.devices[device].life != life {
            return Ok(());
        }
        self.note(format_args!("store of {device} failed"));
        self.feed(device, Input::StoreFailed)?;
        if self.devices[device].life == life {
            let back_ms = self.chance.device(device).below(2_000);
            self.switch_off(device);
            self.agenda.after(back_ms, Event::Boot { device });
        }
        Ok(())
    }

    pub(super) fn woken(&mut self, device: usize, life: u64, wake: u64) -> Result<(), Violation> {
        let slot = &self.devices[device];
        if slot.life != life || slot.wake != wake {
            return Ok(());
        }
        self.note(format_args!("{device} wakes"));
        self.feed(device, Input::Woken)
    }

    /// A user looks at the list of conversations again.
    pub(super) fn refresh(&mut self, device: usize, life: u64) -> Result<(), Violation> {
        if self.devices[device].life != life {
            return Ok(());
        }
        self.give(device, Command::ListConversations).map(drop)
    }

    /// Gives an engine a command.
    pub(super) fn give(&mut self, device: usize, command: Command) -> Result<CommandId, Violation> {
        let slot = &mut self.devices[device];
        let id = slot.next_command();
        if slot.engine.is_none() {
            return Ok(id);
        }
        let asked = slot.asked(command.clone());
        self.book.attempted((device, slot.person), &asked);
        slot.asked.insert(id, asked);
        self.note(format_args!("{device} wants {id} {command:?}"));
        self.tell_command(device, &command);
        self.watch_command(device, &command);
        self.feed(device, Input::Command(id, command))?;
        Ok(id)
    }

    fn answered(
        &mut self,
        device: usize,
        id: CommandId,
        answer: Result<Response, Failure>,
    ) -> Result<(), Violation> {
        self.note(format_args!("{device} is answered {id} {answer:?}"));
        let slot = &mut self.devices[device];
        let Some(asked) = slot.asked.remove(&id) else {
            let detail = format!("device {device} answers command {id} twice, or never asked");
            return Err(Violation::new(Invariant::Robust, detail));
        };
        if let Err(failure) = &answer {
            self.tell_failure(device, &asked.command, failure);
        }
        let slot = &mut self.devices[device];
        if matches!(answer, Err(Failure::Store)) {
            self.book.unanswered(device, slot.person, &asked);
        }
        self.book.answered((device, slot.person), &asked, &answer);
        if let Ok(response) = &answer {
            self.show(device, &asked.command, response)?;
        }
        if self.has_churn() {
            self.devices_answered(device, &asked.command, &answer)?;
        }
        self.devices[device].answers.insert(id, answer);
        Ok(())
    }

    /// What an answer puts on the screen.
    fn show(
        &mut self,
        device: usize,
        command: &Command,
        response: &Response,
    ) -> Result<(), Violation> {
        let slot = &mut self.devices[device];
        match (command, response) {
            (_, Response::Conversations(views)) => slot.screen.list(views),
            (Command::ListMessages { conversation, before, .. }, Response::Messages(page)) => {
                if before.is_none() {
                    slot.screen.page(*conversation, page)?;
                }
                self.shown(device, *conversation, page);
            }
            (Command::Digest { space: Space::Conversation(space) }, Response::Digest(digest)) => {
                slot.screen.digest(*space, digest)?;
            }
            (_, Response::Status(status)) => self.claims(device, status)?,
            _ => {}
        }
        Ok(())
    }

    /// Messages that somebody saw, and ticks that their authors saw, are promises.
    fn shown(
        &mut self,
        device: usize,
        space: sync_protocol::SpaceId,
        page: &[sync_core::api::MessageView],
    ) {
        for view in page {
            if let Some(written) = self.book.written.get_mut(&(space, view.message)) {
                if written.device == device {
                    written.stored |= view.status >= sync_core::api::Progress::Stored;
                } else {
                    written.shown = true;
                }
            }
        }
    }

    fn told(&mut self, device: usize, told: Told) -> Result<(), Violation> {
        self.trace.aside(|| format!("{device} is told {told:?}"));
        self.tell_event(device, &told);
        match told {
            Told::Status(status) => self.claims(device, &status),
            Told::Evidence { space, why } => {
                self.note(format_args!("{device} has evidence in {space:?}: {why}"));
                if !self.cheated {
                    let detail = format!("device {device} accuses an honest relay: {why}");
                    return Err(Violation::new(Invariant::Honest, detail));
                }
                self.accuses(device, &why)?;
                self.devices[device].evidence.push((space, why.to_string()));
                Ok(())
            }
            Told::Revoked { .. } => {
                self.devices[device].told_revoked = true;
                Ok(())
            }
            Told::Link(LinkEvent::Account(whose)) => {
                let joins = Command::JoinAccount { account: whose.account };
                self.give(device, joins).map(drop)
            }
            Told::Link(LinkEvent::Code { code, .. }) => {
                self.code_shown(device, code);
                Ok(())
            }
            Told::Link(LinkEvent::Done { device: id, .. }) => {
                self.link_done(device, id);
                Ok(())
            }
            Told::Link(LinkEvent::Failed(_)) => {
                self.link_failed(device);
                Ok(())
            }
            Told::Conversation { conversation, change } => {
                if change == ConversationChange::Joined {
                    self.book.joined(self.devices[device].person, conversation);
                    if self.plan.decisions > 0 {
                        self.accept_later(device, conversation);
                    }
                }
                let life = self.devices[device].life;
                self.agenda.after(0, Event::Refresh { device, life });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A device must not claim more than the relay told it on this connection.
    fn claims(&mut self, device: usize, status: &Status) -> Result<(), Violation> {
        let slot = &mut self.devices[device];
        slot.screen.status = status.clone();
        if self.plan.churn > 0 {
            self.status_seen(device, status);
        }
        let slot = &self.devices[device];
        // What the engine says may wait for its disk behind what it said before.
        let over = slot.confirmed_until_ms.saturating_add(STALE_MS) < self.agenda.now_ms();
        let honest = self.meddler.is_none() && self.tamperer.is_none();
        if status.up_to_date && over && honest {
            let detail = format!("device {device} claims to be up to date without being told");
            return Err(Violation::new(Invariant::Honest, detail));
        }
        let now_ms = slot.clock.shows(self.agenda.now_ms());
        let later = status.last_confirmed_ms.is_some_and(|at_ms| at_ms > now_ms);
        if later && self.plan.faults.clock == 0 {
            let detail = format!("device {device} was confirmed in the future");
            return Err(Violation::new(Invariant::Honest, detail));
        }
        Ok(())
    }
}
