//! How bad it is that something in a file cannot be read: a failure if it may concern what is asked for, else a warning. What
//! cannot be read is known elsewhere (`read`, `overrides`), and nothing is ever upgraded for what is found here.

use hikaru_core::port::{Scope, Select, Severity};
use memchr::memmem;
use std::io::{self, Read};

/// What the text of a repository on Docker Hub may leave out, as it stands before the rest.
const DOCKER: [&str; 3] = ["docker.io/library/", "docker.io/", "library/"];
/// Bytes before a match that say which registry it is of.
const BEFORE: usize = 32;

/// What makes a text that cannot be read a failure.
#[derive(Debug)]
pub(super) enum Concern<'s> {
    /// It holds this text, and not behind another registry: the shortest form of the repository that is asked for. It may hold
    /// it as a part of a longer name: then a warning would have been enough.
    Repository(String),
    /// It is in one of these files: their workloads are asked for.
    Files(Vec<&'s str>),
    /// Nothing does: everything is asked for, and the faults are told beside the answer.
    Nothing,
}

impl<'s> Concern<'s> {
    pub(super) fn of(scope: &'s Scope) -> Self {
        let repository = match &scope.select {
            Select::Build(build) | Select::Near(build) => build.repository().to_string(),
            Select::Repository(repository) => repository.to_string(),
            Select::Named(ids) => {
                let origins = ids.iter().filter_map(|id| id.origin.as_deref());
                let file = |origin: &'s str| origin.rsplit_once('#').map_or(origin, |(f, _)| f);
                return Self::Files(origins.map(file).collect());
            }
            _ => return Self::Nothing,
        };
        let mut shortest = DOCKER.iter().filter_map(|p| repository.strip_prefix(p));
        Self::Repository(shortest.next().unwrap_or(&repository).to_owned())
    }

    /// Whether a text holds the repository that is asked for.
    pub(super) fn is_mentioned(&self, text: &str) -> bool {
        matches!(self, Self::Repository(repository) if text.contains(repository))
    }

    /// For a text at hand; `file` is the file's path below the folder.
    pub(super) fn severity(&self, file: &str, text: &[u8]) -> Severity {
        self.severity_of(file, text).unwrap_or(Severity::Failure)
    }

    /// For a text that may be too large to hold: it is read in pieces.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn severity_of(&self, file: &str, mut text: impl Read) -> io::Result<Severity> {
        let failure = match self {
            Self::Repository(repository) => holds(&mut text, repository.as_bytes())?,
            Self::Files(files) => files.contains(&file),
            Self::Nothing => false,
        };
        Ok(match failure {
            true => Severity::Failure,
            false => Severity::Warning,
        })
    }
}

/// Whether a text holds some bytes. Zeros are left out: in UTF-16 and UTF-32 they stand between the letters.
fn holds(text: &mut impl Read, wanted: &[u8]) -> io::Result<bool> {
    let finder = memmem::Finder::new(wanted);
    let mut piece = vec![0; 64 * 1024];
    let mut held: Vec<u8> = Vec::new();
    // Matches that begin earlier were seen with the piece before.
    let mut from = 0;
    loop {
        let read = match text.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(false);
        }
        held.extend(piece[..read].iter().filter(|byte| **byte != 0));
        let mut matches = finder.find_iter(&held).skip_while(|start| *start < from);
        if matches.any(|start| !is_after_another_registry(&held[..start])) {
            return Ok(true);
        }
        // A match may begin in one piece and end in the next.
        let keep = wanted.len() + BEFORE;
        from = if held.len() < keep { from } else { BEFORE + 1 };
        held.drain(..held.len().saturating_sub(keep));
    }
}

/// Whether a repository that begins after this text is one of another registry than Docker Hub: `acme/web` in
/// `ghcr.io/acme/web`, but not after a template's `{{ registry }}/`.
fn is_after_another_registry(before: &[u8]) -> bool {
    let is_path = matches!(before, [.., b, b'/'] if b.is_ascii_alphanumeric());
    is_path && !DOCKER.iter().any(|hub| before.ends_with(hub.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(repository: &str, text: &[u8]) -> Severity {
        let scope = Scope::new(Select::Repository(repository.into()));
        Concern::of(&scope).severity("f", text)
    }

    #[test]
    fn a_repository_is_found_as_people_write_it() {
        #[rustfmt::skip]
        let table = [
            ("docker.io/acme/web", "image: acme/web:1\nimage: docker.io/acme/web\nimage: index.docker.io/acme/web@x\n'{{ .r }}/acme/web:1'\nsee acme/web.", Severity::Failure),
            ("docker.io/acme/web", "acme-web\nACME/web\nacme/we\nghcr.io/acme/web:1\nhost:5000/acme/web", Severity::Warning),
            ("docker.io/library/web", "web\nimage: web:1\nlibrary/web\ndocker.io/web\nname: web", Severity::Failure),
            ("ghcr.io/acme/web", "ghcr.io/acme/web\noci://ghcr.io/acme/web:1", Severity::Failure),
            ("ghcr.io/acme/web", "acme/web\n", Severity::Warning),
            ("host:5000/web", "image: host:5000/web:1", Severity::Failure),
        ];
        for (repository, lines, expected) in table {
            for line in lines.lines() {
                assert_eq!(
                    of(repository, line.as_bytes()),
                    expected,
                    "{repository} in {line}"
                );
            }
        }
    }

    #[test]
    fn a_text_is_searched_across_its_pieces() {
        for at in (65_500..65_600).chain(131_000..131_100) {
            for (name, expected) in [
                ("acme/web:1", Severity::Failure),
                ("acme/wex", Severity::Warning),
                ("ghcr.io/acme/web", Severity::Warning),
            ] {
                let mut text = vec![b' '; at];
                text.extend_from_slice(name.as_bytes());
                let found = of("docker.io/acme/web", &text);
                assert_eq!(found, expected, "{name} at {at}");
            }
        }
    }
}
