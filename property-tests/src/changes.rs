//! Changes to a seed's plan, as a command line says them: `decisions=40,people=2,no=cut+stall`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::plan::Plan;

/// What of a plan is another than its seed drew. Without any, the world is the seed's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    numbers: BTreeMap<&'static str, u64>,
    /// What is left out where it would have happened. The rest stays as it was drawn, which a weight
    /// of 0 would not leave it.
    no: BTreeSet<&'static str>,
    only: Option<BTreeSet<u64>>,
}

/// Why changes can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesError {
    /// No plan has a number of this name.
    NoSuchName(String),
    /// What follows a name is not what belongs there.
    NotAValue(String),
}

impl fmt::Display for ChangesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName(name) => {
                let names: Vec<_> = Plan::names().collect();
                write!(f, "a plan has no {name:?}; it has {}, no and only", names.join(", "))
            }
            Self::NotAValue(change) => write!(f, "{change:?} is no change, as people=2 is one"),
        }
    }
}

impl std::error::Error for ChangesError {}

impl Changes {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same changes and one more. A name that no plan has changes nothing.
    #[must_use]
    pub fn with(&self, name: &str, value: u64) -> Self {
        let mut changed = self.clone();
        if let Some(name) = Plan::names().find(|one| *one == name) {
            changed.numbers.insert(name, value);
        }
        changed
    }

    /// The same changes, without one kind of decision. A name that no plan has changes nothing.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.no.extend(Plan::names().find(|one| *one == name));
        changed
    }

    /// Whether a kind of decision is left out.
    #[must_use]
    pub fn leaves_out(&self, name: &str) -> bool {
        self.no.contains(name)
    }

    /// Whether the decision of this number is taken.
    #[must_use]
    pub fn takes(&self, decision: u64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&decision))
    }

    /// The same changes, with the decisions of these numbers alone.
    #[must_use]
    pub fn with_only(&self, decisions: BTreeSet<u64>) -> Self {
        Self { only: Some(decisions), ..self.clone() }
    }

    /// The decisions that are taken, if it is not all of them.
    #[must_use]
    pub fn only(&self) -> Option<&BTreeSet<u64>> {
        self.only.as_ref()
    }

    /// A plan with these changes.
    #[must_use]
    pub fn applied(&self, mut plan: Plan) -> Plan {
        for (name, value) in &self.numbers {
            plan.set(name, *value);
        }
        // These are no decisions: there is nothing to leave out but the draw itself.
        for name in ["output_crash", "hostile"] {
            if self.leaves_out(name) {
                plan.set(name, 0);
            }
        }
        plan
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.numbers.iter().map(|(name, value)| format!("{name}={value}"));
        let mut parts: Vec<String> = numbers.collect();
        if !self.no.is_empty() {
            let no: Vec<&str> = self.no.iter().copied().collect();
            parts.push(format!("no={}", no.join("+")));
        }
        parts.extend(self.only.as_ref().map(|only| format!("only={}", ranges(only))));
        f.write_str(&parts.join(","))
    }
}

/// Numbers as people write them: `3+7-9`.
fn ranges(numbers: &BTreeSet<u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let shown = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join("+")
}

impl FromStr for Changes {
    type Err = ChangesError;

    fn from_str(text: &str) -> Result<Self, ChangesError> {
        let mut changes = Self::default();
        for change in text.split(',').filter(|change| !change.is_empty()) {
            let wrong = || ChangesError::NotAValue(change.to_owned());
            let (name, value) = change.split_once('=').ok_or_else(wrong)?;
            match name {
                "no" => {
                    for off in value.split('+') {
                        changes.no.insert(known(off)?);
                    }
                }
                "only" => changes.only = Some(numbers(value).ok_or_else(wrong)?),
                _ => {
                    let value = value.parse().map_err(|_| wrong())?;
                    changes.numbers.insert(known(name)?, value);
                }
            }
        }
        Ok(changes)
    }
}

fn known(name: &str) -> Result<&'static str, ChangesError> {
    let known = Plan::names().find(|one| *one == name);
    known.ok_or_else(|| ChangesError::NoSuchName(name.to_owned()))
}

/// Numbers up to which a list of decisions is read.
const MOST: u64 = 1_000_000;

fn numbers(text: &str) -> Option<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    for part in text.split('+').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        if last > MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn changes_are_read_as_they_are_written() {
        for text in ["decisions=40,people=2,no=cut+stall,only=3+7-9+12", "churn=4", ""] {
            assert_eq!(text.parse::<Changes>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_plan_takes_its_changes_and_keeps_the_rest() {
        let changes: Changes = "decisions=40,people=2,no=cut".parse().unwrap();
        let mut plan = Plan::calm(3);
        plan.faults.cut = 5;
        plan.faults.stall = 7;
        let plan = changes.applied(plan);
        assert_eq!((plan.people, plan.decisions), (2, 40));
        // What is left out is drawn as before, and then not done.
        assert_eq!((plan.faults.cut, plan.faults.stall), (5, 7));
        assert!(changes.leaves_out("cut") && !changes.leaves_out("stall"));
    }

    #[test]
    fn what_no_plan_has_is_refused() {
        let refused = "pepole=3".parse::<Changes>();
        assert_eq!(refused, Err(ChangesError::NoSuchName("pepole".into())));
        assert!(matches!("people".parse::<Changes>(), Err(ChangesError::NotAValue(_))));
        assert!(matches!("only=1-9999999999".parse::<Changes>(), Err(ChangesError::NotAValue(_))));
    }
}
