//! The name of the collection of an added kind (`rollouts`), which only the server knows. It is asked for once, when it is first
//! needed.

use hikaru_core::Text;
use http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::kind::Kind;

use crate::live::{
    client::{ApiClient, Expected},
    error::RequestError,
};

#[derive(Deserialize)]
struct Resources<'a> {
    /// Read one by one: one that cannot be read hides no other.
    #[serde(borrow)]
    resources: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
}

/// The path of a kind's collection, in one namespace or in all.
pub(in crate::live) async fn collection(
    api: &ApiClient,
    kind: &Kind,
    namespace: Option<&Text>,
) -> Result<String, RequestError> {
    if let Some(plural) = kind.plural.get() {
        return Ok(kind.path(plural, namespace));
    }
    let request = Request::get(kind.root()).body(Vec::new());
    let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
    let answer = api.send(request, Expected::Object).await?;
    let body = answer.body;
    let read = serde_json::from_slice::<Resources<'_>>(&body);
    let read = read.map_err(|error| RequestError::Unreadable(error.to_string()))?;
    let plural = plural(kind, read)?;
    Ok(kind.path(kind.plural.get_or_init(|| plural), namespace))
}

fn plural(kind: &Kind, read: Resources<'_>) -> Result<Text, RequestError> {
    let resources = read.resources.into_iter();
    let mut named = resources.filter_map(|one| serde_json::from_str::<Resource>(one.get()).ok());
    // `rollouts/status` is of the same kind.
    let named = named.find(|resource| *resource.kind == *kind.name && !resource.name.contains('/'));
    let missing = |what: &str| {
        let root = kind.root();
        RequestError::Missing(format!("the server has {what} {} in {root}", kind.name))
    };
    match named {
        None => Err(missing("no kind")),
        Some(resource) if !resource.namespaced => Err(missing("no namespaced kind")),
        Some(resource) if hikaru_core::workload::check_namespace(&resource.name).is_err() => {
            Err(missing("no collection with a usable name of the kind"))
        }
        Some(resource) => Ok(resource.name.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kinds;

    #[test]
    fn the_plural_is_the_collections_name() {
        let added = "argoproj.io/v1alpha1/Rollout=spec.template".parse();
        let kinds = Kinds::with(&[added.expect("a kind")]);
        let kind = kinds.named("Rollout").expect("it was added");
        let found = |resources: serde_json::Value| {
            let text = json!({"resources": resources}).to_string();
            let read = serde_json::from_str(&text).expect("a list");
            plural(kind, read).map_err(|error| error.to_string())
        };
        let resource = |name: &str, namespaced: bool| json!({"name": name, "kind": "Rollout", "namespaced": namespaced});
        assert_eq!(
            found(json!([
                resource("rollouts/status", true),
                resource("rollouts", true)
            ])),
            Ok("rollouts".into())
        );
        let root = "Rollout in /apis/argoproj.io/v1alpha1";
        for (resources, what) in [
            (json!([]), "no kind"),
            (json!([resource("rollouts", false)]), "no namespaced kind"),
            (json!([resource("../secrets", true)]), "no kind"),
            (
                json!([resource("..", true)]),
                "no collection with a usable name of the kind",
            ),
        ] {
            assert_eq!(
                found(resources),
                Err(format!("the server has {what} {root}"))
            );
        }
    }
}
