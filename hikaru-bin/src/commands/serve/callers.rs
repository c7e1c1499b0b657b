//! Who may call: what the variables and the files that they name say, at the start and again whenever a file has changed. What a file of
//! callers may say is decided in hikaru-http; how files are read that may change is in `files`.

mod figures;
mod files;

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::fs::MetadataExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hikaru_http::{CallerSet, Callers, KnownCaller, MAX_CALLERS_FILE, Token, Trust, TrustedIssuer};
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

/// How many looks in a row may find that a file has changed, before that is an error at the start, and trouble later.
const CHANGES: usize = 10;

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

    /// Warns of files that others may read or write: one holds tokens, the other says who may do what.
    fn warn(&self) {
        for path in self.token_file.iter().chain(&self.callers_file) {
            let mode = std::fs::metadata(path).map_or(0, |file| file.mode() & 0o7777);
            if mode & 0o006 != 0 {
                warn!(
                    file = %path.display(),
                    mode = format!("{mode:04o}"),
                    "every user of this machine may read or write the file: chmod 0640, or defaultMode: 0440 where it is mounted"
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
        // For a rotation the same token may stand in both.
        let mut known = HashSet::new();
        let texts = texts.iter();
        let texts: Vec<&SecretString> = texts
            .filter(|text| known.insert(text.expose_secret()))
            .collect();
        if texts.len() > 2 {
            let found = texts.len();
            return Err(format!(
                "{TOKEN} and {TOKEN_FILE}: expected at most two tokens, found {found}"
            ));
        }
        let token =
            |text| Token::new(text).map_err(|error| format!("{TOKEN} or {TOKEN_FILE}: {error}"));
        texts.into_iter().map(token).collect()
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
    /// How many looks in a row have found that one of them had changed.
    changes: usize,
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
        for _ in 0..CHANGES {
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
                    changes: 0,
                    trouble: None,
                });
            }
            before = files.stamps;
            std::thread::sleep(LOOK);
        }
        Err(restless())
    }

    /// Those in force.
    pub(super) fn set(&self) -> &CallerSet {
        &self.set
    }

    /// Whether tokens of ServiceAccounts are trusted.
    pub(super) fn trusts_service_accounts(&self) -> bool {
        let mut trusts = self.set.trusts.iter();
        trusts.any(|trust| matches!(trust.issuer, TrustedIssuer::Kubernetes(_)))
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
    /// is not read. That one changes all the time is an error, too.
    fn look(&mut self) -> Option<Result<CallerSet, String>> {
        self.look_with(Sources::read)
    }

    fn look_with(
        &mut self,
        read: impl FnOnce(&Sources, &mut Files) -> Result<CallerSet, String>,
    ) -> Option<Result<CallerSet, String>> {
        let now: Vec<Stamp> = self.read.iter().map(|(path, _)| Stamp::of(path)).collect();
        let is_read = now.iter().eq(self.read.iter().map(|(_, stamp)| stamp));
        let is_settled = now == self.seen;
        self.seen = now;
        if !is_settled {
            return self.changed();
        }
        // After that trouble it is read whatever it is, so that the trouble ends.
        if is_read && self.changes < CHANGES {
            self.changes = 0;
            return None;
        }
        let mut files = Files::default();
        // If a parser panicked, this thread would end, and no token could be revoked any more.
        let caught = catch_unwind(AssertUnwindSafe(|| read(&self.sources, &mut files)));
        let set = caught.unwrap_or_else(|_| {
            Err(format!(
                "{TOKEN_FILE} or {CALLERS_FILE}: hikaru panicked while it read them, which is a fault of hikaru"
            ))
        });
        if files.has_changed {
            return self.changed();
        }
        self.changes = 0;
        if set.is_ok() {
            self.sources.warn();
        }
        let stamps = files.stamps.iter().map(|(_, stamp)| stamp.clone());
        self.seen = stamps.collect();
        self.read = files.stamps;
        Some(set)
    }

    /// A look has found that a file had changed.
    fn changed(&mut self) -> Option<Result<CallerSet, String>> {
        self.changes = self.changes.saturating_add(1);
        (self.changes >= CHANGES).then(|| Err(restless()))
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

fn restless() -> String {
    format!(
        "{TOKEN_FILE} or {CALLERS_FILE}: expected a file that stays as it is, found one that changes all the time"
    )
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
mod tests;
