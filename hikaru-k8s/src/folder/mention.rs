//! Whether a text that cannot be read holds the repository that somebody asked for. It decides
//! only how bad a fault is: nothing is ever upgraded for it.

use hikaru_core::{Scope, Select, Severity};
use memchr::memmem;
use std::io::{self, Read};

/// What may stand before the shortest form of a repository on Docker Hub.
const DOCKER: [&str; 5] = [
    "docker.io/library/",
    "index.docker.io/library/",
    "library/",
    "docker.io/",
    "index.docker.io/",
];

/// Bytes before a match that are looked at: a registry, and what stands before it.
const BEFORE: usize = 64;
/// Bytes after a match that are looked at.
const AFTER: usize = 2;

/// How bad it is that something in a file cannot be read.
#[derive(Debug)]
pub(super) enum Weight<'s> {
    /// A failure where the text holds the repository, as people write it: `acme/web`,
    /// `ghcr.io/acme/web`, `web` for `docker.io/library/web`.
    Repository(Box<memmem::Finder<'static>>),
    /// A failure in the files of these workloads.
    Files(Vec<&'s str>),
    /// Never more than a warning: whoever asks for everything sees it beside the answer.
    Light,
}

impl<'s> Weight<'s> {
    pub(super) fn of(scope: &'s Scope) -> Self {
        let repository = match &scope.select {
            Select::Build(build) | Select::Near(build) => build.repository().to_string(),
            Select::Repository(repository) => repository.to_string(),
            Select::Named(ids) => {
                let origins = ids.iter().filter_map(|id| id.origin.as_deref());
                return Self::Files(
                    origins
                        .map(|origin| origin.rsplit_once('#').map_or(origin, |(file, _)| file))
                        .collect(),
                );
            }
            _ => return Self::Light,
        };
        let shortest = DOCKER
            .iter()
            .find_map(|prefix| repository.strip_prefix(prefix))
            .unwrap_or(&repository);
        Self::Repository(Box::new(memmem::Finder::new(shortest).into_owned()))
    }

    /// Whether a text holds the repository that is asked for.
    pub(super) fn is_mentioned(&self, text: &[u8]) -> bool {
        match self {
            Self::Repository(finder) => mentions(finder, text, true),
            _ => false,
        }
    }

    /// For a text at hand; `file` is the file's path below the folder.
    pub(super) fn weigh(&self, file: &str, text: &[u8]) -> Severity {
        severity(match self {
            Self::Repository(finder) => {
                let mut text = text.to_vec();
                let end = drop_zeros(&mut text);
                mentions(finder, &text[..end], true)
            }
            Self::Files(files) => files.contains(&file),
            Self::Light => false,
        })
    }

    /// For a text that is too large to hold: read in pieces, so that memory stays bounded.
    pub(super) fn weigh_stream(&self, file: &str, mut text: impl Read) -> io::Result<Severity> {
        let Self::Repository(finder) = self else {
            return Ok(self.weigh(file, &[]));
        };
        let keep = finder.needle().len() + BEFORE + AFTER;
        let mut buffer = vec![0; 64 * 1024 + keep];
        let mut filled = 0;
        loop {
            let read = match text.read(&mut buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            filled += drop_zeros(&mut buffer[filled..filled + read]);
            if mentions(finder, &buffer[..filled], read == 0) {
                return Ok(Severity::Failure);
            }
            if read == 0 {
                return Ok(Severity::Warning);
            }
            if filled > keep {
                buffer.copy_within(filled - keep..filled, 0);
                filled = keep;
            }
        }
    }
}

/// Moves what is not zero to the front, and says where that ends: in UTF-16 and UTF-32 zeros stand between the letters of a
/// repository.
fn drop_zeros(text: &mut [u8]) -> usize {
    let mut end = 0;
    for at in 0..text.len() {
        if text[at] != 0 {
            text[end] = text[at];
            end += 1;
        }
    }
    end
}

fn severity(failure: bool) -> Severity {
    if failure {
        Severity::Failure
    } else {
        Severity::Warning
    }
}

/// Whether the name stands in the text as a whole. `last`: nothing follows the text.
fn mentions(finder: &memmem::Finder<'_>, text: &[u8], last: bool) -> bool {
    finder.find_iter(text).any(|start| {
        let end = start + finder.needle().len();
        // The rest of the text decides about a match at its end; it comes with the next piece.
        (last || end + AFTER <= text.len())
            && begins(&text[start.saturating_sub(BEFORE)..start])
            && ends(&text[end..])
    })
}

/// Whether a repository can begin after this: `acme/web` is not in `ghcr.io/acme/web` or
/// `my-acme/web`, but in `docker.io/acme/web` and after a template's `{{ registry }}/`.
fn begins(before: &[u8]) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"._-:/".contains(b);
    let run = before.iter().rev().take_while(|b| part(b)).count();
    let run = &before[before.len() - run..];
    match run {
        [] | [.., b':'] | [b'/'] | [.., b'/', b'/'] => true,
        _ => DOCKER.iter().any(|prefix| prefix.as_bytes() == run),
    }
}

/// Whether a repository can end before this.
fn ends(after: &[u8]) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || b"_-/".contains(b);
    match after {
        [b'.', next, ..] => !word(next),
        [next, ..] => !word(next),
        [] => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(repository: &str) -> Weight<'static> {
        let scope = Scope::new(Select::Repository(repository.into()));
        match Weight::of(&scope) {
            Weight::Repository(finder) => Weight::Repository(finder),
            _ => Weight::Light,
        }
    }

    #[test]
    fn a_repository_is_found_as_people_write_it() {
        #[rustfmt::skip]
        let table = [
            ("docker.io/acme/web", "image: acme/web:1\nimage: docker.io/acme/web\nimage: index.docker.io/acme/web@x\n\"acme/web\"\n'{{ .r }}/acme/web:1'\nsee acme/web.\nimage:acme/web", true),
            ("docker.io/acme/web", "ghcr.io/acme/web:1\nmy-acme/web\nacme/web-admin\nacme/web2\nacme/web/x\nacme/web.yaml\nacme-web\nACME/web", false),
            ("docker.io/library/web", "web\nimage: web:1\nlibrary/web\ndocker.io/web\ndocker.io/library/web\nname: web", true),
            ("docker.io/library/web", "acme/web\nwebhook\nmy-web\nweb-1\nhost:5000/web", false),
            ("ghcr.io/acme/web", "ghcr.io/acme/web\noci://ghcr.io/acme/web:1", true),
            ("ghcr.io/acme/web", "acme/web\nx.ghcr.io/acme/web\nghcr.io/acme/webs", false),
            ("host:5000/web", "image: host:5000/web:1", true),
        ];
        for (repository, lines, expected) in table {
            for line in lines.lines() {
                let found = weight(repository).weigh("f", line.as_bytes());
                assert_eq!(found, severity(expected), "{repository} in {line}");
                let stream = weight(repository).weigh_stream("f", line.as_bytes());
                assert_eq!(
                    stream.ok(),
                    Some(severity(expected)),
                    "{repository} in {line}"
                );
            }
        }
    }

    #[test]
    fn a_stream_is_searched_across_its_pieces() {
        for at in (65_500..65_700).chain(131_000..131_300) {
            for (name, expected) in [
                ("acme/web:1", true),
                ("acme/web-x", false),
                ("ghcr.io/acme/web", false),
            ] {
                let mut text = vec![b' '; at];
                text.extend_from_slice(name.as_bytes());
                let found = weight("docker.io/acme/web").weigh_stream("f", &text[..]);
                assert_eq!(found.ok(), Some(severity(expected)), "{name} at {at}");
            }
        }
    }
}
