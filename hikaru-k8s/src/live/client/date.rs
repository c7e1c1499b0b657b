//! The clock of the API server, as the `Date` headers of its answers tell it. So nothing depends on the clock of the machine, which
//! may be wrong.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, header};
use jiff::fmt::rfc2822::DateTimeParser;

use crate::live::clock::now;

/// How much later than a header says it may be: a header has whole seconds, and an answer takes its time.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What the last headers said.
#[derive(Default)]
pub(super) struct ServerClock(Mutex<Option<Heard>>);

/// A time, and when it was heard, by the clock that never jumps.
#[derive(Clone, Copy)]
struct Heard {
    time: SystemTime,
    at: Instant,
}

impl Heard {
    fn time_at(self, now: Instant) -> SystemTime {
        self.time + now.saturating_duration_since(self.at)
    }
}

impl ServerClock {
    /// Notes what the headers of an answer say. Within the tolerance the time only goes forward: a header cuts off up to a second.
    pub(super) fn hear(&self, headers: &HeaderMap) {
        let Some(time) = headers
            .get(header::DATE)
            .and_then(|date| read(date.as_bytes()))
        else {
            return;
        };
        let at = now();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = heard.map(|heard| heard.time_at(at));
        let is_known = known.is_some_and(|known| time <= known && known <= time + TOLERANCE);
        if !is_known {
            *heard = Some(Heard { time, at });
        }
    }

    /// The time there. `None`: no answer has had a readable header yet.
    pub(super) fn time(&self) -> Option<SystemTime> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|heard| heard.time_at(now()))
    }
}

/// The time of a header: `Sun, 29 Nov 2026 11:00:21 GMT`.
fn read(date: &[u8]) -> Option<SystemTime> {
    let time = DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(time.into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(date: &'static str) -> HeaderMap {
        [(header::DATE, HeaderValue::from_static(date))]
            .into_iter()
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_is_the_servers_and_goes_on_by_itself() {
        let clock = ServerClock::default();
        clock.hear(&HeaderMap::new());
        clock.hear(&headers("yesterday"));
        assert_eq!(clock.time(), None);
        // 2026-11-29T11:00:21Z.
        let said = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_950_021);
        let after = |millis| Some(said + Duration::from_millis(millis));
        clock.hear(&headers("Sun, 29 Nov 2026 11:00:21 GMT"));
        assert_eq!(clock.time(), after(0));
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(clock.time(), after(900));
        // Of the same second: the time does not go back.
        clock.hear(&headers("Sun, 29 Nov 2026 11:00:21 GMT"));
        assert_eq!(clock.time(), after(900));
        clock.hear(&headers("Sun, 29 Nov 2026 11:00:22 GMT"));
        assert_eq!(clock.time(), after(1_000));
        // Somebody has set the server's clock.
        clock.hear(&headers("Sun, 29 Nov 2026 10:00:22 GMT"));
        assert_eq!(
            clock.time(),
            after(1_000).map(|time| time - Duration::from_secs(3600))
        );
    }
}
