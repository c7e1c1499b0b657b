//! The body of an answer, read whole up to a limit, or line by line as a watch sends it. What the lines say is not known here.

use futures_util::StreamExt as _;
use http_body_util::BodyStream;
use hyper::body::Incoming;

use super::OBJECT;
use crate::live::{
    connect::secrets::Secrets,
    error::{RequestError, chain},
};

/// What came of reading a body.
pub(super) enum Body {
    Whole(Vec<u8>),
    /// There is more than the limit; this is the beginning.
    TooLong(Vec<u8>),
    /// It was cut off after this beginning, and why.
    Truncated(Vec<u8>, String),
}

/// Reads a body up to a limit, in bytes.
pub(super) async fn read(body: Incoming, limit: usize) -> Body {
    let mut frames = BodyStream::new(body);
    let mut read = Vec::new();
    while let Some(frame) = frames.next().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) if read.len() + data.len() > limit => {
                read.extend_from_slice(&data[..limit - read.len()]);
                return Body::TooLong(read);
            }
            Ok(Ok(data)) => read.extend_from_slice(&data),
            // Trailers.
            Ok(Err(_)) => {}
            Err(error) => return Body::Truncated(read, chain(&error)),
        }
    }
    Body::Whole(read)
}

/// The lines of an answer, as they come.
pub(in crate::live) struct Lines {
    secrets: Secrets,
    body: BodyStream<Incoming>,
    rest: Vec<u8>,
    /// How much of `rest` is known to hold no line feed.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Incoming, secrets: Secrets) -> Self {
        Self {
            secrets,
            body: BodyStream::new(body),
            rest: Vec::new(),
            searched: 0,
        }
    }

    /// The credentials that requests were sent with.
    pub(in crate::live) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The next line. `None`: the answer has ended after a whole line.
    pub(in crate::live) async fn next(&mut self) -> Result<Option<Vec<u8>>, RequestError> {
        loop {
            let end = memchr::memchr(b'\n', &self.rest[self.searched..]);
            if let Some(end) = end {
                let next = self.rest.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.rest, next);
                line.pop();
                self.searched = 0;
                return Ok(Some(self.secrets.out_of_bytes(line)));
            }
            self.searched = self.rest.len();
            match self.body.next().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if self.rest.len() + data.len() > OBJECT {
                            return Err(RequestError::TooLong(OBJECT));
                        }
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(RequestError::Lost(chain(&error))),
                None if self.rest.is_empty() => return Ok(None),
                // It was cut off, or a proxy sent a page of its own.
                None => {
                    let words = "the answer ends in the middle of a line";
                    return Err(RequestError::Lost(words.to_owned()));
                }
            }
        }
    }
}
