//! What a server tells the keeper of its figures, and in which format they are asked for. The registry, and what is measured
//! elsewhere, belong to the keeper. Decisions, rollouts and Jobs are told by the port `Observer` of hikaru-core.

use std::time::Duration;

use hyper::HeaderMap;

use crate::accept::weight;

/// Keeps the figures of a server, and gives the text of `/metrics`. Called on the way of each request: it must not block.
pub trait Metrics: Send + Sync {
    /// A request was answered. The route is its pattern, such as `/api/image/{image}`, or `none`: of a bounded number.
    /// `waited`: it was answered only when rollouts or a Job had ended, or the caller's time for it was over.
    fn answered(&self, route: &'static str, status: u16, took: Duration, waited: bool);

    /// So many requests wait for rollouts or Jobs now. Told each time before the figures are read.
    fn waits(&self, in_flight: usize);

    /// All figures in this format.
    fn text(&self, format: MetricsFormat) -> String;
}

/// The format of the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricsFormat {
    /// Prometheus' text format, version 0.0.4.
    Text,
    /// OpenMetrics' text format, version 1.0.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// Its `Content-Type`.
    pub fn media(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that a request asks for by `Accept`: OpenMetrics if it is named and plain text is not preferred, else
    /// plain text, which every reader knows.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let open_metrics = weight(headers, "application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= weight(headers, "text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{ACCEPT, HeaderValue};

    use super::*;

    #[test]
    fn the_format_that_is_asked_for() {
        use MetricsFormat::{OpenMetrics, Text};
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (&[][..], Text),
            (&["*/*"], Text),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Text),
            (&["text/plain"], Text),
            (&["application/openmetrics-text"], OpenMetrics),
            (
                &["Application/OpenMetrics-Text; version=1.0.0; Q=1"],
                OpenMetrics,
            ),
            (&[prometheus_3], OpenMetrics),
            (
                &["text/plain;q=0.2", "application/openmetrics-text;q=0.5"],
                OpenMetrics,
            ),
            (
                &["text/plain;q=0.5,application/openmetrics-text;q=0.2"],
                Text,
            ),
            (&["application/openmetrics-text;q=0"], Text),
            (&["application/openmetrics-text;q=much"], Text),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(MetricsFormat::of(&headers), format, "{accept:?}");
        }
    }
}
