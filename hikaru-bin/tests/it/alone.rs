//! The program in a root that holds it and the C library alone, as in the image that `deploy/Dockerfile` makes: what it
//! needs at run time is there.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A certificate that nothing was ever signed with: with a CA of its own a connection needs none of the system's.
const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUfRnUwC/Ea0KM5GRhJx8BWjIeqm4wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyNDE1MDQwN1oYDzIxMjYxMDMxMTUw
NDA3WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATSIObt8va1HtvXO5Dg6S64KU6HxYJ4J2uPMEI7b234sQAIzE2Gcis0d33o0laS
JVh7rHZc++CRjBwizC0bRoW7o1MwUTAdBgNVHQ4EFgQUtmZOKYCyKTeNnpUekdzg
HI58CVkwHwYDVR0jBBgwFoAUtmZOKYCyKTeNnpUekdzgHI58CVkwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBrhK91n+wyd4fMNd8ypvWcii8fP7Ic
udaYVoFuBMMGswIhAKUKfERcWpTXG6sbuJk6liOeehM8qdMXZ/Z4Gjpw3o0k
-----END CERTIFICATE-----
";

/// The shared libraries that the program names, and the loader.
fn libraries() -> Vec<PathBuf> {
    let ldd = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_hikaru"))
        .output();
    let said = String::from_utf8(ldd.expect("ldd").stdout).expect("UTF-8");
    // `libc.so.6 => /lib/…/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`.
    let paths = said.lines().filter_map(|line| {
        let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
        Some(PathBuf::from(path))
    });
    paths.collect()
}

/// A root with the program at `/hikaru`, its libraries where the loader looks for them, and nothing else.
fn root() -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let place = |from: &Path, to: &Path| {
        let to = root.path().join(to.strip_prefix("/").expect("absolute"));
        fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        fs::copy(from, to).expect("copied");
    };
    place(
        Path::new(env!("CARGO_BIN_EXE_hikaru")),
        Path::new("/hikaru"),
    );
    let libraries = libraries();
    // What the image has: the C library, its mathematics, the unwinder, the loader. Nothing more may creep in.
    for library in &libraries {
        let name = library.file_name().expect("a name").to_string_lossy();
        let known = ["libc.so", "libm.so", "libgcc_s.so", "ld-linux"];
        assert!(known.iter().any(|k| name.starts_with(k)), "{name}");
        place(library, library);
    }
    root
}

/// hikaru in that root, as a user without rights. `unshare` needs either root or user namespaces.
fn in_root(root: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .arg("--root")
        .arg(root.path())
        .arg("--wd=/")
        .arg("/hikaru");
    command.args(args).env_clear();
    command
}

#[test]
fn it_needs_the_c_library_and_nothing_else() {
    let root = root();
    let image = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";
    let output = in_root(&root, &["tag", image]).output().expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("1.4.0"),
        "{said} {err}"
    );

    // No cluster: a sentence, not a missing file.
    let output = in_root(&root, &["upgrade", image])
        .output()
        .expect("unshare");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("no cluster: expected"), "{err}");

    // The service: it listens, and says that the server cannot be reached.
    let mut serve = in_root(&root, &["serve", "--listen", "127.0.0.1:0"]);
    serve
        .env("K8S_URL", "https://127.0.0.1:9")
        .env("K8S_CA", CA)
        .stderr(Stdio::piped());
    let mut child = serve.spawn().expect("unshare");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut seen = String::new();
    for line in lines.map_while(Result::ok) {
        seen.push_str(&line);
        seen.push('\n');
        if seen.contains("listening") && seen.contains("refused") {
            break;
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(
        seen.contains("listening") && seen.contains("refused"),
        "{seen}"
    );
}
