//! Which other tool writes an object's image, according to its labels, annotations and owner references. Of several, the one that
//! wins in the end is named: a GitOps tool before Helm, which it may drive, and both before an operator.

use std::collections::BTreeMap;

use hikaru_core::workload::Owner;
use serde::Deserialize;

/// `app:group/Kind:namespace/name`, on every object that Argo CD tracks by annotation (its default from version 3 on).
const ARGO_CD: &str = "argocd.argoproj.io/tracking-id";
/// The application's name, on every object that Argo CD tracks by label (its default before version 3). Helm charts write it,
/// too, so alone it does not prove that Argo CD owns the object.
const INSTANCE: &str = "app.kubernetes.io/instance";
/// The ending of the labels that users let Argo CD track by instead: `argocd.argoproj.io/instance`.
const ARGO_CD_INSTANCE: &str = "argoproj.io/instance";
/// The release's name, on every object that Helm 3 and 4 install.
const HELM: &str = "meta.helm.sh/release-name";
/// On every object that Flux's kustomize-controller and helm-controller apply.
const FLUX: [(&str, &str); 2] = [
    ("kustomize.toolkit.fluxcd.io/name", "Kustomization"),
    ("helm.toolkit.fluxcd.io/name", "HelmRelease"),
];

/// An entry of `metadata.ownerReferences`.
#[derive(Deserialize)]
pub(in crate::live) struct OwnerReference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    controller: Option<bool>,
}

/// Whether an annotation tells of an owner.
pub(in crate::live) fn tells(key: &str) -> bool {
    key == ARGO_CD || key == HELM
}

/// The owner, if there is one. `annotations` are those that tell of owners; `argo_cd`: Argo CD has written the containers.
pub(in crate::live) fn of(
    labels: &BTreeMap<String, String>,
    annotations: &[(String, String)],
    references: &[OwnerReference],
    argo_cd: bool,
) -> Option<Owner> {
    let annotation = |key: &str| {
        let found = annotations.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    };
    let tracked = annotation(ARGO_CD).map(|id| id.split(':').next().unwrap_or(id));
    let labeled = || {
        let mut labels = labels.iter();
        let own = labels.find(|(key, _)| key.ends_with(ARGO_CD_INSTANCE));
        own.map(|(_, application)| application.as_str())
    };
    let application = tracked.or_else(labeled);
    if application.is_some() || argo_cd {
        let application = application.or_else(|| labels.get(INSTANCE).map(String::as_str));
        let application = application.map(Into::into);
        return Some(Owner::ArgoCd { application });
    }
    for (label, kind) in FLUX {
        if let Some(name) = labels.get(label) {
            return Some(Owner::Flux {
                kind: kind.into(),
                name: name.as_str().into(),
            });
        }
    }
    if let Some(release) = annotation(HELM) {
        let release = release.into();
        return Some(Owner::Helm { release });
    }
    let controller = references.iter().find(|r| r.controller == Some(true))?;
    Some(Owner::Controller {
        kind: controller.kind.as_str().into(),
        name: controller.name.as_str().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[&str], annotations: &[(&str, &str)], references: &str, expected: &str) {
        check_with(false, labels, annotations, references, expected);
    }

    #[track_caller]
    fn check_with(
        argo_cd: bool,
        labels: &[&str],
        annotations: &[(&str, &str)],
        references: &str,
        expected: &str,
    ) {
        let labels = labels
            .iter()
            .map(|key| ((*key).to_owned(), "apps".to_owned()))
            .collect();
        let annotations: Vec<_> = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let references: Vec<OwnerReference> = serde_json::from_str(references).expect("JSON");
        let found = of(&labels, &annotations, &references, argo_cd);
        assert_eq!(
            found.map_or("nobody".to_owned(), |owner| owner.to_string()),
            expected
        );
    }

    #[test]
    fn owners() {
        let operator = r#"[{"kind": "Secret", "name": "s"}, {"kind": "Shop", "name": "main", "controller": true}]"#;
        let argo = (ARGO_CD, "shop:apps/Deployment:shop/web");
        check(&["app"], &[], "[]", "nobody");
        check(&[], &[], r#"[{"kind": "Shop", "name": "main"}]"#, "nobody");
        check(&[], &[], operator, "the controller of Shop main");
        check(&[], &[(HELM, "web")], operator, "the Helm release web");
        check(
            &["kustomize.toolkit.fluxcd.io/name"],
            &[],
            "[]",
            "the Flux Kustomization apps",
        );
        check(
            &["helm.toolkit.fluxcd.io/name"],
            &[(HELM, "web")],
            "[]",
            "the Flux HelmRelease apps",
        );
        check(
            &[],
            &[(HELM, "web"), argo],
            "[]",
            "the Argo CD application shop",
        );
    }

    #[test]
    fn argo_cd_is_known_by_what_it_writes() {
        let argo = "the Argo CD application apps";
        // A Helm chart writes this label, too.
        check(&[INSTANCE], &[], "[]", "nobody");
        check(&[INSTANCE], &[(HELM, "web")], "[]", "the Helm release web");
        check(&["argocd.argoproj.io/instance"], &[], "[]", argo);
        check(
            &["infra.argoproj.io/instance"],
            &[(HELM, "web")],
            "[]",
            argo,
        );
        check_with(true, &[INSTANCE], &[], "[]", argo);
        check_with(true, &[INSTANCE], &[(HELM, "web")], "[]", argo);
        check_with(true, &[], &[], "[]", "Argo CD");
    }
}
