//! kubectl as the client of the test cluster: it is built anyway, and people use it, too.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Cluster, ClusterError};
use crate::assets::Program;

impl Cluster {
    /// kubectl for this cluster, as administrator. It writes nothing to the home folder and reads
    /// nothing from there.
    #[must_use]
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(self.assets.program(Program::Kubectl));
        command.env("KUBECONFIG", self.kubeconfig());
        command
            .env("KUBECACHEDIR", self.folder.join("kubectl-cache"))
            .env("KUBERC", "off");
        command.stdin(Stdio::null());
        command
    }

    /// Runs kubectl and returns what it wrote to stdout.
    ///
    /// # Errors
    /// [`ClusterError::Kubectl`] with what it wrote to stderr.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, ClusterError> {
        self.kubectl_with_input(args, "")
    }

    /// Runs kubectl with `input` on stdin, such as a manifest for `apply --filename=-`.
    ///
    /// # Errors
    /// [`ClusterError::Kubectl`] with what it wrote to stderr.
    pub fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String, ClusterError> {
        let mut command = self.kubectl_command();
        let program = PathBuf::from(command.get_program());
        let file = |source| ClusterError::File {
            path: program.clone(),
            source,
        };
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().map_err(file)?;
        if let Some(mut stdin) = process.stdin.take() {
            // kubectl may refuse its arguments without reading stdin: its exit status says so.
            drop(stdin.write_all(input.as_bytes()));
        }
        let output = process.wait_with_output().map_err(file)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(ClusterError::Kubectl {
            args: args.join(" "),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
        })
    }
}
