//! When files are read again, and what comes of it. What a running server does then is tested in `tests/it/serve/callers.rs`.

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
fn a_file_that_changes_all_the_time_is_trouble_until_it_rests() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("callers.yaml");
    write(&path, &narrow("one"));
    let mut known = start(&path).expect("a caller");
    for turn in 1..=CHANGES + 2 {
        write(&path, &format!("{}#{}", narrow("two"), "x".repeat(turn)));
        let found = look(&mut known);
        assert_eq!(found.is_some(), turn >= CHANGES, "{turn}: {found:?}");
        let why = found.and_then(Result::err).unwrap_or_default();
        assert_eq!(why.contains("changes all the time"), turn >= CHANGES);
    }
    assert_eq!(look(&mut known), Some(Ok("two".to_owned())), "it rests");
    assert_eq!(look(&mut known), None);
}

#[test]
fn trouble_ends_where_the_file_is_again_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (link, new) = (
        folder.path().join("callers.yaml"),
        folder.path().join("new"),
    );
    let to = |name: &str| {
        std::os::unix::fs::symlink(name, &new).expect("a link");
        fs::rename(&new, &link).expect("replaced");
    };
    write(&folder.path().join("a"), &narrow("one"));
    write(&folder.path().join("b"), &narrow("two"));
    to("a");
    let mut known = start(&link).expect("a caller");
    for turn in 1..=CHANGES {
        to(["a", "b"][turn % 2]);
        assert_eq!(look(&mut known).is_some(), turn == CHANGES, "{turn}");
    }
    assert_eq!(look(&mut known), Some(Ok("one".to_owned())));
    assert_eq!(look(&mut known), None);
}

#[test]
fn a_parser_that_panics_is_trouble_and_the_next_change_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("callers.yaml");
    write(&path, &narrow("one"));
    let mut known = start(&path).expect("a caller");
    write(&path, &narrow("two"));
    assert_eq!(look(&mut known), None);
    let found = known.look_with(|sources, files| {
        let _ = sources.read(files);
        panic!("of a test");
    });
    let why = found.expect("a look").expect_err("a panic");
    assert!(why.contains("hikaru panicked while it read them"), "{why}");
    assert_eq!(look(&mut known), None, "it is not read again as it is");
    write(&path, &narrow("three"));
    assert_eq!(look(&mut known), None);
    assert_eq!(look(&mut known), Some(Ok("three".to_owned())));
}

#[test]
fn equal_tokens_are_one_wherever_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    write(&path, "the-new-token-of-a-team\nthe-old-token-of-a-team\n");
    let variable = |name: &str| match name {
        TOKEN => Some("the-old-token-of-a-team\n".to_owned()),
        TOKEN_FILE => Some(path.display().to_string()),
        _ => None,
    };
    let known = Known::read(Sources::of(&variable).expect("both")).expect("two tokens");
    assert_eq!(known.set().callers.len(), 2);
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
    let pem =
        |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    write(&ca, &pem("AAAA"));
    let mut known = start(&path).expect("a trust");
    let of = |set: &CallerSet| match &set.trusts[0].issuer {
        TrustedIssuer::Oidc(oidc) => oidc.ca.as_deref().map(str::to_owned),
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
