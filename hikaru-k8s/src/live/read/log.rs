//! The log of one container: its last lines, bounded, as text.

use http::Request;

use crate::live::{
    client::{ApiClient, Expected},
    error::RequestError,
};

/// Which log, and how much of it. The names have to be checked: nothing escapes them in the path.
pub(in crate::live) struct ContainerLog<'a> {
    pub(in crate::live) namespace: &'a str,
    pub(in crate::live) pod: &'a str,
    pub(in crate::live) container: &'a str,
    /// Of the container before its last restart.
    pub(in crate::live) is_previous: bool,
    /// At most so many lines, the last ones.
    pub(in crate::live) lines: u32,
    /// At most so many bytes of these lines, the first ones; no more than `LOG`.
    pub(in crate::live) bytes: usize,
}

impl ContainerLog<'_> {
    /// Reads it. Each byte that is no UTF-8 is a `?`.
    pub(in crate::live) async fn read(&self, api: &ApiClient) -> Result<String, RequestError> {
        let Self {
            namespace,
            pod,
            container,
            lines,
            bytes,
            ..
        } = self;
        let previous = if self.is_previous {
            "&previous=true"
        } else {
            ""
        };
        let target = format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}&tailLines={lines}&limitBytes={bytes}{previous}"
        );
        let request = Request::get(target).body(Vec::new());
        let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
        let answer = api.send(request, Expected::Log).await?;
        Ok(readable(answer.body))
    }
}

/// The text of a log, as long as the log: each byte that is no UTF-8 is a `?`.
fn readable(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let bytes = error.as_bytes();
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_no_utf_8_does_not_grow() {
        for (bytes, expected) in [
            (&b"plain \xc3\xa9\n"[..], "plain é\n"),
            (b"\xff\xfe\xff", "???"),
            (b"a\xe2\x82", "a??"),
            (b"\xf0\x9f\x92a\xc3", "???a?"),
        ] {
            let text = readable(bytes.to_vec());
            assert_eq!((&*text, text.len()), (expected, bytes.len()));
        }
    }
}
