//! Instants in words, in the time zone of whoever reads them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

/// Tells instants: where the reader is, and what time it is there.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    now_ms: u64,
}

impl Clock {
    /// The machine's own time and zone.
    #[must_use]
    pub fn system() -> Self {
        let now_ms = Timestamp::now().as_millisecond();
        Self { zone: TimeZone::system(), now_ms: u64::try_from(now_ms).unwrap_or_default() }
    }

    /// A given instant (Unix milliseconds) in a given zone.
    #[must_use]
    pub fn at(zone: TimeZone, now_ms: u64) -> Self {
        Self { zone, now_ms }
    }

    /// What time it is, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn local(&self, ms: u64) -> Zoned {
        // A time that no calendar holds is one that somebody made up: it is shown as the oldest.
        let ms = i64::try_from(ms).unwrap_or_default();
        let instant = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        instant.to_zoned(self.zone.clone())
    }

    /// The day of an instant.
    #[must_use]
    pub fn date(&self, ms: u64) -> Date {
        self.local(ms).date()
    }

    /// `14:05`
    #[must_use]
    pub fn time(&self, ms: u64) -> String {
        self.local(ms).strftime("%H:%M").to_string()
    }

    /// `3 May 2026, 14:05`
    #[must_use]
    pub fn date_time(&self, ms: u64) -> String {
        self.local(ms).strftime("%-d %b %Y, %H:%M").to_string()
    }

    /// `3 May 2026`
    #[must_use]
    pub fn full_date(&self, ms: u64) -> String {
        self.local(ms).strftime("%-d %B %Y").to_string()
    }

    /// As short as can be, for lists: time, weekday, or date.
    #[must_use]
    pub fn short(&self, ms: u64) -> String {
        let (then, today) = (self.local(ms), self.date(self.now_ms));
        let form = match days_between(then.date(), today) {
            0 => "%H:%M",
            1..=6 => "%a",
            _ if then.year() == today.year() => "%-d %b",
            _ => "%-d %b %Y",
        };
        then.strftime(form).to_string()
    }

    /// Today, Yesterday, or the date.
    #[must_use]
    pub fn day(&self, ms: u64) -> String {
        let (then, today) = (self.local(ms), self.date(self.now_ms));
        match days_between(then.date(), today) {
            0 => "Today".to_owned(),
            1 => "Yesterday".to_owned(),
            2..=180 => then.strftime("%A, %-d %B").to_string(),
            _ => then.strftime("%-d %B %Y").to_string(),
        }
    }

    /// "just now", "5 minutes ago", or date and time.
    #[must_use]
    pub fn ago(&self, ms: u64) -> String {
        let minutes = self.now_ms.saturating_sub(ms) / 60_000;
        match minutes {
            0 => "just now".to_owned(),
            1 => "a minute ago".to_owned(),
            2..=59 => format!("{minutes} minutes ago"),
            _ if self.date(ms) == self.date(self.now_ms) => format!("today at {}", self.time(ms)),
            _ => self.date_time(ms),
        }
    }

    /// Milliseconds until the day changes here: what says "Today" is wrong then.
    #[must_use]
    pub fn until_midnight_ms(&self) -> u64 {
        let now = self.local(self.now_ms);
        let next = now.date().checked_add(1.day()).and_then(|day| day.to_zoned(self.zone.clone()));
        let next_ms = next.map(|next| next.timestamp().as_millisecond()).unwrap_or_default();
        u64::try_from(next_ms).unwrap_or_default().saturating_sub(self.now_ms).max(1)
    }
}

/// Days from one to another; negative for one to come.
fn days_between(then: Date, today: Date) -> i32 {
    then.until(today).map(|span| span.get_days()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_700_049_600_000; // 15 November 2023, 12:00 UTC
    const HOUR: u64 = 60 * 60 * 1000;
    const DAY: u64 = 24 * HOUR;

    fn clock() -> Clock {
        Clock::at(TimeZone::UTC, NOON)
    }

    #[test]
    fn a_list_shows_time_weekday_or_date() {
        let shown = [0, DAY, 6 * DAY, 7 * DAY, 400 * DAY].map(|ago| clock().short(NOON - ago));
        assert_eq!(shown, ["12:00", "Tue", "Thu", "8 Nov", "11 Oct 2022"]);
    }

    #[test]
    fn a_day_line_says_today_yesterday_or_the_date() {
        let shown = [0, DAY, 2 * DAY, 400 * DAY].map(|ago| clock().day(NOON - ago));
        assert_eq!(shown, ["Today", "Yesterday", "Monday, 13 November", "11 October 2022"]);
    }

    #[test]
    fn what_is_near_is_told_by_its_distance() {
        let shown = [0, 60_000, 5 * 60_000, 3 * HOUR, 2 * DAY].map(|ago| clock().ago(NOON - ago));
        let two_days = "13 Nov 2023, 12:00";
        assert_eq!(
            shown,
            ["just now", "a minute ago", "5 minutes ago", "today at 09:00", two_days]
        );
    }

    #[test]
    fn a_time_that_no_calendar_holds_does_no_harm() {
        assert_eq!(clock().full_date(u64::MAX), "1 January 1970");
        assert_eq!(clock().ago(u64::MAX), "just now");
        assert_eq!(clock().day(NOON + 3 * DAY), "18 November 2023");
    }

    #[test]
    fn the_day_ends_at_midnight_of_the_zone() {
        assert_eq!(clock().until_midnight_ms(), 12 * HOUR);
        let east = Clock::at(TimeZone::fixed(jiff::tz::offset(5)), NOON);
        assert_eq!(east.until_midnight_ms(), 7 * HOUR);
    }
}
