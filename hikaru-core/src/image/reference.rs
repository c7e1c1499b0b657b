//! Image references: the grammar of distribution/reference with Docker's normalization, read into a view on the text.
//!
//! What a tag means is not known here: see [`crate::image::tag`].
//!
//! ```text
//! reference = name [ ":" tag ] [ "@" digest ]
//! name      = [ domain "/" ] path
//! domain    = host [ ":" 1*DIGIT ]
//! host      = component *( "." component ) | "[" 1*( HEXDIG | ":" ) "]"
//! component = ALNUM | ALNUM *( ALNUM | "-" ) ALNUM
//! path      = pc *( "/" pc )                           ; at most 255 bytes, the domain not counted
//! pc        = 1*lower-alnum *( ( "." | "_" | "__" | 1*"-" ) 1*lower-alnum )
//! tag       = ( ALNUM | "_" ) *127( ALNUM | "_" | "." | "-" )
//! digest    = "sha256:" 64hex | "sha384:" 96hex | "sha512:" 128hex   ; lower case
//! ```

use std::fmt;

use crate::text::excerpt::Excerpt;

/// The longest path of a repository, in bytes, `library/` counted and the registry not (distribution/reference).
pub const MAX_PATH: usize = 255;
/// The longest tag, in bytes (distribution/reference).
pub const MAX_TAG: usize = 128;

const DOCKER: &str = "docker.io";
const LEGACY_DOCKER: &str = "index.docker.io";
const LIBRARY: &str = "library/";

/// A repository, normalized: `docker.io/library/web` for `web`. Equal values are the same repository.
///
/// ```
/// use hikaru_core::image::Reference;
/// let short = Reference::parse("web:1.0")?;
/// let long = Reference::parse("index.docker.io/library/web@sha256:0000000000000000000000000000000000000000000000000000000000000000")?;
/// assert_eq!(short.repository(), long.repository());
/// assert_eq!(short.repository().to_string(), "docker.io/library/web");
/// # Ok::<(), hikaru_core::image::ReferenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository<'t> {
    registry: &'t str,
    /// `library/` stands before the path, written or not.
    library: bool,
    path: &'t str,
}

impl<'t> Repository<'t> {
    /// The registry's host and port, `docker.io` where the reference names none.
    pub fn registry(&self) -> &'t str {
        self.registry
    }

    /// The path as people write it: without the `library/` that Docker adds.
    pub fn familiar_path(&self) -> &'t str {
        self.path
    }

    /// The normalized path, `library/web` for `web`.
    pub fn path(&self) -> String {
        format!("{}{}", if self.library { LIBRARY } else { "" }, self.path)
    }

    /// Whether this is the repository of that normalized name.
    pub fn is(&self, name: &str) -> bool {
        let mut rest = Some(name);
        for piece in self.pieces() {
            rest = rest.and_then(|rest| rest.strip_prefix(piece));
        }
        rest == Some("")
    }

    /// Whether a text begins with this repository, in any of its spellings, and something that belongs to no repository's
    /// name follows: of `ghcr.io/acme/web:${TAG}` it is known what it is to be, though it is no reference.
    ///
    /// ```
    /// use hikaru_core::image::Reference;
    /// let web = Reference::parse("web")?.repository();
    /// for text in ["web:${TAG}", "docker.io/web:a b", "index.docker.io/library/web${SUFFIX}"] {
    ///     assert!(web.begins(text), "{text}");
    /// }
    /// for text in ["web-${ENV}:1", "web/${NAME}", "ghcr.io/web:${TAG}", "${REGISTRY}/web:1"] {
    ///     assert!(!web.begins(text), "{text}");
    /// }
    /// # Ok::<(), hikaru_core::image::ReferenceError>(())
    /// ```
    pub fn begins(&self, text: &str) -> bool {
        let rest = match text.split_once('/') {
            Some((DOCKER | LEGACY_DOCKER, rest)) if self.registry == DOCKER => rest,
            Some((registry, rest)) if registry == self.registry => rest,
            _ if self.registry == DOCKER => text,
            _ => return false,
        };
        let rest = match rest.strip_prefix(LIBRARY) {
            Some(rest) if self.library => rest,
            _ => rest,
        };
        let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        rest.strip_prefix(self.path)
            .is_some_and(|rest| !rest.starts_with(goes_on))
    }

    /// The pieces whose concatenation is [`Repository::to_string`]: what a hash can be fed without an allocation.
    pub(crate) fn pieces(&self) -> [&'t str; 4] {
        let library = if self.library { LIBRARY } else { "" };
        [self.registry, "/", library, self.path]
    }
}

impl fmt::Display for Repository<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces()
            .into_iter()
            .try_for_each(|piece| f.write_str(piece))
    }
}

/// An image reference: a view on a text that stays as it was written.
///
/// ```
/// use hikaru_core::image::Reference;
/// let image = Reference::parse("localhost:5000/acme/web:1.4.0")?;
/// assert_eq!(image.repository().registry(), "localhost:5000");
/// assert_eq!(image.repository().path(), "acme/web");
/// assert_eq!(image.tag(), Some("1.4.0"));
/// assert_eq!(image.digest(), None);
/// # Ok::<(), hikaru_core::image::ReferenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference<'t> {
    repository: Repository<'t>,
    tag: Option<&'t str>,
    digest: Option<&'t str>,
}

impl<'t> Reference<'t> {
    /// Reads a reference. Linear in the text, without an allocation.
    ///
    /// # Errors
    /// A [`ReferenceError`] that names the part, what was expected, what stands there and at which byte.
    pub fn parse(text: &'t str) -> Result<Self, ReferenceError> {
        Parser { text }.reference()
    }

    /// Registry and path, normalized.
    pub fn repository(&self) -> Repository<'t> {
        self.repository
    }

    /// The tag, as written.
    pub fn tag(&self) -> Option<&'t str> {
        self.tag
    }

    /// The digest with its algorithm, as written.
    pub fn digest(&self) -> Option<&'t str> {
        self.digest
    }

    /// The repository as it is spelled in the text that this reference was read from: what stands before tag and digest.
    ///
    /// ```
    /// use hikaru_core::image::Reference;
    /// let text = "docker.io/acme/web:1.4.0";
    /// assert_eq!(Reference::parse(text)?.spelling(text), "docker.io/acme/web");
    /// # Ok::<(), hikaru_core::image::ReferenceError>(())
    /// ```
    pub fn spelling<'s>(&self, text: &'s str) -> &'s str {
        let ends = [self.tag, self.digest];
        let ends: usize = ends.iter().flatten().map(|end| end.len() + 1).sum();
        let end = text.len().saturating_sub(ends);
        text.get(..end).unwrap_or(text)
    }
}

/// Why a text is no image reference. Offsets are in bytes from its start, 0-based.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// There is no text.
    #[error("expected an image reference, found an empty text")]
    Empty,
    /// 64 hex characters alone could be an image's ID.
    #[error("expected a repository name, found 64 hex characters, which could be an image ID")]
    ImageId,
    /// A second `@`.
    #[error("expected at most one `@`, found a second one at byte {at}")]
    SecondAt {
        /// Where it stands.
        at: usize,
    },
    /// The part before the first `/` is no host with an optional port.
    #[error("expected {expected}, found {found} at byte {at}")]
    Registry {
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
    /// The repository's path does not follow the grammar.
    #[error("expected {expected} in the repository's path, found {found} at byte {at}")]
    Path {
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
    /// The path is longer than [`MAX_PATH`].
    #[error("expected a repository path of at most {MAX_PATH} bytes, found {length}")]
    PathTooLong {
        /// Its length in bytes, an implied `library/` counted.
        length: usize,
    },
    /// The tag does not follow the grammar.
    #[error("expected {expected} in the tag, found {found} at byte {at}")]
    Tag {
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
    /// The tag is longer than [`MAX_TAG`].
    #[error("expected a tag of at most {MAX_TAG} bytes, found {length}")]
    TagTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The digest does not follow the grammar.
    #[error("expected {expected}, found {found} at byte {at}")]
    Digest {
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
}

/// A letter or digit of a path.
fn is_word(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// A byte of a host between its dots.
fn is_host(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

/// A byte of a tag after its first.
fn is_tag(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')
}

/// Where the first byte stands that is none of these.
fn first_not(is: fn(u8) -> bool, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| !is(*b))
}

fn is_first_of_tag(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || *b == b'_'
}

struct Parser<'t> {
    text: &'t str,
}

impl<'t> Parser<'t> {
    fn reference(&self) -> Result<Reference<'t>, ReferenceError> {
        let text = self.text;
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::ImageId);
        }
        // The order that avoids the trap of a port taken for a tag: digest, then registry, then tag.
        let (named, digest) = match text.split_once('@') {
            None => (text, None),
            Some((named, digest)) => {
                if let Some(second) = digest.bytes().position(|b| b == b'@') {
                    return Err(ReferenceError::SecondAt {
                        at: named.len() + 1 + second,
                    });
                }
                self.digest(named.len() + 1)?;
                (named, Some(digest))
            }
        };
        let (registry, start) = self.registry(named)?;
        let rest = &named[start..];
        let (path, tag) = match rest.split_once(':') {
            None => (rest, None),
            Some((path, tag)) => (path, Some((tag, start + path.len() + 1))),
        };
        self.path(path, start)?;
        let tag = match tag {
            None => None,
            Some((tag, at)) => {
                self.tag(tag, at)?;
                Some(tag)
            }
        };
        let (library, path) = match path.strip_prefix(LIBRARY) {
            _ if registry != DOCKER => (false, path),
            Some(name) if !name.contains('/') => (true, name),
            _ => (!path.contains('/'), path),
        };
        let length = path.len() + if library { LIBRARY.len() } else { 0 };
        if length > MAX_PATH {
            return Err(ReferenceError::PathTooLong { length });
        }
        Ok(Reference {
            repository: Repository {
                registry,
                library,
                path,
            },
            tag,
            digest,
        })
    }

    /// The registry, normalized, and where the path begins: Docker's table for the text before the first `/`.
    fn registry(&self, named: &'t str) -> Result<(&'t str, usize), ReferenceError> {
        let Some((first, _)) = named.split_once('/') else {
            return Ok((DOCKER, 0));
        };
        let start = first.len() + 1;
        match first {
            "localhost" => Ok((first, start)),
            LEGACY_DOCKER => Ok((DOCKER, start)),
            _ if first
                .bytes()
                .any(|b| matches!(b, b'.' | b':' | b'A'..=b'Z'))
                || (!first.is_ascii() && first.chars().any(char::is_uppercase)) =>
            {
                self.domain(first)?;
                Ok((first, start))
            }
            _ => Ok((DOCKER, 0)),
        }
    }

    fn domain(&self, domain: &str) -> Result<(), ReferenceError> {
        let wrong = |expected, at| ReferenceError::Registry {
            expected,
            found: Excerpt::at(self.text, at),
            at,
        };
        let host_end = if domain.starts_with('[') {
            let Some(close) = domain.bytes().position(|b| b == b']') else {
                return Err(wrong("`]` after the registry's IPv6 address", domain.len()));
            };
            let address = &domain[1..close];
            let is_address = |b: u8| b.is_ascii_hexdigit() || b == b':';
            if let Some(at) = address.bytes().position(|b| !is_address(b)) {
                return Err(wrong("an IPv6 address as the registry's host", 1 + at));
            }
            if address.is_empty() {
                return Err(wrong("an IPv6 address as the registry's host", 1));
            }
            close + 1
        } else {
            let (host, _) = domain.split_once(':').unwrap_or((domain, ""));
            let mut at = 0;
            for component in host.as_bytes().split(|b| *b == b'.') {
                if component.first().is_none_or(|b| *b == b'-') {
                    return Err(wrong("a letter or digit in the registry's host", at));
                }
                if let Some(bad) = first_not(is_host, component) {
                    return Err(wrong(
                        "letters, digits, `-` or `.` in the registry's host",
                        at + bad,
                    ));
                }
                if component.ends_with(b"-") {
                    return Err(wrong(
                        "a letter or digit at the end of a part of the registry's host",
                        at + component.len() - 1,
                    ));
                }
                at += component.len() + 1;
            }
            host.len()
        };
        let port = &domain[host_end..];
        match port.strip_prefix(':') {
            None if port.is_empty() => Ok(()),
            None => Err(wrong("`:` and a port, or `/`, after the host", host_end)),
            Some("") => Err(wrong("a port after `:`", host_end + 1)),
            Some(digits) => match digits.bytes().position(|b| !b.is_ascii_digit()) {
                None => Ok(()),
                Some(bad) => Err(wrong("digits in the port", host_end + 1 + bad)),
            },
        }
    }

    fn path(&self, path: &str, start: usize) -> Result<(), ReferenceError> {
        let wrong = |expected, at| {
            Err(ReferenceError::Path {
                expected,
                found: Excerpt::at(self.text, start + at),
                at: start + at,
            })
        };
        let mut at = 0;
        for bytes in path.as_bytes().split(|b| *b == b'/') {
            let mut i = 0;
            loop {
                let word = i;
                i = first_not(is_word, &bytes[i..]).map_or(bytes.len(), |end| i + end);
                if i == word {
                    return wrong("a lower-case letter or digit", at + i);
                }
                if i == bytes.len() {
                    break;
                }
                let separator = i;
                i += match &bytes[i..] {
                    [b'.', ..] => 1,
                    [b'_', b'_', ..] => 2,
                    [b'_', ..] => 1,
                    [b'-', ..] => bytes[i..].iter().take_while(|b| **b == b'-').count(),
                    _ => 0,
                };
                if i == separator {
                    return wrong("a lower-case letter, digit, `.`, `_`, `-` or `/`", at + i);
                }
            }
            at += bytes.len() + 1;
        }
        Ok(())
    }

    fn tag(&self, tag: &str, start: usize) -> Result<(), ReferenceError> {
        let wrong = |expected, at| {
            Err(ReferenceError::Tag {
                expected,
                found: Excerpt::at(self.text, at),
                at,
            })
        };
        if !tag.as_bytes().first().is_some_and(is_first_of_tag) {
            return wrong("a letter, digit or `_` first", start);
        }
        if let Some(bad) = first_not(is_tag, tag.as_bytes()) {
            return wrong("letters, digits, `_`, `.` or `-`", start + bad);
        }
        if tag.len() > MAX_TAG {
            return Err(ReferenceError::TagTooLong { length: tag.len() });
        }
        Ok(())
    }

    fn digest(&self, start: usize) -> Result<(), ReferenceError> {
        let wrong = |expected, at| {
            Err(ReferenceError::Digest {
                expected,
                found: Excerpt::at(self.text, at),
                at,
            })
        };
        let digest = &self.text[start..];
        let Some((algorithm, hex)) = digest.split_once(':') else {
            return wrong("an algorithm, `:` and a digest after `@`", start);
        };
        let (length, expected) = match algorithm {
            "sha256" => (64, "64 lower-case hex characters after `sha256:`"),
            "sha384" => (96, "96 lower-case hex characters after `sha384:`"),
            "sha512" => (128, "128 lower-case hex characters after `sha512:`"),
            _ => {
                return wrong(
                    "a digest `sha256:…`, `sha384:…` or `sha512:…` after `@`",
                    start,
                );
            }
        };
        let hex_start = start + algorithm.len() + 1;
        let good = hex
            .bytes()
            .take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            .count();
        if good != hex.len() || good != length {
            return wrong(
                expected,
                (hex_start + good.min(length)).min(self.text.len()),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
