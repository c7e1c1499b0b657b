//! Definitions in every form, and what is said of those that are none.

use hikaru_core::jobs::JobName;
use serde_json::json;

use super::*;

const HEAD: &str = "apiVersion: batch/v1\nkind: Job\n";
const POD: &str =
    "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n";

fn yaml(text: &str) -> Result<Definition, String> {
    Definition::of_yaml(text).map_err(|error| error.to_string())
}

#[track_caller]
fn check(found: Result<Definition, String>, expected: &str) {
    let error = found.map(|d| d.object.clone()).expect_err(expected);
    assert!(
        error.contains(expected),
        "expected {expected:?} in {error:?}"
    );
}

#[test]
fn json_and_yaml_are_the_same_and_nothing_is_lost() {
    let text = format!(
        "\u{feff}# a job\n---\n{HEAD}metadata: {{name: migrate, annotations: {{a: \"0644\"}}}}\n\
        spec:\n  future: {{unknown: [0644, yes, 1_000, ~, 2026-11-24, 1.50, \"yes\"]}}\n  template:\n    spec:\n      \
        containers:\n      - &c {{name: c, image: i, env: &e [{{name: A, value: |\n          x\n          y\n          }}]}}\n"
    );
    // A block scalar cannot stand in a flow map: the place is told.
    check(yaml(&text), "line ");
    let text = "---\n# a job\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {a: \"0644\"}}\n\
        spec:\n  future: {unknown: [0644, yes, 1_000, ~, 2026-11-24, 1.50, \"yes\"]}\n  template:\n    spec:\n      \
        containers:\n      - &c\n        name: c\n        image: i\n        args: [&x a, *x]\n      - <<: *c\n        \
        name: d\n---\n";
    let read = yaml(text).expect("a job");
    let expected = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "migrate", "annotations": {"a": "0644"}},
        "spec": {"future": {"unknown": [420, true, 1000, null, "2026-11-24", 1.5, "yes"]},
            "template": {"spec": {"containers": [
                {"name": "c", "image": "i", "args": ["a", "a"]}, {"name": "d", "image": "i", "args": ["a", "a"]}]}}}});
    assert_eq!(Value::Object(read.object.clone()), expected);
    let again = Definition::of_json(&expected.to_string()).expect("a job");
    assert_eq!(again.object, read.object);
}

#[test]
fn what_is_no_job_says_so() {
    let job = format!("{HEAD}metadata: {{name: a}}\n{POD}");
    for (text, expected) in [
        ("", "cannot be read: the text is empty: expected a Job"),
        ("---\n# nothing\n---\n", "the text is empty: expected a Job"),
        ("[]", "expected one Job, found a list"),
        ("hello", "expected one Job, found a text"),
        ("a: 1", "found a map without kind"),
        ("kind: Job", "found a Job without apiVersion"),
        (
            "kind: Deployment\napiVersion: apps/v1",
            "expected one Job (apiVersion: batch/v1, kind: Job), found a Deployment of apps/v1",
        ),
        ("kind: Job\napiVersion: batch/v2", "found a Job of batch/v2"),
        (
            "kind: List\napiVersion: v1\nitems: [{}, {}]",
            "found a List of v1 of 2: send its Jobs one by one",
        ),
        (
            &format!("{job}---\n{job}---\nkind: Service\napiVersion: v1\n"),
            "expected one Job, found 3 documents: a Job of batch/v1, a Job of batch/v1, a Service of v1",
        ),
        (
            &job.replace("name: a", "x: a"),
            "expected metadata.name or metadata.generateName, found neither",
        ),
        (
            &job.replace("name: a", "name: ../x"),
            "metadata.name: expected a name of lower-case letters, digits, `-` or `.`, at most 253 bytes, a letter or digit \
             first and last, found `../x`",
        ),
        (&job.replace("name: a", "name: Migrate"), "found `Migrate`"),
        (
            &job.replace("name: a", &format!("name: {}", "a".repeat(254))),
            "at most 253 bytes",
        ),
        (
            &job.replace("name: a", "generateName: ../"),
            "metadata.generateName: expected a name",
        ),
        (
            &job.replace("name: a", "name: 1"),
            "metadata.name: expected a text, found a number",
        ),
        (
            &job.replace("name: a", "name: a, namespace: a/b"),
            "metadata.namespace: expected a namespace",
        ),
        (
            &job.replace("[{name: c, image: i}]", "[]"),
            "spec.template.spec.containers: expected at least one container, found none",
        ),
        (
            &job.replace("[{name: c, image: i}]", "{name: c}"),
            "spec.template.spec.containers: expected a list, found a map",
        ),
        (&job.replace("name: a", "name: a\n\tx: y"), "tab"),
        (
            &format!("{job}metadata: {{}}\n"),
            "the key metadata stands twice in one map, first on line 3",
        ),
        (
            &job.replace("name: a", "name: a, yes: x"),
            "expected a string as a key, found the boolean yes: quote it",
        ),
        (
            &job.replace("name: a", "name: a, [b]: x"),
            "expected a string as a key, found a list",
        ),
        (
            &job.replace("name: a", "name: a, b: !!binary eA=="),
            "found a value with a tag of its own: ",
        ),
        (
            &job.replace("name: a", "name: a, b: .inf"),
            "found a number that is infinite or not a number: .inf",
        ),
        (&job.replace("name: a", "name: *b"), "line 3, column "),
        ("{{ .Values.job }}", "{{"),
    ] {
        check(yaml(text), expected);
    }
    assert!(yaml(&job).is_ok());
}

#[test]
fn json_that_is_none_says_where() {
    let job = r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}"#;
    let json = |text: &str| Definition::of_json(text).map_err(|error| error.to_string());
    assert!(json(job).is_ok());
    for (text, expected) in [
        (
            String::new(),
            "cannot be read: the text is no JSON: it is empty",
        ),
        (
            format!("{job} x"),
            "expected nothing after the object, found more at line 2 column 88",
        ),
        (
            format!("{job}{job}"),
            "expected nothing after the object, found more",
        ),
        (
            "kind: Job".to_owned(),
            "the text is no JSON: expected value at line 1 column 1; YAML has to be sent as YAML",
        ),
        (
            job.replace("\"kind\"", "\"kind\": 1, \"kind\""),
            "the key kind stands twice in one map",
        ),
        (
            "[".repeat(200),
            "nested too deep here: expected at most 100 levels",
        ),
        (
            format!("[{}", "1,".repeat(60_000)),
            "the definition is too large",
        ),
        (
            " ".repeat(LARGEST + 1),
            "expected at most 1048576 bytes, found 1048577",
        ),
    ] {
        check(json(&text), expected);
    }
}

#[test]
fn bombs_are_bounded() {
    let mut bomb =
        format!("{HEAD}metadata: {{name: a}}\n{POD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..20 {
        let before = format!("*a{}", n - 1);
        bomb += &format!("a{n}: &a{n} [{}]\n", [before.as_str(); 10].join(", "));
    }
    check(yaml(&bomb), "too large");
    let long = "x".repeat(100_000);
    let copies = vec!["*a"; 1000].join(", ");
    check(
        yaml(&format!(
            "{HEAD}metadata: {{name: a}}\n{POD}a: &a {long}\nb: [{copies}]\n"
        )),
        "too large",
    );
    check(yaml(&"[".repeat(90)), "line 1");
    let deep = format!(
        "{HEAD}metadata: {{name: a}}\n{POD}a: {}{}\n",
        "[".repeat(120),
        "]".repeat(120)
    );
    check(
        yaml(&deep),
        "nested too deep here: expected at most 100 levels",
    );
    check(yaml("a: &a [*a]\n"), "nested too deep");
    check(
        yaml(&format!("a: [{}]", "1,".repeat(60_000))),
        "more than 20000 values",
    );
}

#[test]
fn namespaces() {
    let settle = |own: &str, asked: Option<&str>| {
        let mut read = yaml(&format!("{HEAD}metadata: {{name: a{own}}}\n{POD}")).expect("a job");
        let asked = asked.map(Text::from);
        let namespace = read.settle(asked.as_ref(), "home");
        let namespace = namespace.map_err(|error| error.to_string())?;
        assert_eq!(
            facts::text(&read.object, &["metadata", "namespace"]),
            Some(&*namespace)
        );
        Ok::<_, String>(namespace.to_string())
    };
    assert_eq!(settle("", None), Ok("home".to_owned()));
    assert_eq!(settle("", Some("shop")), Ok("shop".to_owned()));
    assert_eq!(settle(", namespace: own", None), Ok("own".to_owned()));
    assert_eq!(
        settle(", namespace: own", Some("own")),
        Ok("own".to_owned())
    );
    let error = settle("", Some("../kube-system")).expect_err("none");
    assert!(error.contains("expected a namespace"), "{error}");
    let error = settle(", namespace: own", Some("shop")).expect_err("two");
    assert!(
        error.contains("the Job names the namespace own, the call shop"),
        "{error}"
    );
}

#[test]
fn what_only_a_privileged_policy_allows_is_named() {
    let demand = |pod: &str, container: &str| {
        let text = format!(
            "{HEAD}metadata: {{name: a}}\nspec: {{template: {{spec: {{containers: [{{name: c{container}}}]{pod}}}}}}}\n"
        );
        yaml(&text).map(|read| read.facts.demand.map(|demand| demand.to_string()))
    };
    for (pod, container, expected) in [
        ("", "", ""),
        (
            ", hostNetwork: false, securityContext: , volumes: [{name: v, emptyDir: {}, hostPath: }]",
            ", ports: [{hostPort: 0}, {hostPort: }]",
            "",
        ),
        (
            ", hostPID: true, hostIPC: on",
            "",
            "spec.template.spec.hostPID: expected false, found true (rule host-namespaces)",
        ),
        (
            "",
            ", ports: [{containerPort: 1}, {hostPort: \"80\"}]",
            "spec.template.spec.containers[0].ports[1].hostPort: expected 0, found 80 (rule host-ports)",
        ),
        (
            ", ephemeralContainers: [{name: e, securityContext: {privileged: true}}]",
            "",
            "spec.template.spec.ephemeralContainers[0].securityContext.privileged: expected false, found true \
             (rule privileged)",
        ),
        (
            ", initContainers: [{name: i, securityContext: {capabilities: {add: [CHOWN, BPF]}}}]",
            "",
            "spec.template.spec.initContainers[0].securityContext.capabilities.add[1]: expected AUDIT_WRITE, CHOWN, \
             DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID or SYS_CHROOT, \
             found BPF (rule capabilities)",
        ),
        (
            "",
            ", securityContext: {procMount: \"\"}",
            "spec.template.spec.containers[0].securityContext.procMount: expected Default, found an empty text \
             (rule proc-mount)",
        ),
        (
            ", securityContext: {future: [1]}",
            "",
            "spec.template.spec.securityContext.future: expected a member that hikaru knows, found future \
             (rule unknown-member)",
        ),
    ] {
        let found = demand(pod, container).map(Option::unwrap_or_default);
        assert_eq!(found.as_deref(), Ok(expected), "{pod} {container}");
    }
    for (pod, container, expected) in [
        (
            ", hostNetwork: \"true\"",
            "",
            "spec.template.spec.hostNetwork: expected true or false, found a text",
        ),
        (
            "",
            ", securityContext: {privileged: 1}",
            "containers[0].securityContext.privileged: expected true or false",
        ),
        (
            "",
            ", securityContext: []",
            "containers[0].securityContext: expected a map, found a list",
        ),
        (
            "",
            ", securityContext: {capabilities: {add: [[BPF]]}}",
            "securityContext.capabilities.add[0]: expected a text, found a list",
        ),
        (
            ", volumes: {}",
            "",
            "spec.template.spec.volumes: expected a list, found a map",
        ),
        (
            ", serviceAccountName: 1",
            "",
            "serviceAccountName: expected a text, found a number",
        ),
    ] {
        let error = demand(pod, container).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
    let account = |pod: &str| {
        let text = POD.replace("restartPolicy: Never", pod);
        let read = yaml(&format!("{HEAD}metadata: {{name: a}}\n{text}")).expect("a job");
        read.facts
            .service_account
            .map(|account| account.to_string())
    };
    assert_eq!(account("serviceAccount: old"), Some("old".to_owned()));
    assert_eq!(
        account("serviceAccount: old, serviceAccountName: new"),
        Some("new".to_owned())
    );
    assert_eq!(account("serviceAccountName: \"\""), None);
}

#[test]
fn a_job_of_a_cron_job() {
    let name: JobName = "shop/nightly".parse().expect("a name");
    let cron_job = json!({"metadata": {"uid": "u"}, "spec": {"schedule": "@daily", "jobTemplate": {
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"backoffLimit": 0, "future": {"x": 1}, "template": {"spec": {
            "initContainers": [{"name": "i", "image": "acme/web:old"}],
            "containers": [{"name": "c", "image": "acme/web:old"}, {"name": "s", "image": "side:1"}],
            "volumes": [{"name": "v", "image": {"reference": "acme/web:old"}}, {"name": "e", "emptyDir": {}}]}}}}}});
    let made = from_cron_job(&name, &cron_job, Some("docker.io/acme/web:new")).expect("a job");
    // The repository stays as the CronJob spells it.
    let expected = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"generateName": "nightly-", "namespace": "shop", "labels": {"a": "b"},
            "annotations": {"c": "d", "cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "u",
                "controller": true}]},
        "spec": {"backoffLimit": 0, "future": {"x": 1}, "template": {"spec": {
            "initContainers": [{"name": "i", "image": "acme/web:new"}],
            "containers": [{"name": "c", "image": "acme/web:new"}, {"name": "s", "image": "side:1"}],
            "volumes": [{"name": "v", "image": {"reference": "acme/web:new"}},
                {"name": "e", "emptyDir": {}}]}}}});
    assert_eq!(Value::Object(made.object), expected);
    for (image, expected) in [
        (
            "other/web:new",
            "no container of the CronJob shop/nightly uses the repository of other/web:new; its images: \
          acme/web:old, acme/web:old, side:1, acme/web:old",
        ),
        ("Web", "not an image reference"),
    ] {
        let error = from_cron_job(&name, &cron_job, Some(image))
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let empty = from_cron_job(&name, &json!({}), None)
        .expect_err("no template")
        .to_string();
    assert!(empty.contains("expected at least one container"), "{empty}");
}

#[tokio::test]
async fn a_definition_is_read_apart_from_the_requests() {
    let definitions = Definitions::new();
    let reads = |_: &str| std::thread::current().id();
    let read = definitions.read(&"kind: Job".into(), reads).await;
    assert_ne!(read, std::thread::current().id());
    // A panic of the parser is its caller's.
    let text = "".into();
    let panics = definitions.read::<()>(&text, |_| panic!("as planned"));
    let panicked = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(panics));
    assert!(panicked.await.is_err());
    let read = definitions.read(&"again".into(), str::len).await;
    assert_eq!(read, 5);
}
