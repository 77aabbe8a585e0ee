//! What will happen when: the world's only order of events.

use std::collections::BTreeMap;

/// Events by time; those of one time in the order in which they were planned.
#[derive(Clone, Debug)]
pub struct Agenda<E> {
    now_ms: u64,
    planned: u64,
    events: BTreeMap<(u64, u64), E>,
}

impl<E> Agenda<E> {
    /// An empty agenda that starts at this time, Unix milliseconds.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { now_ms, planned: 0, events: BTreeMap::new() }
    }

    /// The world's time, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Plans an event for a time, which is now at the earliest.
    pub fn at(&mut self, time_ms: u64, event: E) {
        self.planned += 1;
        self.events.insert((time_ms.max(self.now_ms), self.planned), event);
    }

    /// Plans an event so many milliseconds from now.
    pub fn after(&mut self, delay_ms: u64, event: E) {
        self.at(self.now_ms.saturating_add(delay_ms), event);
    }

    /// The next event due by `limit_ms`; the time moves on to it. Without one, the time moves on
    /// to the limit.
    pub fn next(&mut self, limit_ms: u64) -> Option<E> {
        let due = self.events.first_key_value().map(|((time, _), _)| *time);
        if due.is_none_or(|time| time > limit_ms) {
            self.now_ms = self.now_ms.max(limit_ms);
            return None;
        }
        let ((time, _), event) = self.events.pop_first()?;
        self.now_ms = time;
        Some(event)
    }

    /// Events planned and not yet come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing is planned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_by_plan() {
        let mut agenda = Agenda::new(100);
        agenda.after(5, 'b');
        agenda.after(5, 'c');
        agenda.at(50, 'a');
        agenda.after(50, 'd');
        let mut came = Vec::new();
        while let Some(event) = agenda.next(120) {
            came.push((event, agenda.now_ms()));
        }
        assert_eq!(came, [('a', 100), ('b', 105), ('c', 105)]);
        assert_eq!((agenda.now_ms(), agenda.len()), (120, 1));
    }
}
