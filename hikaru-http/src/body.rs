//! The body of a request: it is read at most once, within the limits, when somebody asks for its bytes. Which types of bodies a
//! route takes is in `api/media`.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::timeout;

/// The body of a request, read or not.
pub struct RequestBody {
    state: State,
    /// The most bytes that are read.
    most: u64,
    /// How long reading may take.
    within: Duration,
}

enum State {
    Unread(Incoming),
    Read(Bytes),
    /// Reading it failed.
    Failed(BodyError),
}

/// Why a body has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than that many bytes.
    #[error("expected a body of at most {0} bytes, found more")]
    TooLarge(u64),
    /// It was not whole within that time.
    #[error("expected the whole body within {0:?}")]
    Late(Duration),
    /// It ended before it was whole.
    #[error("expected a body of {told} bytes, as told, found its end after {read}")]
    CutOff {
        /// How many bytes its header announces.
        told: u64,
        /// How many have come.
        read: usize,
    },
    /// It breaks off, or its framing cannot be read.
    #[error("the body cannot be read after {0} bytes")]
    Broken(usize),
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, most: u64, within: Duration) -> Self {
        let state = match body.is_end_stream() {
            true => State::Read(Bytes::new()),
            false => State::Unread(body),
        };
        Self {
            state,
            most,
            within,
        }
    }

    /// Whether bytes of it may still come, which would stand between this request and the next one of its connection.
    pub(crate) fn is_unread(&self) -> bool {
        !matches!(self.state, State::Read(_))
    }

    /// Its bytes. The first call reads it to its end, the others give the same.
    ///
    /// # Errors
    /// It is too long, not whole in time, or cut off.
    pub async fn bytes(&mut self) -> Result<Bytes, BodyError> {
        if let State::Unread(body) = &mut self.state {
            let read = timeout(self.within, read(body, self.most)).await;
            self.state = match read {
                Ok(Ok(bytes)) => State::Read(bytes),
                Ok(Err(error)) => State::Failed(error),
                Err(_) => State::Failed(BodyError::Late(self.within)),
            };
        }
        match &self.state {
            State::Read(bytes) => Ok(bytes.clone()),
            State::Failed(error) => Err(error.clone()),
            State::Unread(_) => Err(BodyError::Broken(0)),
        }
    }
}

async fn read(body: &mut Incoming, most: u64) -> Result<Bytes, BodyError> {
    let longest = usize::try_from(most).unwrap_or(usize::MAX);
    let told = body.size_hint().exact();
    if told.is_some_and(|bytes| bytes > most) {
        return Err(BodyError::TooLarge(most));
    }
    let room = told.and_then(|bytes| usize::try_from(bytes).ok());
    let mut bytes = Vec::with_capacity(room.unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let read = bytes.len();
            tracing::debug!(%error, read, "a body broke off");
            match told {
                Some(told) => BodyError::CutOff { told, read },
                None => BodyError::Broken(read),
            }
        })?;
        // Trailers are ignored.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > longest {
            return Err(BodyError::TooLarge(most));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}
