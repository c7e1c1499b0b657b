//! The definition of a Job as it stands in a file or on standard input: its bytes, its text, whether it is JSON or YAML.
//! What it says is read by the adapter.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use hikaru_core::jobs::JobSource;
use hikaru_http::wire::job::{LONGEST_DEFINITION, definition};

/// Reads a definition; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<JobSource, String> {
    let name = match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    };
    let bytes = if file.as_os_str() == "-" {
        some(io::stdin().lock())
    } else {
        File::open(file).and_then(some)
    };
    let bytes = bytes.map_err(|error| format!("{name} cannot be read: {error}"))?;
    let text = definition(&bytes).map_err(|error| format!("{name}: {error}"))?;
    let json = file
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("json"))
        || text.trim_start().starts_with('{');
    Ok(if json {
        JobSource::Json(text.into())
    } else {
        JobSource::Yaml(text.into())
    })
}

/// No more than it takes to see that it is too long.
fn some(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = LONGEST_DEFINITION as u64 + 1;
    from.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_or_yaml() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text, json) in [
            ("a.json", "kind: Job", true),
            ("a.JSON", "kind: Job", true),
            ("a.yaml", "kind: Job", false),
            ("a", "\u{feff}\n\t {\"kind\": 1}", true),
            ("a.yaml", "{kind: Job}", true),
            ("a.yml", "# {\nkind: Job", false),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            let source = read(&path).expect("a definition");
            assert_eq!(matches!(source, JobSource::Json(_)), json, "{name} {text}");
        }
        let error = read(&folder.path().join("none")).expect_err("no file");
        assert!(error.contains("none cannot be read: "), "{error}");
        let error = read(folder.path()).expect_err("a folder");
        assert!(error.contains(" cannot be read: "), "{error}");
        let path = folder.path().join("long.yaml");
        std::fs::write(&path, vec![b'x'; LONGEST_DEFINITION + 1]).expect("a file");
        let error = read(&path).expect_err("too long");
        assert!(
            error.ends_with("expected a definition of at most 1048576 bytes, found more"),
            "{error}"
        );
    }
}
