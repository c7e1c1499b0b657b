//! The logs of a Job's containers, bounded one by one and together.

use hikaru_core::{
    jobs::{JobLog, JobName},
    port::{ClusterError, JobPort},
};
use http::Method;

use crate::{
    job::status::{containers_of, name_of},
    live::{
        LiveCluster,
        client::{Expected, LOG},
    },
};

/// Of each container: its last lines, and at most `LOG` bytes of them.
const LINES: u32 = 2_000;

/// Bytes of all logs together.
const ALL: usize = 4 * 1024 * 1024;

impl LiveCluster {
    pub(super) async fn logs_of_job(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        let status = JobPort::get(self, name).await?;
        let mut logs = Vec::new();
        let mut left = ALL;
        let pods = self.pods(&status).await?;
        for pod in pods.read {
            for container in containers_of(&pod) {
                let text = self.log(&status.name, name_of(&pod), container, left).await;
                left = left.saturating_sub(text.as_ref().map_or(0, String::len));
                logs.push(JobLog {
                    pod: name_of(&pod).into(),
                    container: container.into(),
                    text,
                });
            }
        }
        logs.extend(pods.faults.into_iter().map(|fault| JobLog {
            pod: fault.place,
            container: "".into(),
            text: Err(fault.message),
        }));
        Ok(logs)
    }

    async fn log(
        &self,
        job: &JobName,
        pod: &str,
        container: &str,
        left: usize,
    ) -> Result<String, String> {
        if left == 0 {
            return Err(format!(
                "left out: all logs together have more than {ALL} bytes"
            ));
        }
        let sound = [pod, container].map(|name| JobName::new("default", name));
        if let Some(Err(error)) = sound.into_iter().find(Result::is_err) {
            return Err(error.to_string());
        }
        let bytes = left.min(LOG);
        let target = format!(
            "/api/v1/namespaces/{}/pods/{pod}/log?container={container}&tailLines={LINES}&limitBytes={bytes}",
            job.namespace()
        );
        let answer = self
            .ask(Method::GET, target, Vec::new(), Expected::Log)
            .await;
        match answer {
            Ok(answer) => Ok(readable(answer.body)),
            Err(error) => Err(error.to_string()),
        }
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
