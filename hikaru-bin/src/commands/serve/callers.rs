//! Who may call: what the variables and the files that they name say, at the start and again whenever a file has changed. What a file of
//! callers may say is decided in hikaru-http; how files are read that may change is in `files`.

mod figures;
mod files;

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hikaru_http::{CallerSet, Callers, KnownCaller, MAX_CALLERS_FILE, Token, Trust};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{info, warn};

pub(super) use figures::CallerFigures;
use files::{Files, Stamp};

/// The variables that say who may call.
pub(super) const TOKEN: &str = "HIKARU_API_TOKEN";
pub(super) const TOKEN_FILE: &str = "HIKARU_API_TOKEN_FILE";
pub(super) const CALLERS_FILE: &str = "HIKARU_CALLERS_FILE";

/// How often it is looked whether a file has changed. It is read when it was the same at two looks, so a change counts after two or three
/// of these times.
const LOOK: Duration = Duration::from_secs(1);

/// How often a file may change at the start, before that is an error.
const CHANGES_AT_START: usize = 10;

/// The longest file of tokens, and of certificates, in bytes.
const MAX_FILE: usize = 1024 * 1024;

/// How many names a line of the log has at most.
const MAX_NAMES: usize = 20;

/// What anybody may be told at `/readyz`.
const TROUBLE: &str =
    "the callers cannot be read again, and those of before stay in force: the log says why";

/// What says who may call.
pub(super) struct Sources {
    tokens: Option<SecretString>,
    token_file: Option<PathBuf>,
    callers_file: Option<PathBuf>,
}

impl Sources {
    /// Those that the variables name. `None`: nothing says it.
    pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let sources = Self {
            tokens: variable(TOKEN).map(SecretString::from),
            token_file: variable(TOKEN_FILE).map(PathBuf::from),
            callers_file: variable(CALLERS_FILE).map(PathBuf::from),
        };
        let Self {
            tokens,
            token_file,
            callers_file,
        } = &sources;
        let is_any = tokens.is_some() || token_file.is_some() || callers_file.is_some();
        is_any.then_some(sources)
    }

    /// Warns of files that others may read: one holds tokens, the other says who may do what.
    fn warn(&self) {
        for path in self.token_file.iter().chain(&self.callers_file) {
            let mode = std::fs::metadata(path).map_or(0, |file| file.mode() & 0o7777);
            if mode & 0o004 != 0 {
                warn!(
                    file = %path.display(),
                    mode = format!("{mode:04o}"),
                    "every user of this machine may read the file: chmod 0640, or defaultMode: 0440 where it is mounted"
                );
            }
        }
    }

    fn read(&self, files: &mut Files) -> Result<CallerSet, String> {
        let mut set = CallerSet::of_tokens(self.tokens(files)?);
        let Some(path) = &self.callers_file else {
            return Ok(set);
        };
        let text = files.text(path, MAX_CALLERS_FILE);
        let text = text.map_err(|why| format!("{CALLERS_FILE}: {why}"))?;
        // A path in it is taken from its own folder.
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut certificates = |path: &str| files.text(&folder.join(path), MAX_FILE);
        let read = CallerSet::from_yaml(&text, &mut certificates);
        let read = read.map_err(|why| format!("{CALLERS_FILE}: {}: {why}", path.display()))?;
        for known in &read.callers {
            if set.callers.iter().any(|all| all.token == known.token) {
                let name = &known.caller.name;
                return Err(format!(
                    "{CALLERS_FILE}: the caller {name} has a token of {TOKEN} or {TOKEN_FILE}, which has all rights: expected \
                     another one"
                ));
            }
        }
        set.callers.extend(read.callers);
        set.trusts = read.trusts;
        Ok(set)
    }

    /// The tokens with all rights.
    fn tokens(&self, files: &mut Files) -> Result<Vec<Token>, String> {
        let mut texts = Vec::new();
        if let Some(text) = &self.tokens {
            texts.extend(lines(text));
            if texts.is_empty() {
                return Err(format!("{TOKEN}: expected a token, found an empty text"));
            }
        }
        if let Some(path) = &self.token_file {
            let text = files.text(path, MAX_FILE).map(SecretString::from);
            let text = text.map_err(|why| format!("{TOKEN_FILE}: {why}"))?;
            let before = texts.len();
            texts.extend(lines(&text));
            if texts.len() == before {
                let path = path.display();
                return Err(format!(
                    "{TOKEN_FILE}: expected a token in {path}, found none"
                ));
            }
        }
        texts.dedup_by(|a, b| a.expose_secret() == b.expose_secret());
        if texts.len() > 2 {
            let found = texts.len();
            return Err(format!(
                "{TOKEN} and {TOKEN_FILE}: expected at most two tokens, found {found}"
            ));
        }
        let token = |text: &SecretString| {
            Token::new(text).map_err(|error| format!("{TOKEN} or {TOKEN_FILE}: {error}"))
        };
        texts.iter().map(token).collect()
    }
}

/// The lines that are not empty.
fn lines(text: &SecretString) -> impl Iterator<Item = SecretString> {
    let lines = text.expose_secret().lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
}

/// Who may call, with what is needed to notice that this has changed.
pub(super) struct Known {
    sources: Sources,
    /// Those in force.
    set: CallerSet,
    /// The files as they were when they were read for the last time, whatever came of it.
    read: Vec<(PathBuf, Stamp)>,
    /// The same files as they were at the last look.
    seen: Vec<Stamp>,
    /// Why they could not be read.
    trouble: Option<String>,
}

impl Known {
    /// Reads everything for the first time. A file that is just being written is read when it is whole.
    ///
    /// # Errors
    /// Why it cannot be known who may call.
    pub(super) fn read(sources: Sources) -> Result<Self, String> {
        let mut before = Vec::new();
        for _ in 0..CHANGES_AT_START {
            let mut files = Files::default();
            let set = sources.read(&mut files);
            let is_whole = !files.are_younger_than(LOOK) || files.stamps == before;
            if is_whole && !files.has_changed {
                let set = set?;
                sources.warn();
                info!(
                    callers = set.callers.len(),
                    trusts = set.trusts.len(),
                    "the callers were read"
                );
                let seen = files.stamps.iter().map(|(_, stamp)| stamp.clone());
                return Ok(Self {
                    sources,
                    set,
                    seen: seen.collect(),
                    read: files.stamps,
                    trouble: None,
                });
            }
            before = files.stamps;
            std::thread::sleep(LOOK);
        }
        Err(format!(
            "{TOKEN_FILE} or {CALLERS_FILE}: expected a file that stays as it is, found one that changes all the time"
        ))
    }

    /// Those in force.
    pub(super) fn set(&self) -> &CallerSet {
        &self.set
    }

    /// Looks from now on, in a thread of its own, whether a file has changed: then those that it says are in force.
    pub(super) fn follow(mut self, callers: Arc<Callers>, figures: CallerFigures) {
        figures.in_force(&self.set);
        if self.read.is_empty() {
            return;
        }
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(LOOK);
                match self.look() {
                    None => {}
                    Some(Ok(set)) => {
                        self.tell(&set);
                        figures.in_force(&set);
                        callers.replace(set.clone());
                        self.set = set;
                    }
                    Some(Err(why)) => {
                        figures.troubled();
                        callers.set_trouble(TROUBLE);
                        self.tell_trouble(why);
                    }
                }
            }
        });
    }

    /// Reads everything again if a file has changed since it was read, and has not changed since the last look: one that is being written
    /// is not read.
    fn look(&mut self) -> Option<Result<CallerSet, String>> {
        let now: Vec<Stamp> = self.read.iter().map(|(path, _)| Stamp::of(path)).collect();
        let is_read = now.iter().eq(self.read.iter().map(|(_, stamp)| stamp));
        let is_settled = now == self.seen;
        self.seen = now;
        if is_read || !is_settled {
            return None;
        }
        let mut files = Files::default();
        let set = self.sources.read(&mut files);
        if files.has_changed {
            return None;
        }
        if set.is_ok() {
            self.sources.warn();
        }
        let stamps = files.stamps.iter().map(|(_, stamp)| stamp.clone());
        self.seen = stamps.collect();
        self.read = files.stamps;
        Some(set)
    }

    fn tell(&mut self, new: &CallerSet) {
        self.trouble = None;
        let (old, new) = (entries(&self.set), entries(new));
        let of = |names: Vec<&str>| listed(&names);
        let added = new.keys().filter(|name| !old.contains_key(**name));
        let removed = old.keys().filter(|name| !new.contains_key(**name));
        let changed = new.iter().filter(|(name, entry)| {
            let old = old.get(**name);
            old.is_some_and(|old| old != *entry)
        });
        info!(
            callers = new
                .values()
                .filter(|entry| matches!(entry, Entry::Caller(_)))
                .count(),
            trusts = new
                .values()
                .filter(|entry| matches!(entry, Entry::Trust(_)))
                .count(),
            added = of(added.copied().collect()),
            changed = of(changed.map(|(name, _)| *name).collect()),
            removed = of(removed.copied().collect()),
            "the callers were read again, and are in force"
        );
    }

    fn tell_trouble(&mut self, why: String) {
        if self.is_news(&why) {
            warn!(
                %why,
                "the callers cannot be read again, and those of before stay in force"
            );
        }
    }

    /// Whether this is not what was told last: a file that is still broken in the same way is no news.
    fn is_news(&mut self, why: &str) -> bool {
        let before = self.trouble.replace(why.to_owned());
        before.as_deref() != Some(why)
    }
}

/// An entry of a set.
#[derive(PartialEq)]
enum Entry<'s> {
    Caller(&'s KnownCaller),
    Trust(&'s Trust),
}

fn entries(set: &CallerSet) -> BTreeMap<&str, Entry<'_>> {
    let callers = set.callers.iter();
    let callers = callers.map(|known| (&*known.caller.name, Entry::Caller(known)));
    let trusts = set.trusts.iter();
    callers
        .chain(trusts.map(|trust| (&*trust.name, Entry::Trust(trust))))
        .collect()
}

/// Names in a line of the log, if there are any.
fn listed(names: &[&str]) -> Option<String> {
    let shown = names.iter().take(MAX_NAMES).copied().collect::<Vec<_>>();
    let more = names.len().saturating_sub(MAX_NAMES);
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown.join(", ")),
        (false, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use super::*;

    const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    /// A file that was written long ago, so that nobody waits for its end.
    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("written");
        let file = fs::File::options().write(true).open(path);
        let hour = Duration::from_secs(3600);
        let aged = file.and_then(|file| file.set_modified(SystemTime::now() - hour));
        aged.expect("an old file");
    }

    fn start(path: &Path) -> Result<Known, String> {
        let variable = |name: &str| (name == CALLERS_FILE).then(|| path.display().to_string());
        Known::read(Sources::of(&variable).expect("a file"))
    }

    fn narrow(name: &str) -> String {
        format!(
            "callers:\n- name: {name}\n  tokenSha256: {HASH}\n  rights: [upgrade]\n  identities: [acme/shop/main]\n"
        )
    }

    /// What a look gives: nothing, the name of the only caller, or why it cannot be read.
    fn look(known: &mut Known) -> Option<Result<String, String>> {
        let set = known.look()?;
        Some(set.map(|set| set.callers[0].caller.name.to_string()))
    }

    #[test]
    fn a_file_that_is_being_written_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("callers.yaml");
        write(&path, &narrow("one"));
        let mut known = start(&path).expect("a caller");
        assert_eq!(look(&mut known), None, "it is as it was read");
        // Half of it is sound, and says that the caller sees everything.
        let text = narrow("two");
        let half = text.split("  identities").next().expect("a half");
        write(&path, half);
        assert_eq!(look(&mut known), None, "it has just changed");
        write(&path, &format!("{half}  "));
        assert_eq!(look(&mut known), None, "it has changed again");
        write(&path, &text);
        assert_eq!(look(&mut known), None, "and again");
        assert_eq!(look(&mut known), Some(Ok("two".to_owned())));
        assert_eq!(look(&mut known), None);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("callers.yaml");
        write(&path, &narrow("one"));
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut count = 0;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::write(&path, "x".repeat(count % 1000)).expect("written");
                    count += 1;
                }
            });
            let patience = std::time::Instant::now() + Duration::from_secs(120);
            let mut has_changed = false;
            while !has_changed && std::time::Instant::now() < patience {
                let mut files = Files::default();
                let _ = files.text(&path, 1000);
                has_changed = files.has_changed;
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(has_changed, "a change was not noticed");
        });
    }

    #[test]
    fn a_file_that_was_just_written_is_read_when_it_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("callers.yaml");
        fs::write(&path, narrow("one")).expect("written");
        let started = std::time::Instant::now();
        assert_eq!(
            &*start(&path).expect("a caller").set().callers[0].caller.name,
            "one"
        );
        assert!(started.elapsed() >= LOOK, "it was looked at once");
    }

    #[test]
    fn certificates_are_read_again_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, ca) = (
            folder.path().join("callers.yaml"),
            folder.path().join("ca.pem"),
        );
        let trust = "trusts:\n- name: own\n  kind: forgejo\n  issuer: https://git.acme.example\n  ca: ca.pem\n  audience: h\n  rights: [upgrade]\n";
        write(&path, trust);
        let error = start(&path).err().expect("no certificates");
        assert!(
            error.contains("line 5, column 7: ") && error.contains("ca.pem: cannot be read"),
            "{error}"
        );
        let pem = |text: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        write(&ca, &pem("AAAA"));
        let mut known = start(&path).expect("a trust");
        let of = |set: &CallerSet| match &set.trusts[0].issuer {
            hikaru_http::TrustedIssuer::Oidc(oidc) => oidc.ca.as_deref().map(str::to_owned),
            _ => None,
        };
        assert_eq!(of(known.set()), Some(pem("AAAA")));
        write(&ca, &pem("BBBB"));
        assert!(known.look().is_none());
        let set = known.look().expect("a change").expect("a trust");
        assert_eq!(of(&set), Some(pem("BBBB")));
        fs::remove_file(&ca).expect("removed");
        assert!(known.look().is_none());
        assert!(known.look().expect("a change").is_err());
        write(&ca, &pem("AAAA"));
        assert!(known.look().is_none());
        assert!(known.look().expect("a change").is_ok());
    }

    #[test]
    fn a_token_with_all_rights_is_none_of_a_caller() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("callers.yaml");
        // Of `a-secret-of-20-bytes`.
        let hash = "8d175a103b197698360be814d59eda95070310a583ed024f83f23e845dacd0e7";
        write(&path, &narrow("ci").replace(HASH, hash));
        let variable = |name: &str| match name {
            TOKEN => Some("a-secret-of-20-bytes".to_owned()),
            CALLERS_FILE => Some(path.display().to_string()),
            _ => None,
        };
        let refused = Known::read(Sources::of(&variable).expect("both")).err();
        let error = refused.expect("one token twice");
        assert!(
            error.contains("the caller ci has a token of HIKARU_API_TOKEN"),
            "{error}"
        );
        write(&path, &narrow("ci"));
        let both = Known::read(Sources::of(&variable).expect("both")).expect("two callers");
        assert_eq!(both.set().callers.len(), 2);
    }

    #[test]
    fn trouble_is_told_when_it_is_another_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("callers.yaml");
        write(&path, &narrow("one"));
        let mut known = start(&path).expect("a caller");
        assert!(known.is_news("it is gone"));
        assert!(!known.is_news("it is gone"));
        assert!(known.is_news("it is a directory"));
        let set = known.set().clone();
        known.tell(&set);
        assert!(known.is_news("it is a directory"), "it was mended");
    }

    #[test]
    fn names_in_a_line_are_bounded() {
        assert_eq!(listed(&[]), None);
        assert_eq!(listed(&["a", "b"]).as_deref(), Some("a, b"));
        let listed = listed(&["x"; 23]).expect("names");
        assert!(listed.ends_with("x, x and 3 more"), "{listed}");
    }
}
