//! Why a request to the API server got no good answer, in words that hold none of our credentials. What such a failure means to
//! a caller is in `client::refusal`.

use std::{error::Error, time::Duration};

use hikaru_core::Text;
use http::{HeaderMap, StatusCode, header};
use kube::core::Status;

use super::connect::secrets::Secrets;

/// How much of a foreign body an error message repeats, in characters.
const EXCERPT: usize = 300;

/// How much of the API server's own words an error message repeats, in characters. Of an invalid object it names every cause.
const MESSAGE: usize = 4000;

/// The longest Retry-After that a watch waits for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// It was never sent: no connection, no TLS, no credentials.
    #[error("{0}")]
    NotSent(String),
    /// It may have been carried out: the connection was cut.
    #[error("{0}")]
    Lost(String),
    /// It may have been carried out: no answer came in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// The server refused it.
    #[error("{}", .0.words())]
    Refused(Box<Refused>),
    /// The answer is not what was asked for.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer is longer than any that is asked for, in bytes: it was not read to its end.
    #[error("the answer cannot be read: it is longer than {} MiB", .0 >> 20)]
    TooLong(usize),
    /// The server lacks the kind.
    #[error("{0}")]
    Missing(String),
}

impl RequestError {
    /// What the server warns of beside a refusal.
    pub(super) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Refused(refused) => refused.warnings.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// How long the server asks to wait, up to a limit.
    pub(super) fn retry_after(&self) -> Duration {
        let asked = match self {
            Self::Refused(refused) => refused.retry_after,
            _ => None,
        };
        asked.unwrap_or_default().min(LONGEST_RETRY_AFTER)
    }
}

/// An answer whose status is not a success.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: StatusCode,
    /// What the API server says, if it was the API server: a proxy on the way says something else.
    pub(super) status: Option<Status>,
    pub(super) retry_after: Option<Duration>,
    /// Which of our credentials it does not take.
    pub(super) credentials: Option<String>,
    /// Why its body is truncated, if it is.
    pub(super) truncated: Option<String>,
    /// What the server warns of beside its refusal.
    pub(super) warnings: Vec<Text>,
    excerpt: String,
}

impl Refused {
    /// In the server's words.
    pub(super) fn words(&self) -> String {
        match &self.status {
            Some(status) if !status.message.is_empty() => short(&status.message),
            _ if self.excerpt.is_empty() => format!("the server answers {}", self.code),
            _ => format!("the server answers {}: {}", self.code, self.excerpt),
        }
    }

    /// What a server says, without our own credentials.
    pub(super) fn new(
        code: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &Secrets,
    ) -> Self {
        let status = serde_json::from_slice::<Kinded>(body).ok();
        let status = status.filter(|kinded| kinded.kind == "Status");
        let mut status = status.map(|kinded| kinded.status);
        if let Some(status) = &mut status {
            status.message = secrets.out_of_text(&status.message);
        }
        let seconds = headers.get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let details = status.as_ref().and_then(|status| status.details.as_ref());
        let seconds = seconds.or_else(|| {
            let seconds = details?.retry_after_seconds;
            (seconds > 0).then_some(u64::from(seconds))
        });
        let excerpt = match status {
            Some(_) => String::new(),
            None => {
                // What is cut off first could be half a secret.
                let text = secrets.out_of_text(&String::from_utf8_lossy(body));
                let text: String = text.chars().take(EXCERPT).collect();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }
        };
        Self {
            code,
            status,
            retry_after: seconds.map(Duration::from_secs),
            credentials: None,
            truncated: None,
            warnings: Vec::new(),
            excerpt,
        }
    }
}

/// At most so much of what a server says.
pub(super) fn short(message: &str) -> String {
    match message.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[derive(serde::Deserialize)]
struct Kinded {
    kind: String,
    #[serde(flatten)]
    status: Status,
}

/// An error and its causes, each thing said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        words.push(error.to_string());
        at = error.source();
    }
    let mut said: Vec<String> = Vec::new();
    for (index, text) in words.iter().enumerate() {
        // Most errors repeat their cause, or only say that there is one.
        let later = words[index + 1..].iter();
        let text = later.fold(text.clone(), |text, cause| {
            text.strip_suffix(cause.as_str())
                .map(|text| text.trim_end_matches([' ', ':']).to_owned())
                .unwrap_or(text)
        });
        let noise = ["client error (Connect)", "client error (SendRequest)"];
        if !text.is_empty() && !noise.contains(&text.as_str()) && !said.contains(&text) {
            said.push(text);
        }
    }
    said.join(": ")
}
