//! What became of the workload or its template since the question, so that there is nothing left to judge: it is deleted, it has no
//! rollouts, or another image was written.

use super::{
    facts::{ObjectFacts, RolloutFacts, RolloutKind},
    state::{Asked, RolloutState},
};
use crate::{
    Text,
    image::reference::Reference,
    text::{escape::Escaped, excerpt::Cut},
    workload::FIELD_MANAGER,
};

/// The state, in one sentence. `None`: the rollout is still the one that was asked for.
pub(super) fn of(facts: &RolloutFacts, asked: &Asked) -> Option<(RolloutState, String)> {
    let (id, object) = (&facts.workload.id, &facts.object);
    let is_another = !asked.uid.is_empty() && asked.uid != facts.workload.uid;
    if is_another {
        return Some((
            RolloutState::Deleted,
            format!("{id} was deleted, and another one of its name was created since"),
        ));
    }
    if object.is_deleting {
        return Some((RolloutState::Deleted, format!("{id} is being deleted")));
    }
    if object.kind == RolloutKind::None {
        let sentence = match &*id.kind {
            "CronJob" => {
                format!("{id} has no rollout: its next run uses the image that it is set to")
            }
            _ => {
                format!("{id} has no rollout that can be followed: its status says nothing of one")
            }
        };
        return Some((RolloutState::NotApplicable, sentence));
    }
    let mut images = asked.images.iter();
    images.find_map(|(container, image)| written_over(facts, object, container, image))
}

fn written_over(
    facts: &RolloutFacts,
    object: &ObjectFacts,
    container: &Text,
    asked: &Text,
) -> Option<(RolloutState, String)> {
    let id = &facts.workload.id;
    // Image volumes are told beside the containers.
    let of_workload = facts.workload.container(container).map(|c| &c.image);
    let runs = object
        .spec(container)
        .map(|spec| &spec.image)
        .or(of_workload);
    if runs.is_some_and(|runs| is_same(asked, runs)) {
        return None;
    }
    let manager = object.changed.as_ref().map(|change| &*change.manager);
    let by = match manager {
        Some(FIELD_MANAGER) => "hikaru".to_owned(),
        Some(manager) => format!("the field manager {}", Cut(manager)),
        None => "a person or a tool".to_owned(),
    };
    let (name, asked) = (Escaped(container), Cut(asked));
    let did = match runs {
        Some(runs) => format!("{by} has set container {name} to {} since", Cut(runs)),
        None => format!("{by} has removed container {name} since"),
    };
    let state = match manager {
        Some(FIELD_MANAGER) => RolloutState::Superseded,
        _ => RolloutState::Reverted,
    };
    Some((
        state,
        format!("{id}: {did}, so {asked} is not rolled out any more"),
    ))
}

/// Whether a template has the image that was written. Something between may have added the digest, or written the repository in
/// full.
pub(super) fn is_same(asked: &str, runs: &str) -> bool {
    asked == runs
        || matches!(
            (Reference::parse(asked), Reference::parse(runs)),
            (Ok(asked), Ok(runs))
                if asked.repository() == runs.repository()
                    && asked.tag() == runs.tag()
                    && asked.digest().is_none_or(|digest| runs.digest() == Some(digest))
        )
}
