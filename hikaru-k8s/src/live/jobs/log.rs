//! The logs of a Job's containers, bounded one by one and together.

use hikaru_core::{
    jobs::{JobLog, JobName},
    port::{ClusterError, JobPort},
};

use crate::{
    job::status::{containers_of, name_of},
    live::{LiveCluster, client::LOG, read::log::ContainerLog},
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
        let pods = self.pods_with_logs(&status).await?;
        for pod in pods.read {
            for container in containers_of(&pod) {
                let text = self
                    .log_of(&status.name, name_of(&pod), container, left)
                    .await;
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

    async fn log_of(
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
        let log = ContainerLog {
            namespace: job.namespace(),
            pod,
            container,
            is_previous: false,
            lines: LINES,
            bytes: left.min(LOG),
        };
        let read = log.read(&self.inner.api).await;
        read.map_err(|error| error.to_string())
    }
}
