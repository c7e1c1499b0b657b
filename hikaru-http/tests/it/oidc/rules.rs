//! Which claims a trust asks for, and the caller that they make. Events, refs and commits are in `runs`.

mod runs;

use hikaru_core::{
    caller::{Caller, Glob},
    image::{BuildTag, TagFormat},
    text::Escaped,
};
use hikaru_http::{BindingRule, Ci, Denied, OidcTrust, Trust};
use serde_json::{Value, json};

use super::{AUDIENCE, ISSUER, NOW, SHA, World, changed, github, push, refusal, trust, with};
use crate::issuer::Signs;

const GITLAB: &str = "https://gitlab.example.com";

/// A push to main of acme/team/shop.
fn pipeline() -> Value {
    json!({
        "iss": GITLAB, "aud": AUDIENCE, "sub": "project_path:acme/team/shop:ref_type:branch:ref:main",
        "iat": NOW, "nbf": NOW, "exp": NOW + 600,
        "project_path": "acme/team/shop", "project_id": "22", "namespace_path": "acme/team", "namespace_id": "72",
        "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "pipeline_source": "push", "sha": SHA, "job_id": "302", "user_login": "sam",
    })
}

fn gitlab() -> Trust {
    let mut oidc = OidcTrust::new(Ci::GitLab, GITLAB, AUDIENCE);
    oidc.owners = vec!["72".into()];
    oidc.events = vec!["push".into(), "web".into(), "schedule".into()];
    trust("gitlab", oidc)
}

fn identities(mut trust: Trust, patterns: &[&str]) -> Trust {
    let patterns = patterns.iter().map(|one| one.parse().expect("a pattern"));
    trust.identities = patterns.collect();
    trust
}

fn refs(rules: &[(&str, &str)]) -> BindingRule {
    let rules = rules
        .iter()
        .map(|(from, to)| (Glob::new(*from), (*to).into()));
    BindingRule::Own {
        any_commit: false,
        refs: rules.collect(),
    }
}

async fn world() -> World {
    let world = World::new(Signs::EdDsa).await;
    world.documents.publish(GITLAB, &[world.key.jwk()]);
    world
}

impl World {
    async fn claims(&self, claims: Value, trust: &Trust) -> Result<Caller, Denied> {
        self.admit(&self.token(&claims), trust).await
    }

    /// A token with these claims is not admitted: the code that is told, and a part of the sentence.
    async fn refuse(&self, claims: Value, trust: &Trust, code: &str, part: &str) {
        let (found, why) = refusal(self.claims(claims.clone(), trust).await);
        assert_eq!(found, code, "{claims}: {why}");
        assert!(why.contains(part), "expected {part:?} in: {why}");
        let named = format!("the trust {} does not admit the token: ", trust.name);
        assert!(why.starts_with(&named), "{why}");
    }

    /// A token with these claims makes a caller that is bound so.
    async fn bind(
        &self,
        claims: Value,
        trust: &Trust,
        owner: &str,
        repo: &str,
        branch: Option<&str>,
    ) {
        let caller = self.claims(claims.clone(), trust).await;
        let caller = caller.unwrap_or_else(|denied| panic!("{claims}: {denied}"));
        let binding = caller.binding.expect("a binding");
        let found = (&*binding.owner, &*binding.repo, binding.branch.as_deref());
        assert_eq!(found, (owner, repo, branch), "{claims}");
    }
}

#[tokio::test]
async fn a_run_of_github_makes_a_caller_that_is_bound_to_its_source() {
    let world = world().await;
    let mut trust = identities(github(), &["acme/*/*"]);
    trust.namespaces = vec!["dev".into()];
    let caller = world.claims(push(), &trust).await.expect("a caller");
    assert_eq!(caller.name, "github".into());
    assert_eq!(caller.rights, trust.rights);
    assert_eq!(caller.identities, trust.identities);
    assert_eq!(caller.namespaces, trust.namespaces);
    let issued = caller.issued.clone().expect("an issuer");
    assert_eq!(&*issued.issuer, ISSUER);
    assert_eq!(&*issued.subject, "repo:acme/shop:ref:refs/heads/main");
    let run = "https://github.com/acme/shop/actions/runs/1658821493";
    assert_eq!(issued.run.as_deref(), Some(run));
    let binding = caller.binding.expect("a binding");
    assert!(!binding.has_slug);
    let check = |tag: &str| {
        let tag = BuildTag::parse(tag, &TagFormat::default()).expect("a tag");
        binding.check(&tag).is_ok()
    };
    assert!(check("acme_shop_main_1.4.0_7_0123abcd"));
    for other in [
        "acme_other_main_1.4.0_7_0123abcd",
        "other_shop_main_1.4.0_7_0123abcd",
        "acme_shop_dev_1.4.0_7_0123abcd",
        "acme_shop_HEAD_1.4.0_7_0123abcd",
        "acme_shop_main_1.4.0_7_0123abce",
        "acme_shop_main_1.4.0_7_none",
    ] {
        assert!(!check(other), "{other}");
    }
}

#[tokio::test]
async fn a_pipeline_of_gitlab_makes_a_caller_that_is_bound_to_its_source() {
    let world = world().await;
    let caller = world.claims(pipeline(), &gitlab()).await.expect("a caller");
    let binding = caller.binding.expect("a binding");
    assert_eq!((&*binding.owner, &*binding.repo), ("acme/team", "shop"));
    assert_eq!(binding.branch.as_deref(), Some("main"));
    assert_eq!(binding.commit.as_deref(), Some(SHA));
    assert!(binding.has_slug);
    let run = caller.issued.and_then(|issued| issued.run);
    assert_eq!(
        run.as_deref(),
        Some("https://gitlab.example.com/acme/team/shop/-/jobs/302")
    );
    for source in ["web", "schedule"] {
        let claims = changed(pipeline(), &json!({"pipeline_source": source}));
        world
            .bind(claims, &gitlab(), "acme/team", "shop", Some("main"))
            .await;
    }
}

#[tokio::test]
async fn a_run_of_forgejo_makes_a_caller_that_is_bound_to_its_source() {
    let world = world().await;
    let issuer = "https://git.example.com/api/actions";
    world.documents.publish(issuer, &[world.key.jwk()]);
    let mut oidc = OidcTrust::new(Ci::Forgejo, issuer, AUDIENCE);
    oidc.events = vec!["push".into()];
    let trust = trust("forgejo", oidc);
    let claims = changed(push(), &json!({"iss": issuer, "repository_owner_id": null}));
    let caller = world.claims(claims, &trust).await.expect("a caller");
    let run = caller.issued.and_then(|issued| issued.run);
    assert_eq!(
        run.as_deref(),
        Some("https://git.example.com/acme/shop/actions/runs/10")
    );
    assert_eq!(
        caller.binding.expect("a binding").commit.as_deref(),
        Some(SHA)
    );
}

#[tokio::test]
async fn the_address_of_a_run_is_at_the_issuers_host() {
    let world = world().await;
    for (issuer, expected) in [
        (
            "https://ghe.example.com/_services/token",
            Some("https://ghe.example.com/acme/shop/actions/runs/1658821493"),
        ),
        (
            "https://token.actions.githubusercontent.com/acme",
            Some("https://github.com/acme/shop/actions/runs/1658821493"),
        ),
        (
            "https://token.actions.acme.ghe.com",
            Some("https://acme.ghe.com/acme/shop/actions/runs/1658821493"),
        ),
        ("https://other.example.com", None),
    ] {
        world.documents.publish(issuer, &[world.key.jwk()]);
        let trust = with(github(), |oidc| oidc.issuer = issuer.into());
        let claims = changed(push(), &json!({ "iss": issuer }));
        let caller = world.claims(claims, &trust).await.expect("a caller");
        let run = caller.issued.and_then(|issued| issued.run);
        assert_eq!(run.as_deref(), expected, "{issuer}");
    }
    // What does not belong into an address is in none.
    for changes in [
        json!({"run_id": null}),
        json!({"run_id": "1\n2"}),
        json!({"run_id": "1 2"}),
        json!({"run_id": "1?a=b"}),
        json!({"run_id": ["1"]}),
        json!({"run_id": "1".repeat(600)}),
        json!({"repository": "acme/sh\u{202e}op"}),
        json!({"repository": "acme/<b>"}),
    ] {
        let caller = world.claims(changed(push(), &changes), &github()).await;
        assert_eq!(
            caller
                .expect("a caller")
                .issued
                .and_then(|issued| issued.run),
            None,
            "{changes}"
        );
    }
}

#[tokio::test]
async fn an_owner_counts_by_its_id() {
    let world = world().await;
    let number = changed(push(), &json!({"repository_owner_id": 65}));
    world
        .bind(number, &github(), "acme", "shop", Some("main"))
        .await;
    // The name has been registered again, by someone else.
    let again = changed(push(), &json!({"repository_owner_id": "66"}));
    let part = "expected `repository_owner_id` to be 65, found `66`";
    world.refuse(again, &github(), "owner", part).await;
    let none = changed(push(), &json!({"repository_owner_id": null}));
    world.refuse(none, &github(), "owner", "found none").await;
    for (wrong, found) in [(json!(["65"]), "a list"), (json!(true), "true or false")] {
        let part = format!("expected `repository_owner_id` as a number or as text, found {found}");
        let claims = changed(push(), &json!({"repository_owner_id": wrong}));
        world.refuse(claims, &github(), "claims", &part).await;
    }
    let two = with(github(), |oidc| oidc.owners = vec!["1".into(), "65".into()]);
    world.bind(push(), &two, "acme", "shop", Some("main")).await;
    let other = changed(pipeline(), &json!({"namespace_id": "73"}));
    world
        .refuse(
            other,
            &gitlab(),
            "owner",
            "expected `namespace_id` to be 72, found `73`",
        )
        .await;
    // The owner has another name now, and so have its images.
    let renamed = changed(push(), &json!({"repository": "acme-corp/store"}));
    world
        .bind(renamed, &github(), "acme-corp", "store", Some("main"))
        .await;
}

#[tokio::test]
async fn a_subgroup_is_admitted_only_by_its_id() {
    let world = world().await;
    let any = with(gitlab(), |oidc| oidc.owners.clear());
    let part = "the group `acme/team` is a subgroup, which has to be listed by id in `owners`";
    world.refuse(pipeline(), &any, "owner", part).await;
    let top = changed(pipeline(), &json!({"project_path": "acme/shop"}));
    world.bind(top, &any, "acme", "shop", Some("main")).await;
}

#[tokio::test]
async fn a_repository_has_an_owner_and_a_name() {
    let world = world().await;
    for wrong in ["shop", "/shop", "acme/", "/", "acme/team/shop"] {
        let claims = changed(push(), &json!({"repository": wrong}));
        let part = format!("expected `repository` as owner/repository, found `{wrong}`");
        world.refuse(claims, &github(), "claims", &part).await;
    }
    for wrong in ["shop", "/shop", "acme//shop", "acme/team/"] {
        let claims = changed(pipeline(), &json!({"project_path": wrong}));
        let part = format!("expected `project_path` as owner/repository, found `{wrong}`");
        world.refuse(claims, &gitlab(), "claims", &part).await;
    }
    for (changes, part) in [
        (
            json!({"repository": null}),
            "expected `repository` as text, found none",
        ),
        (
            json!({"repository": ""}),
            "expected `repository` as text, found none",
        ),
        (
            json!({"repository": 1}),
            "expected `repository` as text, found a number",
        ),
        (
            json!({"repository": {"owner": "acme"}}),
            "expected `repository` as text, found an object",
        ),
        (
            json!({"repository": format!("acme/{}", "x".repeat(600))}),
            "of at most 512 bytes, found 605",
        ),
        (json!({"sha": null}), "expected `sha` as text, found none"),
        (
            json!({"sha": "0123abcd"}),
            "expected `sha` as 40 or 64 hexadecimal digits, found `0123abcd`",
        ),
        (
            json!({"sha": "g".repeat(40)}),
            "expected `sha` as 40 or 64 hexadecimal digits",
        ),
        (json!({"sha": ""}), "expected `sha` as text, found none"),
        (
            json!({"event_name": null}),
            "expected `event_name` as text, found none",
        ),
        (
            json!({"event_name": ["push"]}),
            "expected `event_name` as text, found a list",
        ),
        (json!({"ref": null}), "expected `ref` as text, found none"),
        (
            json!({"ref": false}),
            "expected `ref` as text, found true or false",
        ),
    ] {
        world
            .refuse(changed(push(), &changes), &github(), "claims", part)
            .await;
    }
    let upper = changed(push(), &json!({"sha": SHA.to_uppercase()}));
    let caller = world.claims(upper, &github()).await.expect("a caller");
    assert_eq!(
        caller.binding.expect("a binding").commit.as_deref(),
        Some(SHA)
    );
}

#[tokio::test]
async fn claims_that_the_trust_names_are_compared() {
    let world = world().await;
    let wanted = |name: &str, pattern: &str| {
        let (name, pattern) = (name.into(), Glob::new(pattern));
        with(github(), |oidc| oidc.claims.push((name, pattern)))
    };
    for (claim, pattern) in [
        (json!({"environment": "production"}), "production"),
        (json!({"environment": "production-1"}), "production-*"),
        (json!({"environment": 7}), "7"),
        (json!({"environment": true}), "true"),
    ] {
        let caller = world
            .claims(changed(push(), &claim), &wanted("environment", pattern))
            .await;
        assert!(caller.is_ok(), "{claim}: {caller:?}");
    }
    for (claim, code, part) in [
        (
            json!({}),
            "claim",
            "expected the claim `environment` to be prod*, found none",
        ),
        (
            json!({"environment": "dev"}),
            "claim",
            "expected the claim `environment` to be prod*, found `dev`",
        ),
        (
            json!({"environment": "Production"}),
            "claim",
            "found `Production`",
        ),
        (json!({"environment": ""}), "claim", "found an empty text"),
        (
            json!({"environment": ["production"]}),
            "claims",
            "found a list",
        ),
        (
            json!({"environment": {"name": "production"}}),
            "claims",
            "found an object",
        ),
    ] {
        world
            .refuse(
                changed(push(), &claim),
                &wanted("environment", "prod*"),
                code,
                part,
            )
            .await;
    }
    // `null` is no text.
    let mut claims = push();
    claims["environment"] = Value::Null;
    world
        .refuse(claims, &wanted("environment", "*"), "claims", "found null")
        .await;
    world
        .refuse(push(), &wanted("environment", "*"), "claim", "found none")
        .await;
}

#[tokio::test]
async fn another_issuer_is_known_by_its_claims_and_needs_identities() {
    let world = world().await;
    let issuer = "https://agent.buildkite.com";
    world.documents.publish(issuer, &[world.key.jwk()]);
    let claims = json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "organization:acme:pipeline:shop-web:ref:refs/heads/main",
        "iat": NOW, "exp": NOW + 300, "organization_slug": "acme", "pipeline_slug": "shop-web",
    });
    let mut oidc = OidcTrust::new(Ci::Other, issuer, AUDIENCE);
    oidc.claims = vec![
        ("organization_slug".into(), Glob::new("acme")),
        ("pipeline_slug".into(), Glob::new("shop-*")),
    ];
    let bound = trust("buildkite", oidc);
    world
        .refuse(
            claims.clone(),
            &bound,
            "binding",
            "is not known of this issuer: use `binding: none`",
        )
        .await;
    let unbound = with(bound, |oidc| oidc.binding = BindingRule::None);
    world
        .refuse(
            claims.clone(),
            &unbound,
            "binding",
            "it has neither a binding nor identities",
        )
        .await;
    let narrowed = identities(unbound, &["acme/shop/*"]);
    let caller = world
        .claims(claims.clone(), &narrowed)
        .await
        .expect("a caller");
    assert_eq!(caller.binding, None);
    assert_eq!(caller.identities, narrowed.identities);
    assert_eq!(caller.issued.and_then(|issued| issued.run), None);
    let other = changed(claims.clone(), &json!({"pipeline_slug": "shop"}));
    let part = "expected the claim `pipeline_slug` to be shop-*, found `shop`";
    world.refuse(other, &narrowed, "claim", part).await;
    // What would otherwise be passed over in silence.
    let owners = with(narrowed.clone(), |oidc| oidc.owners = vec!["1".into()]);
    let events = with(narrowed, |oidc| oidc.events = vec!["push".into()]);
    for trust in [owners, events] {
        world
            .refuse(
                claims.clone(),
                &trust,
                "claims",
                "is not known of this issuer: use `claims`",
            )
            .await;
    }
}

#[tokio::test]
async fn without_a_binding_events_and_owners_hold_all_the_same() {
    let world = world().await;
    let unbound = with(github(), |oidc| oidc.binding = BindingRule::None);
    world
        .refuse(
            push(),
            &unbound,
            "binding",
            "it has neither a binding nor identities",
        )
        .await;
    let unbound = identities(unbound, &["acme/shop/*"]);
    let caller = world.claims(push(), &unbound).await.expect("a caller");
    assert_eq!(caller.binding, None);
    let other = changed(push(), &json!({"repository_owner_id": "66"}));
    world.refuse(other, &unbound, "owner", "found `66`").await;
    let other = changed(push(), &json!({"event_name": "release"}));
    world
        .refuse(other, &unbound, "event", "found `release`")
        .await;
}

#[tokio::test]
async fn the_first_trust_that_admits_a_token_counts() {
    let world = world().await;
    let token = world.token(&push());
    let named = |name: &str, mut trust: Trust| {
        trust.name = name.into();
        trust
    };
    let audience = named(
        "audience",
        with(github(), |oidc| oidc.audience = "other".into()),
    );
    let events = named(
        "events",
        with(github(), |oidc| oidc.events = vec!["release".into()]),
    );
    let (first, second) = (named("first", github()), named("second", github()));
    let caller = world
        .oidc
        .caller(&token, &[&audience, &events, &first, &second])
        .await;
    assert_eq!(caller.expect("a caller").name, "first".into());
    assert_eq!(world.documents.looks(), 1);
    let (code, why) = refusal(world.oidc.caller(&token, &[&audience, &events]).await);
    assert_eq!(code, "event");
    assert_eq!(
        why,
        "expected the audience other, found `hikaru-prod`; the trust events does not admit the token: expected `event_name` to be release, found `push`"
    );
    let away = named(
        "away",
        with(github(), |oidc| oidc.ca = Some("another".into())),
    );
    world
        .documents
        .put(format!("{ISSUER}/keys"), Err("answers with 500"));
    let denied = world
        .oidc
        .caller(&token, &[&events, &away, &audience])
        .await;
    let Err(Denied::Unavailable(why)) = denied else {
        panic!("expected that it cannot be found out, found {denied:?}");
    };
    assert!(
        why.contains("the trust events does not") && why.contains("; the keys of"),
        "{why}"
    );
    assert_eq!(Escaped(&why).to_string(), why);
}
