//! Requests to etcd itself, in the JSON of its gateway: which cluster it belongs to, and compaction.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Cluster, ClusterError, flags};

impl Cluster {
    /// Whether this cluster's own etcd answers: each etcd is named after its data folder.
    pub(super) fn is_our_etcd(&self) -> bool {
        let name = flags::etcd_name(&self.folder);
        let members = self.etcd("/v3/cluster/member/list", &json!({}));
        members.is_ok_and(|answer| {
            let members = answer["members"].as_array();
            members.is_some_and(|all| all.iter().any(|member| member["name"] == *name))
        })
    }

    /// Compacts etcd: it forgets all revisions but the present one, as it does every few minutes in a real cluster. Returns
    /// that revision. kube-apiserver still has the last changes in memory until it is started again.
    ///
    /// # Errors
    /// When etcd does not do it.
    pub fn compact_etcd(&self) -> Result<u64, ClusterError> {
        const RANGE: &str = "/v3/kv/range";
        // The key does not matter: the head of each answer says the revision.
        let now = self.etcd(RANGE, &json!({"key": "AA=="}))?;
        let revision = now["header"]["revision"].as_str();
        let revision: Option<u64> = revision.and_then(|text| text.parse().ok());
        let revision = revision.ok_or_else(|| ClusterError::Etcd {
            path: RANGE,
            problem: format!("expected a revision, found {now}"),
        })?;
        let body = json!({"revision": revision, "physical": true});
        self.etcd("/v3/kv/compaction", &body)?;
        Ok(revision)
    }

    fn etcd(&self, path: &'static str, body: &Value) -> Result<Value, ClusterError> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        let asked = TcpStream::connect((self.endpoints.address, self.endpoints.etcd)).and_then(
            |mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.write_all(request.as_bytes())?;
                stream.read_to_string(&mut answer)
            },
        );
        let failed = |problem: String| ClusterError::Etcd { path, problem };
        asked.map_err(|error| failed(error.to_string()))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if head.split(' ').nth(1) != Some("200") {
            return Err(failed(format!("expected 200, found {answer:?}")));
        }
        serde_json::from_str(body).map_err(|error| failed(format!("{error} in {body:?}")))
    }
}
