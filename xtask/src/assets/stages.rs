//! The stages that kwok plays: those of its own module, changed in one place, and one of ours.
//!
//! The program kwok brings no stages. They come from the module that it is built from, so that the two fit. If the module
//! has changed where we change it, that is an error.

use std::path::Path;

use super::{AssetsError, file_error, go::Go};

/// Our own stage, in the folder of kwok's Go module.
pub(super) const BROKEN: &str = "pod-broken.yaml";

/// The stages of kwok's module that are taken, under `kustomize/stage`.
const TAKEN: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    READY,
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

const READY: &str = "pod/fast/pod-ready.yaml";

/// The end of the selector of `pod-ready`: what follows it is put there.
const ANCHOR: &str = r#"    - key: '.status.conditions.[] | select( .type == "Ready" ) | .status'
      operator: 'NotIn'
      values:
      - 'True'
  next:
"#;

/// Init containers count too: an image that cannot be pulled there keeps a pod from starting.
const NOT_BROKEN: &str = r#"    - key: 'any(.spec.containers[], (.spec.initContainers // [])[]; .image | contains("broken"))'
      operator: 'NotIn'
      values:
      - 'true'
  next:
"#;

/// The text of all stages.
pub(super) fn assemble(go: &Go, module: &Path) -> Result<String, AssetsError> {
    let folder = go.module_folder(module, "sigs.k8s.io/kwok")?;
    let folder = Path::new(&folder).join("kustomize/stage");
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|source| file_error(path, source));
    let mut documents = Vec::new();
    for name in TAKEN {
        let text = read(&folder.join(name))?;
        documents.push(if name == READY {
            without_broken(&text).map_err(AssetsError::Stages)?
        } else {
            text
        });
    }
    documents.push(read(&module.join(BROKEN))?);
    Ok(documents.join("\n---\n"))
}

fn without_broken(ready: &str) -> Result<String, String> {
    match ready.matches(ANCHOR).count() {
        1 => {
            let kept = ANCHOR.strip_suffix("  next:\n").unwrap_or(ANCHOR);
            Ok(ready.replace(ANCHOR, &format!("{kept}{NOT_BROKEN}")))
        }
        found => Err(format!(
            "{READY} of kwok's module holds the end of its selector {found} times, expected once; it reads\n{ANCHOR}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_images_are_excluded_at_the_end_of_the_selector() {
        let ready =
            format!("spec:\n  selector:\n    matchExpressions:\n{ANCHOR}    statusTemplate: x\n");
        let changed = without_broken(&ready).expect("anchor");
        let selector = changed.split("  next:\n").next().expect("selector");
        assert!(selector.contains(r#"contains("broken")"#), "{changed}");
        assert!(
            selector.contains(r#"select( .type == "Ready" )"#),
            "{changed}"
        );
        assert_eq!(changed.matches("  next:\n").count(), 1);
    }

    #[test]
    fn a_module_that_has_changed_is_an_error() {
        for text in ["", "spec: {}\n", &format!("{ANCHOR}{ANCHOR}")] {
            let error = without_broken(text).expect_err("no anchor");
            assert!(error.contains("expected once"), "{error}");
        }
    }
}
