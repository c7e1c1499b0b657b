//! Who may call a running `hikaru serve`: tokens that are rotated and revoked, and files that break, without a restart.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use super::Server;
use crate::{example, hikaru, hikaru_with};

/// Two tokens, with their SHA-256.
const OLD: (&str, &str) = (
    "an-old-token-of-a-team",
    "9dad4b343a221c1b63e432be4e3b972f27621d200b963d7985ad1d06d9af980f",
);
const NEW: (&str, &str) = (
    "a-new-token-of-a-team",
    "712d330314702cde4c1250d80e8139666b37f358bdb72962c1cc095b04f3658e",
);

/// For what takes two or three seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with a file of callers, which was written long ago, and a server that reads it.
struct Scene {
    folder: tempfile::TempDir,
    _shop: tempfile::TempDir,
    server: Server,
}

impl Scene {
    fn start(prepare: impl FnOnce(&Path) -> PathBuf) -> Self {
        let (shop, path) = example("shop");
        let folder = tempfile::tempdir().expect("a folder");
        let file = prepare(folder.path()).display().to_string();
        let server = Server::start(&["--manifests", &path], &[("HIKARU_CALLERS_FILE", &file)]);
        Self {
            folder,
            _shop: shop,
            server: server.ready(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("callers.yaml")
    }

    /// Writes the file as editors do: beside it, and then in its place.
    fn replace(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).expect("written");
        fs::rename(new, self.file()).expect("replaced");
    }

    fn status(&self, token: &str) -> u16 {
        let head = format!("Authorization: Bearer {token}\r\n");
        let answer = self.server.request("GET", "/metrics", &head);
        answer.expect("an answer").status
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "{what}: {}", self.server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The lines of the log with this message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let log = self.server.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["message"] == message)
            .collect()
    }

    fn detail(&self) -> Option<String> {
        let ready = self.server.get("/readyz").is(200).json();
        ready["detail"].as_str().map(str::to_owned)
    }

    fn figures(&self, token: &str) -> String {
        let head = format!("Authorization: Bearer {token}\r\n");
        let answer = self.server.request("GET", "/metrics", &head);
        answer.expect("an answer").is(200).body
    }
}

fn entry(name: &str, (_, hash): (&str, &str)) -> String {
    format!("- name: {name}\n  tokenSha256: {hash}\n  rights: [metrics]\n")
}

fn file(entries: &[String]) -> String {
    format!("callers:\n{}", entries.concat())
}

/// Writes a file as if long ago: hikaru waits for the end of one that was just written.
fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    let file = fs::File::options().write(true).open(path);
    let aged = file.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
    aged.expect("an old file");
}

fn plain(text: String) -> impl FnOnce(&Path) -> PathBuf {
    move |folder| {
        let path = folder.join("callers.yaml");
        write(&path, &text);
        path
    }
}

const AGAIN: &str = "the callers were read again, and are in force";
const TROUBLE: &str = "the callers cannot be read again, and those of before stay in force";

#[test]
fn a_token_is_rotated_and_revoked_without_a_restart() {
    let scene = Scene::start(plain(file(&[entry("ci", OLD)])));
    assert_eq!((scene.status(OLD.0), scene.status(NEW.0)), (200, 401));
    scene.replace(&file(&[entry("ci", OLD), entry("ci-2", NEW)]));
    scene.until("the new token counts", || scene.status(NEW.0) == 200);
    assert_eq!(scene.status(OLD.0), 200);
    scene.replace(&file(&[entry("ci-2", NEW)]));
    scene.until("the old token is revoked", || scene.status(OLD.0) == 401);
    assert_eq!(scene.status(NEW.0), 200);
    // The same caller with another token.
    scene.replace(&file(&[entry("ci-2", OLD)]));
    scene.until("the token of a caller is another one", || {
        scene.status(OLD.0) == 200
    });
    assert_eq!(scene.status(NEW.0), 401);
    scene.until("all is logged", || scene.lines(AGAIN).len() == 3);
    let told = scene.lines(AGAIN);
    let names = |line: &Value| {
        ["added", "changed", "removed"].map(|key| line[key].as_str().map(str::to_owned))
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(names(&told[0]), [some("ci-2"), None, None]);
    assert_eq!(names(&told[1]), [None, None, some("ci")]);
    assert_eq!(names(&told[2]), [None, some("ci-2"), None]);
    assert_eq!(
        (&told[0]["callers"], &told[0]["trusts"]),
        (&2.into(), &0.into())
    );
    let log = scene.server.log();
    assert!(!log.contains(OLD.0) && !log.contains(OLD.1), "{log}");
}

/// What the log says of a break, and what breaks the file.
type Break<'a> = (&'a str, Box<dyn Fn() + 'a>);

#[test]
fn a_broken_file_keeps_the_last_good_one_and_says_so() {
    let sound = file(&[entry("ci", OLD)]);
    let scene = Scene::start(plain(sound.clone()));
    assert_eq!(scene.detail(), None);
    let fresh = |value: u8| format!("\nhikaru_callers_fresh {value}\n");
    assert!(scene.figures(OLD.0).contains(&fresh(1)));
    assert!(scene.figures(OLD.0).contains("\nhikaru_callers 1\n"));
    let path = scene.file();
    let breaks: [Break<'_>; 8] = [
        (
            "line 2, column 3: expected one of the keys name, ",
            Box::new(|| scene.replace("callers:\n- nam: ci\n")),
        ),
        (
            "expected entries of callers or trusts, found none",
            Box::new(|| scene.replace("")),
        ),
        (
            "expected at most 1048576 bytes, found more",
            Box::new(|| scene.replace(&"#".repeat(1 << 20 | 1))),
        ),
        (
            "expected UTF-8, found another byte at 0",
            Box::new(|| fs::write(scene.file(), b"\xff").expect("written")),
        ),
        (
            "cannot be read: No such file or directory",
            Box::new(|| fs::remove_file(scene.file()).expect("removed")),
        ),
        (
            "expected a file, found a directory",
            Box::new(|| {
                fs::create_dir(scene.file()).expect("a directory");
            }),
        ),
        (
            "expected a file, found a pipe or a device",
            Box::new(|| {
                fs::remove_dir(scene.file()).expect("removed");
                let made = std::process::Command::new("mkfifo")
                    .arg(scene.file())
                    .status();
                assert!(made.expect("mkfifo").success());
            }),
        ),
        (
            "cannot be read: Too many levels of symbolic links",
            Box::new(|| {
                fs::remove_file(scene.file()).expect("removed");
                symlink("callers.yaml", scene.file()).expect("a link");
            }),
        ),
    ];
    for (count, (why, break_it)) in breaks.iter().enumerate() {
        break_it();
        scene.until(why, || scene.lines(TROUBLE).len() > count);
        let told = scene.lines(TROUBLE);
        let line = told.last().expect("a line");
        let text = line["why"].as_str().expect("a reason");
        assert!(
            text.contains(why) && text.contains(&path.display().to_string()),
            "{text}"
        );
        assert_eq!(line["level"], "WARN");
        let detail = scene.detail().expect("a detail");
        assert!(
            detail.contains("cannot be read again") && !detail.contains("callers.yaml"),
            "{detail}"
        );
        assert!(scene.figures(OLD.0).contains(&fresh(0)), "{why}");
        assert_eq!(scene.status(NEW.0), 401);
    }
    scene.replace(&sound);
    scene.until("mended", || scene.detail().is_none());
    assert!(scene.figures(OLD.0).contains(&fresh(1)));
    assert_eq!(
        scene.lines(TROUBLE).len(),
        breaks.len(),
        "each is told once"
    );
    scene.replace("");
    scene.until("told again", || {
        scene.lines(TROUBLE).len() == breaks.len() + 1
    });
}

#[test]
fn a_mounted_secret_is_replaced_by_another_link() {
    let folder_of = |folder: &Path, name: &str, text: &str| {
        fs::create_dir(folder.join(name)).expect("a folder");
        write(&folder.join(name).join("callers.yaml"), text);
    };
    let scene = Scene::start(|folder| {
        folder_of(folder, "..2026_1", &file(&[entry("ci", OLD)]));
        symlink("..2026_1", folder.join("..data")).expect("a link");
        symlink("..data/callers.yaml", folder.join("callers.yaml")).expect("a link");
        folder.join("callers.yaml")
    });
    assert_eq!((scene.status(OLD.0), scene.status(NEW.0)), (200, 401));
    // The new file is as long and as old as the other one.
    folder_of(scene.folder.path(), "..2026_2", &file(&[entry("ci", NEW)]));
    symlink("..2026_2", scene.folder.path().join("..data_tmp")).expect("a link");
    fs::rename(
        scene.folder.path().join("..data_tmp"),
        scene.folder.path().join("..data"),
    )
    .expect("swapped");
    fs::remove_dir_all(scene.folder.path().join("..2026_1")).expect("removed");
    scene.until("the new token counts", || scene.status(NEW.0) == 200);
    assert_eq!(scene.status(OLD.0), 401);
    assert_eq!(scene.lines(TROUBLE).len(), 0);
}

#[test]
fn the_file_of_the_token_with_all_rights_is_read_again() {
    let (_guard, shop) = example("shop");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    write(&path, OLD.0);
    let variable = path.display().to_string();
    let server = Server::start(
        &["--manifests", &shop],
        &[("HIKARU_API_TOKEN_FILE", &variable)],
    );
    let scene = Scene {
        folder,
        _shop: _guard,
        server: server.ready(),
    };
    assert_eq!((scene.status(OLD.0), scene.status(NEW.0)), (200, 401));
    write(&path, &format!("{}\n{}\n", OLD.0, NEW.0));
    scene.until("both count", || scene.status(NEW.0) == 200);
    assert_eq!(scene.status(OLD.0), 200);
    // Three are too many, so nothing changes.
    write(
        &path,
        &format!("{}\n{}\na-third-token-of-a-team\n", OLD.0, NEW.0),
    );
    scene.until("three are refused", || scene.lines(TROUBLE).len() == 1);
    assert_eq!(
        (scene.status(OLD.0), scene.status("a-third-token-of-a-team")),
        (200, 401)
    );
    write(&path, NEW.0);
    scene.until("the old one is revoked", || scene.status(OLD.0) == 401);
    assert_eq!(scene.status(NEW.0), 200);
    let log = scene.server.log();
    assert!(!log.contains("token-of-a-team"), "{log}");
}

#[test]
fn every_user_may_read_or_write_a_file_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let message = "every user of this machine may read or write the file: chmod 0640, or defaultMode: 0440 where it is mounted";
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode")
    };
    let scene = Scene::start(|folder| {
        let path = plain(file(&[entry("ci", OLD)]))(folder);
        set_mode(&path, 0o640);
        path
    });
    assert_eq!(scene.lines(message).len(), 0);
    set_mode(&scene.file(), 0o644);
    scene.until("a warning", || scene.lines(message).len() == 1);
    assert_eq!(scene.lines(message)[0]["mode"], "0644");
    set_mode(&scene.file(), 0o642);
    scene.until("another warning", || scene.lines(message).len() == 2);
    assert_eq!(scene.lines(message)[1]["mode"], "0642");
    assert_eq!(scene.status(OLD.0), 200);
}

#[test]
fn a_folder_has_no_service_accounts_is_a_warning() {
    let message = "a folder has no ServiceAccounts: trusts of kind: kubernetes admit nobody beside --manifests";
    let text = "trusts:\n- name: pods\n  kind: kubernetes\n  audience: hikaru\n  serviceAccounts: [shop/ci]\n  identities: [a/b/c]\n  rights: [read]\n";
    let scene = Scene::start(plain(text.to_owned()));
    assert_eq!(scene.lines(message).len(), 1);
    let scene = Scene::start(plain(file(&[entry("ci", OLD)])));
    assert_eq!(scene.lines(message).len(), 0);
}

#[test]
fn a_file_that_cannot_be_read_at_the_start_ends_the_start() {
    let (_guard, shop) = example("shop");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("callers.yaml");
    let serve = ["serve", "--manifests", &shop, "--listen", "127.0.0.1:0"];
    let variables = [("HIKARU_CALLERS_FILE", path.to_str().expect("a path"))];
    hikaru_with(&variables, &serve).exits(1).tells(&[
        "HIKARU_CALLERS_FILE: ",
        "callers.yaml: cannot be read: No such file",
    ]);
    write(&path, "callers:\n- name: ci\n  role: admin\n");
    hikaru_with(&variables, &serve)
        .exits(1)
        .tells(&["callers.yaml: line 3, column 3: expected one of the keys name, "]);
    write(&path, &file(&[entry("ci", OLD)]));
    let flags = [&serve[..], &["--insecure-no-auth"]].concat();
    hikaru_with(&variables, &flags)
        .exits(1)
        .tells(&["--insecure-no-auth and callers in HIKARU_API_TOKEN, "]);
}

#[test]
fn with_a_file_of_callers_hikaru_may_listen_anywhere() {
    let (_guard, shop) = example("shop");
    let folder = tempfile::tempdir().expect("a folder");
    let path = plain(file(&[entry("ci", OLD)]))(folder.path())
        .display()
        .to_string();
    // Of a network that no machine is in (RFC 5737): the system refuses it, not hikaru.
    let serve = ["serve", "--manifests", &shop, "--listen", "192.0.2.1:0"];
    hikaru_with(&[("HIKARU_CALLERS_FILE", &path)], &serve)
        .exits(1)
        .tells(&["cannot listen on 192.0.2.1:0: "]);
    hikaru_with(&[], &serve)
        .exits(2)
        .tells(&["set HIKARU_API_TOKEN, HIKARU_API_TOKEN_FILE or HIKARU_CALLERS_FILE"]);
}

#[test]
fn a_new_token_is_printed_once_with_its_entry() {
    let flags = ["--identity", "acme/shop/*", "--expires", "2027-06-30"];
    let ran = hikaru(&[&["token", "new", "shop-ci"], &flags[..]].concat()).exits(0);
    let (token, entry) = ran.out.split_once("\n\n").expect("a token and its entry");
    let digits = token.strip_prefix("hikaru_").expect("a prefix to look for");
    assert!(digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(
        !ran.err.contains(digits) && !entry.contains(digits),
        "it is shown once"
    );
    let other = hikaru(&["token", "new", "shop-ci"]).exits(0);
    assert!(!other.out.contains(digits), "each is another one");
    let wide = "the caller is not narrowed: its rights count for every workload and every Job";
    assert!(!ran.err.contains(wide) && other.err.contains(wide));
    let dev = hikaru(&["token", "new", "ci", "--namespace=dev"]).exits(0);
    assert!(!dev.err.contains(wide), "{}", dev.err);
    // The entry is taken as it is printed.
    let entry = entry.replace("[read, upgrade]", "[metrics]");
    assert!(
        entry.contains(
            "\n    identities: [acme/shop/*]\n    expires: 2027-06-30\n    rights: [metrics]\n"
        ),
        "{entry}"
    );
    let scene = Scene::start(plain(format!("callers:\n{entry}")));
    assert_eq!((scene.status(token), scene.status(OLD.0)), (200, 401));
    for (args, why) in [
        (&["a b"][..], "expected a name of 1 to 63 letters"),
        (&["ci", "--rights", "read,deploy"], "found `deploy`"),
        (&["ci", "--identity", "acme"], "expected owner/repo/branch"),
        (
            &["ci", "--expires", "soon"],
            "expected a day such as 2027-06-30",
        ),
        (
            &["ci", "--rights=jobs", "--identity=a/b/c"],
            "expected the key namespaces",
        ),
    ] {
        let ran = hikaru(&[&["token", "new"], args].concat())
            .exits(2)
            .tells(&[why]);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
}
