//! What started a run, and which ref and commit it is of.

use hikaru_http::BindingRule;
use serde_json::json;

use super::{changed, github, gitlab, identities, pipeline, push, refs, with, world};
use crate::oidc::SHA;

#[tokio::test]
async fn only_events_that_are_listed_are_admitted() {
    let world = world().await;
    for event in ["workflow_dispatch", "Push", "delete"] {
        let claims = changed(push(), &json!({"event_name": event}));
        let part = format!("expected `event_name` to be push, found `{event}`");
        world.refuse(claims, &github(), "event", &part).await;
    }
    let never = ["pull_request_target", "workflow_run", "issue_comment"];
    let listed = with(identities(github(), &["acme/shop/main"]), |oidc| {
        oidc.events.extend(never.map(Into::into));
    });
    for event in never {
        let claims = changed(push(), &json!({"event_name": event}));
        world
            .refuse(
                claims,
                &listed,
                "event",
                "expected `event_name` to be push, found",
            )
            .await;
    }
    let api = changed(pipeline(), &json!({"pipeline_source": "trigger"}));
    let part = "expected `pipeline_source` to be push or web or schedule, found `trigger`";
    world.refuse(api, &gitlab(), "event", part).await;
}

#[tokio::test]
async fn a_pull_request_is_bound_by_its_repository_and_commit_and_needs_literal_identities() {
    let world = world().await;
    let claims = changed(
        push(),
        &json!({
            "event_name": "pull_request", "ref": "refs/pull/5/merge", "ref_type": "branch",
            "head_ref": "main", "base_ref": "main",
        }),
    );
    world
        .refuse(claims.clone(), &github(), "event", "found `pull_request`")
        .await;
    let listed = with(github(), |oidc| oidc.events.push("pull_request".into()));
    let part = "expected `event_name` to be no pull request, because the trust's identities are not literal";
    world.refuse(claims.clone(), &listed, "event", part).await;
    let wide = identities(listed.clone(), &["acme/shop/preview", "acme/shop/*"]);
    world.refuse(claims.clone(), &wide, "event", part).await;
    let literal = identities(listed, &["acme/shop/preview"]);
    world
        .bind(claims.clone(), &literal, "acme", "shop", None)
        .await;
    let any = with(literal, |oidc| {
        oidc.binding = BindingRule::Own {
            any_commit: true,
            refs: Vec::new(),
        };
    });
    let caller = world.claims(claims, &any).await.expect("a caller");
    assert_eq!(
        caller.binding.expect("a binding").commit.as_deref(),
        Some(SHA)
    );
}

#[tokio::test]
async fn a_merge_request_of_a_fork_is_no_push() {
    let world = world().await;
    // The fork's branch has the name of ours. The pipeline runs in our project, or says the fork's.
    let ours = changed(
        pipeline(),
        &json!({"pipeline_source": "merge_request_event"}),
    );
    let forks = changed(
        ours.clone(),
        &json!({"project_path": "mallory/shop", "namespace_id": "666"}),
    );
    world
        .refuse(
            ours.clone(),
            &gitlab(),
            "event",
            "found `merge_request_event`",
        )
        .await;
    world
        .refuse(forks.clone(), &gitlab(), "owner", "found `666`")
        .await;
    let listed = with(gitlab(), |oidc| {
        oidc.events.push("merge_request_event".into())
    });
    world
        .refuse(ours.clone(), &listed, "event", "to be no pull request")
        .await;
    let literal = identities(listed, &["acme-team/shop/preview"]);
    world.bind(ours, &literal, "acme/team", "shop", None).await;
    world.refuse(forks, &literal, "owner", "found `666`").await;
}

#[tokio::test]
async fn a_ref_is_a_branch_or_a_tag_that_a_rule_maps() {
    let world = world().await;
    for (found, branch) in [
        ("refs/heads/main", "main"),
        ("refs/heads/feature/cart", "feature/cart"),
        ("refs/heads/refs/tags/v1", "refs/tags/v1"),
    ] {
        let claims = changed(push(), &json!({ "ref": found }));
        world
            .bind(claims, &github(), "acme", "shop", Some(branch))
            .await;
    }
    let mapped = with(github(), |oidc| {
        oidc.binding = refs(&[
            ("refs/tags/v*", "main"),
            ("refs/tags/*", "dev"),
            ("refs/*", "main"),
            ("*", "main"),
        ]);
    });
    for (found, branch) in [
        ("refs/tags/v1.4.0", "main"),
        ("refs/tags/1.4.0", "dev"),
        ("refs/heads/v1", "v1"),
    ] {
        let claims = changed(push(), &json!({ "ref": found }));
        world
            .bind(claims, &mapped, "acme", "shop", Some(branch))
            .await;
    }
    for found in [
        "refs/pull/5/merge",
        "refs/pull/5/head",
        "refs/merge-requests/5/head",
        "refs/for/main",
        "refs/notes/commits",
        "refs/heads/",
        "main",
        "heads/main",
        "REFS/HEADS/main",
    ] {
        let claims = changed(push(), &json!({ "ref": found }));
        let part = format!("expected the ref of a branch, refs/heads/…, found `{found}`");
        world.refuse(claims.clone(), &github(), "ref", &part).await;
        let part = "expected the ref of a branch, refs/heads/… or a tag that fits refs/tags/v* or";
        world.refuse(claims, &mapped, "ref", part).await;
    }
    let tag = changed(push(), &json!({"ref": "refs/tags/v1.4.0"}));
    world
        .refuse(tag, &github(), "ref", "found `refs/tags/v1.4.0`")
        .await;
}

#[tokio::test]
async fn a_tag_of_gitlab_that_is_named_like_a_branch_is_a_tag() {
    let world = world().await;
    let tag = json!({"ref_type": "tag", "ref_path": "refs/tags/main"});
    let tag = changed(pipeline(), &tag);
    world
        .refuse(tag.clone(), &gitlab(), "ref", "found `refs/tags/main`")
        .await;
    let mapped = with(gitlab(), |oidc| {
        oidc.binding = refs(&[("refs/tags/*", "release")])
    });
    world
        .bind(tag, &mapped, "acme/team", "shop", Some("release"))
        .await;
    // Older versions have no `ref_path`.
    for (kind, branch) in [("branch", "main"), ("tag", "release")] {
        let claims = changed(pipeline(), &json!({"ref_path": null, "ref_type": kind}));
        world
            .bind(claims, &mapped, "acme/team", "shop", Some(branch))
            .await;
    }
    for (changes, code, part) in [
        (
            json!({"ref_path": "refs/heads/other"}),
            "ref",
            "expected `ref_path` to be `refs/heads/main`, found `refs/heads/other`",
        ),
        (
            json!({"ref_type": "tag"}),
            "ref",
            "expected `ref_path` to be `refs/tags/main`, found `refs/heads/main`",
        ),
        (
            json!({"ref_path": "refs/tags/main"}),
            "ref",
            "expected `ref_path` to be `refs/heads/main`",
        ),
        (
            json!({"ref_type": "merge"}),
            "ref",
            "expected `ref_type` to be branch or tag, found `merge`",
        ),
        (
            json!({"ref_type": null}),
            "claims",
            "expected `ref_type` as text, found none",
        ),
        (
            json!({"ref_path": 1}),
            "claims",
            "expected `ref_path` as text, found a number",
        ),
    ] {
        world
            .refuse(changed(pipeline(), &changes), &mapped, code, part)
            .await;
    }
}

#[tokio::test]
async fn any_commit_is_allowed_where_the_trust_says_so() {
    let world = world().await;
    let any = with(github(), |oidc| {
        oidc.binding = BindingRule::Own {
            any_commit: true,
            refs: Vec::new(),
        };
    });
    for claims in [push(), changed(push(), &json!({"sha": null}))] {
        let caller = world.claims(claims, &any).await.expect("a caller");
        let binding = caller.binding.expect("a binding");
        assert_eq!(
            (binding.branch.as_deref(), binding.commit),
            (Some("main"), None)
        );
    }
}

#[tokio::test]
async fn a_protected_ref_is_asked_for() {
    let world = world().await;
    let protected = with(github(), |oidc| oidc.is_protected = true);
    for yes in [json!(true), json!("true")] {
        let claims = changed(push(), &json!({ "ref_protected": yes }));
        world
            .bind(claims, &protected, "acme", "shop", Some("main"))
            .await;
    }
    for (no, code, found) in [
        (json!(false), "protected", "found false"),
        (json!("false"), "protected", "found false"),
        (json!(null), "protected", "found none"),
        (json!("True"), "claims", "found `True`"),
        (json!(1), "claims", "found a number"),
    ] {
        let claims = changed(push(), &json!({ "ref_protected": no }));
        world.refuse(claims, &protected, code, found).await;
    }
    let protected = with(gitlab(), |oidc| oidc.is_protected = true);
    world
        .bind(pipeline(), &protected, "acme/team", "shop", Some("main"))
        .await;
}
