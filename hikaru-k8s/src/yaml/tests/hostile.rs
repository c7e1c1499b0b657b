//! Hostile texts: bombs, depth, breadth, odd bytes. Reading each ends soon and with a sentence.

use super::{deployment, read_lines, reads, upgrade};
use std::fmt::Write as _;
use std::time::Duration;

/// A generous bound for a debug build, of the thread's own time, so that a busy machine does not count: what is linear takes a
/// tenth of it, what is quadratic or worse takes minutes.
const SOON: Duration = Duration::from_secs(20);

/// What this thread has used of a processor.
fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().expect("it is positive")
}

#[track_caller]
fn soon(text: &str, expected: impl Fn(&[String]) -> bool) {
    let start = own_time();
    let found = read_lines(text);
    let took = own_time() - start;
    assert!(took < SOON, "took {took:?}");
    let shown: Vec<&String> = found.iter().take(5).collect();
    assert!(expected(&found), "{shown:?}");
}

#[test]
fn depth_is_bounded() {
    let said =
        |found: &[String]| found.len() == 1 && found[0].ends_with("nested more than 255 deep");
    soon(&"[".repeat(10_000), said);
    soon(&"{a: ".repeat(10_000), said);
    soon(&"- ".repeat(10_000), said);
    let mut blocks = String::new();
    for depth in 0..10_000 {
        let _ = writeln!(blocks, "{:depth$}a:", "");
    }
    soon(&blocks, said);
    reads(
        &format!("a: {}", "[".repeat(10_000)),
        &["1:259: is no YAML that hikaru reads: it is nested more than 255 deep"],
    );
}

#[test]
fn bombs_are_never_expanded() {
    let mut laughs = "a0: &a0 {x: y}\n".to_owned();
    let mut merges = laughs.clone();
    for n in 1..40 {
        let before = n - 1;
        let _ = writeln!(
            laughs,
            "a{n}: &a{n} [{}]",
            format!("*a{before}, ").repeat(10)
        );
        let _ = writeln!(
            merges,
            "a{n}: &a{n} {{<<: [{}]}}",
            format!("*a{before}, ").repeat(10)
        );
    }
    soon(&laughs, <[String]>::is_empty);
    // As labels, which are read.
    let object = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: *a39}\n";
    soon(&format!("{laughs}{object}"), |found| {
        found[0].ends_with("metadata.labels must be a map, found a list")
    });
    soon(&format!("{merges}{object}"), |found| {
        found[0]
            .contains("aliases and merge keys make the document too large to read: more than 10")
    });
    // A map that merges itself.
    soon(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: &m {name: web, <<: *m}\n",
        |found| found[0].contains("aliases and merge keys make the document too large"),
    );
    let many = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, labels: &m {{<<: [{}]}}}}\n",
        "*m, ".repeat(20_000)
    );
    soon(&many, |found| {
        found[0].contains("more than 10000 maps are merged here")
    });
}

#[test]
fn quadratic_bombs_are_bounded() {
    // Many uses of one large value.
    let name = "n".repeat(100_000);
    let items = "*d, ".repeat(100_000);
    let text = format!(
        "x: &d {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}}}\napiVersion: v1\nkind: List\nitems: [{items}]\n"
    );
    soon(&text, |found| {
        found
            .last()
            .is_some_and(|last| last.contains("too large to read: more than "))
            && found.iter().map(String::len).sum::<usize>() < 20_000_000
    });
    // Many uses of one map with many keys.
    let mut keys = String::new();
    for n in 0..100_000 {
        let _ = write!(keys, "k{n}: v, ");
    }
    let text = format!("x: &d {{{keys}}}\napiVersion: v1\nkind: List\nitems: [{items}]\n");
    soon(&text, |found| {
        found
            .last()
            .is_some_and(|last| last.contains("too large to read"))
    });
    // Many keys that a merge brings as well.
    let mut keys = String::new();
    for n in 0..100_000 {
        let _ = write!(keys, "hikaru.dev/{n}: v, ");
    }
    let text = format!(
        "x: &d {{{keys}}}\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, labels: {{<<: *d, {keys}}}}}\n"
    );
    soon(&text, |found| {
        found.len() == 1 && found[0].starts_with("1 default/Deployment/web")
    });
    // A list in itself.
    soon(
        "&l {apiVersion: v1, kind: List, items: [*l, *l]}",
        |found| {
            found
                .iter()
                .all(|line| line.ends_with("lists are nested more than 4 deep"))
        },
    );
}

#[test]
fn breadth_is_bounded() {
    soon(&format!("[{}]", "a,".repeat(1_000_001)), |found| {
        found
            == [
                "1:2000000: the document is too large: it has more than 1000000 values, the most that hikaru reads in one document",
            ]
    });
    soon(
        &format!(
            "[{}]\n---\napiVersion: apps/v1\nkind: Deployment\n",
            "a,".repeat(1_000_001)
        ),
        |found| found.len() == 2 && found[1].ends_with("expected metadata.name"),
    );
    let labels: String = (0..50_000)
        .map(|n| format!("hikaru.dev/{n}: x, "))
        .collect();
    soon(
        &format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, labels: {{{labels}}}}}\n"
        ),
        |found| found.len() == 1,
    );
    let containers: String = (0..50_000)
        .map(|n| format!("{{name: c{n}, image: a}}, "))
        .collect();
    soon(
        &format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{template: {{spec: {{containers: [{containers}]}}}}}}\n"
        ),
        |found| found[0].ends_with("Deployment web: more than 1000 containers in one pod"),
    );
    soon(&"---\n".repeat(200_000), <[String]>::is_empty);
    soon(&"a: [\n---\n".repeat(20_000), |found| found.len() == 20_000);
}

#[test]
fn tabs_are_named_by_their_place() {
    reads(
        "a:\n\tb: c\n",
        &["2:2: is no YAML: tabs disallowed within this context (block indentation)"],
    );
    reads(
        "a: b\n\tc: d\n",
        &["2:1: is no YAML: while scanning a plain scalar, found a tab"],
    );
}

#[test]
fn templates_are_no_yaml_and_say_so() {
    let hint = "`{{` looks like an unrendered template: hikaru reads rendered manifests";
    let found = read_lines(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ include \"x\" . }}-web\n",
    );
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("4:") && found[0].ends_with(hint),
        "{found:?}"
    );
    let found = read_lines(&deployment("image: \"{{ .Values.image }}\"\n"));
    // A string: it is read as an image, and no repository equals it.
    assert_eq!(
        found,
        ["1 default/Deployment/web web={{ .Values.image }}@10:18"]
    );
}

#[test]
fn odd_characters_do_not_panic() {
    for text in [
        "\u{0}",
        "a: \u{1}b",
        "\u{feff}\u{feff}a: b",
        "\"\\",
        "'",
        "|",
        "&",
        "*",
        "!",
        "%",
        "@",
        "`",
        "? ",
        "- -",
        "a: &b",
        "a: !!str",
        "\"\\uD834\"",
        "&a *a",
        "%YAML\n",
        "a: |\n",
    ] {
        let _ = read_lines(text);
        let _ = upgrade(text, "web", "a:2");
        let _ = upgrade(&deployment(&format!("image: {text}")), "web", "a:2");
    }
}
