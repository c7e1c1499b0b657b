//! Where the run that a token was made for can be looked at, as an address for logs and reports.

use hikaru_core::Text;

use super::claims::Claims;
use crate::auth::Ci;

/// The longest address, in bytes.
const MAX: usize = 512;

/// The address of the run's page. `None`: the claims do not say it, or hold what does not belong into an address.
pub(super) fn address(ci: Ci, issuer: &str, claims: &Claims) -> Option<Text> {
    let text = |name: &str| claims.id(name).ok().flatten();
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let address = match ci {
        Ci::GitHub => {
            let (host, repository, run) = (github(issuer)?, text("repository")?, text("run_id")?);
            format!("{host}/{repository}/actions/runs/{run}")
        }
        // Its pages count the runs of each repository.
        Ci::Forgejo => {
            let host = issuer.strip_suffix("/api/actions").unwrap_or(issuer);
            let (repository, run) = (text("repository")?, text("run_number")?);
            format!("{host}/{repository}/actions/runs/{run}")
        }
        Ci::GitLab => {
            let (project, job) = (text("project_path")?, text("job_id")?);
            format!("{issuer}/{project}/-/jobs/{job}")
        }
        Ci::Other => return None,
    };
    let belongs = |b: u8| b.is_ascii_alphanumeric() || b"-_./:[]".contains(&b);
    let is_sound = address.len() <= MAX && address.bytes().all(belongs);
    is_sound.then(|| address.into())
}

/// The host whose runs an issuer of GitHub signs for: github.com, a subdomain of ghe.com, or an Enterprise Server.
fn github(issuer: &str) -> Option<String> {
    if let Some(host) = issuer.strip_suffix("/_services/token") {
        return Some(host.to_owned());
    }
    let name = issuer.strip_prefix("https://token.actions.")?;
    let name = name.split('/').next().unwrap_or(name);
    match name {
        "githubusercontent.com" => Some("https://github.com".to_owned()),
        name => Some(format!("https://{name}")),
    }
}
