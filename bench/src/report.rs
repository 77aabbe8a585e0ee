//! What was measured, beside its floor and its target: a table for people, JSON lines for programs.

use std::fmt::Write as _;

use serde::Serialize;

/// What a figure is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The value itself, in the measure's unit.
    AtMost(f64),
    /// The value itself, in the measure's unit.
    AtLeast(f64),
    /// The value divided by its floor's.
    RatioAtMost(f64),
    /// The value divided by its floor's.
    RatioAtLeast(f64),
}

/// The least that the same machine needs for the same work without Rejoinder, in the same run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Floor {
    /// What was run.
    pub what: String,
    /// Its figure, in the measure's unit.
    pub value: f64,
    /// The measure's value divided by this one.
    pub ratio: f64,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// The family: the word that a filter picks.
    pub group: &'static str,
    /// What was measured.
    pub what: String,
    /// The median over the rounds.
    pub value: f64,
    /// The unit of the value.
    pub unit: &'static str,
    /// What it stands beside.
    pub floor: Option<Floor>,
    /// What it should reach.
    pub target: Option<Target>,
}

impl Measure {
    /// A figure alone.
    #[must_use]
    pub fn new(
        group: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self { group, what: what.into(), value, unit, floor: None, target: None }
    }

    /// Puts a floor beside it.
    #[must_use]
    pub fn beside(mut self, what: impl Into<String>, value: f64) -> Self {
        let ratio = if value > 0.0 { self.value / value } else { f64::NAN };
        self.floor = Some(Floor { what: what.into(), value, ratio });
        self
    }

    /// Holds it to a target.
    #[must_use]
    pub fn toward(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Whether the target is met; `None` without one, or without the floor that it needs.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        let ratio = self.floor.as_ref().map(|floor| floor.ratio);
        Some(match self.target? {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
            Target::RatioAtMost(most) => ratio? <= most,
            Target::RatioAtLeast(least) => ratio? >= least,
        })
    }

    fn verdict(&self) -> String {
        let Some(target) = self.target else { return String::new() };
        let aim = match target {
            Target::AtMost(n) => format!("<= {}", figure(n)),
            Target::AtLeast(n) => format!(">= {}", figure(n)),
            Target::RatioAtMost(n) => format!("<= {}x", figure(n)),
            Target::RatioAtLeast(n) => format!(">= {}x", figure(n)),
        };
        let word = match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "no floor",
        };
        format!("{word} ({aim})")
    }
}

/// The machine that a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Logical processors.
    pub cores: usize,
    /// The processor's name for itself.
    pub processor: String,
    /// `release` or `debug`.
    pub profile: &'static str,
}

/// The table.
#[must_use]
pub fn table(machine: &Machine, measures: &[Measure]) -> String {
    let header = ["measure", "value", "unit", "floor", "ratio", "target"].map(str::to_owned);
    let rows: Vec<[String; 6]> =
        std::iter::once(header).chain(measures.iter().map(cells)).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out =
        format!("{} cores, {}, {} build\n", machine.cores, machine.processor, machine.profile);
    for row in &rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            let is_number = n == 1 || n == 4;
            let padded =
                if is_number { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
            line.push_str(&padded);
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn cells(measure: &Measure) -> [String; 6] {
    let floor = measure.floor.as_ref();
    [
        format!("{}: {}", measure.group, measure.what),
        figure(measure.value),
        measure.unit.to_owned(),
        floor.map_or_else(String::new, |floor| format!("{} {}", figure(floor.value), floor.what)),
        floor.map_or_else(String::new, |floor| format!("{:.2}", floor.ratio)),
        measure.verdict(),
    ]
}

/// One JSON object a line: first the machine, then each measure with whether its target is met.
///
/// # Errors
/// Never for what this crate measures: figures that are not numbers become `null`.
pub fn json_lines(machine: &Machine, measures: &[Measure]) -> Result<String, serde_json::Error> {
    let mut out = serde_json::to_string(machine)? + "\n";
    for measure in measures {
        let mut line = serde_json::to_value(measure)?;
        if let Some(object) = line.as_object_mut() {
            object.insert("met".to_owned(), serde_json::to_value(measure.is_met())?);
        }
        out.push_str(&line.to_string());
        out.push('\n');
    }
    Ok(out)
}

/// Three significant digits below a thousand, whole numbers with separators above.
fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "-".to_owned()
    } else if size >= 999.5 {
        separated(value.round() as i64)
    } else if size >= 99.95 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.9995 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

fn separated(value: i64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> Vec<Measure> {
        vec![
            Measure::new("relay", "durable appends", 61_234.4, "1/s")
                .beside("raw redb", 100_000.0)
                .toward(Target::RatioAtLeast(0.5)),
            Measure::new("engine", "append", 0.1234, "ms").toward(Target::AtMost(0.1)),
            Measure::new("engine", "open", 12.0, "ms"),
        ]
    }

    fn machine() -> Machine {
        Machine { cores: 2, processor: "a processor".to_owned(), profile: "release" }
    }

    #[test]
    fn a_table_shows_value_floor_ratio_and_verdict() {
        let table = table(&machine(), &sample());
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[0].contains("2 cores"));
        for part in ["61,234", "100,000 raw redb", "0.61", "met (>= 0.5000x)"] {
            assert!(lines[2].contains(part), "{part} in {}", lines[2]);
        }
        assert!(lines[3].contains("MISSED (<= 0.1000)"));
        assert!(lines[4].ends_with("ms"));
    }

    #[test]
    fn each_json_line_is_an_object_with_its_verdict() {
        let text = json_lines(&machine(), &sample()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["cores"], 2);
        assert_eq!(lines[1]["met"], true);
        assert_eq!(lines[1]["floor"]["what"], "raw redb");
        assert_eq!(lines[2]["met"], false);
        assert_eq!(lines[3]["met"], serde_json::Value::Null);
    }

    #[test]
    fn figures_are_short() {
        let shown: Vec<_> =
            [0.0, 0.00123, 1.234, 12.34, 123.4, 1234.5, 1_234_567.0, f64::NAN].map(figure).into();
        assert_eq!(shown, ["0", "0.0012", "1.23", "12.3", "123", "1,235", "1,234,567", "-"]);
    }
}
