//! A page that is costly to write: it is written anew a few times a second at most, however many ask
//! for it. Metrics are served where devices connect, unless they have a listener of their own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How long it is good.
const GOOD: Duration = Duration::from_millis(200);

/// What was written last, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    written: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

impl Page {
    /// The page; `write` writes it, if the last one is too old.
    pub(crate) fn look(&self, now: Instant, write: impl FnOnce() -> Bytes) -> Bytes {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, page)) = &*written
            && now.saturating_duration_since(*at) < GOOD
        {
            return page.clone();
        }
        let page = write();
        *written = Some((now, page.clone()));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_a_few_times_a_second_however_many_ask() {
        let (page, start) = (Page::default(), Instant::now());
        let mut count = 0;
        for n in 0..10_000 {
            let now = start + Duration::from_millis(n / 10);
            let seen = page.look(now, || {
                count += 1;
                Bytes::from(format!("{count}"))
            });
            assert_eq!(seen, format!("{}", n / 2_000 + 1));
        }
        assert_eq!(count, 5);
    }
}
