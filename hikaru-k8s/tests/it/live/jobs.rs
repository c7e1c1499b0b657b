//! Jobs on the real control plane: created from JSON, YAML and CronJobs, looked at, waited for, replaced and deleted; what
//! is refused by our rules and by the server's.

use std::{sync::Arc, time::Duration};

use hikaru_core::{
    Mode,
    jobs::{JobList, JobName, JobPolicy, JobRequest, JobSource, JobState, Jobs},
    port::ClusterError,
    rollout::CauseCode,
};
use hikaru_k8s::SystemClock;
use serde_json::{Value, json};
use xtask::Cluster;

use super::{faults_jobs::until_ended, rig};

const LONG: Duration = Duration::from_secs(60);

/// As administrator, in these namespaces.
async fn jobs_in(namespaces: &[&str]) -> Jobs {
    let live = rig::by_variables(Cluster::shared()).await;
    let mut policy = JobPolicy::default();
    policy.namespaces = Some(namespaces.iter().map(|&n| n.into()).collect());
    Jobs::new(Arc::new(live), policy, Arc::new(SystemClock::default()))
}

/// A Job as YAML, with more fields of its spec.
fn job(name: &str, image: &str, more: &str) -> String {
    format!(
        "---\n# a migration\napiVersion: batch/v1\nkind: Job\nmetadata:\n  {name}\nspec:\n  backoffLimit: 0{more}\n  \
         template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - name: migrate\n        image: {image}\n---\n"
    )
}

fn request(yaml: &str, namespace: &str) -> JobRequest {
    let mut request = JobRequest::new(JobSource::Yaml(yaml.into()));
    request.namespace = Some(namespace.into());
    request
}

async fn run(jobs: &Jobs, yaml: &str, namespace: &str) -> Result<JobName, String> {
    let ran = jobs.run(&request(yaml, namespace), Mode::Commit).await;
    ran.map(|created| created.name)
        .map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_warns_of_is_told() {
    let namespace = rig::namespace("job-warned").await;
    let jobs = jobs_in(&[&namespace]).await;
    let selector = "restartPolicy: Never\n      nodeSelector: {beta.kubernetes.io/os: linux}";
    let yaml = job("name: a", "i:1", "").replace("restartPolicy: Never", selector);
    for mode in [Mode::DryRun, Mode::Commit] {
        let created = jobs.run(&request(&yaml, &namespace), mode).await;
        let warnings = created.expect("created").warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains("nodeSelector[beta.kubernetes.io/os]"),
            "{warnings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_waited_for_listed_and_deleted() {
    let namespace = rig::namespace("jobs").await;
    let jobs = jobs_in(&[&namespace]).await;
    let dry = jobs
        .run(
            &request(&job("name: a", "i:1", ""), &namespace),
            Mode::DryRun,
        )
        .await;
    assert_eq!(dry.expect("it is sound").uid.len(), 0);
    assert_eq!(jobs.list(&namespace).await, Ok(JobList::default()));

    let name = run(&jobs, &job("name: a", "i:1", ""), &namespace)
        .await
        .expect("created");
    assert_eq!(name.to_string(), format!("{namespace}/a"));
    let again = run(&jobs, &job("name: a", "i:1", ""), &namespace).await;
    assert_eq!(
        again,
        Err(format!(
            "there is a Job {name} already: replace it, delete it, or let a name be generated (generateName)"
        ))
    );
    let json = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "b-"}, "spec": {"template":
        {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}});
    let mut generated = JobRequest::new(JobSource::Json(json.to_string().into()));
    generated.namespace = Some(namespace.as_str().into());
    let generated = jobs.run(&generated, Mode::Commit).await.expect("created");
    assert!(generated.name.name().starts_with("b-") && generated.name.name().len() == 7);

    for name in [&name, &generated.name] {
        let ended = until_ended(&jobs, name, "", LONG).await.expect("a status");
        assert_eq!(
            (ended.state, ended.succeeded),
            (JobState::Complete, 1),
            "{ended:?}"
        );
        assert!(ended.started.is_some() && ended.completed.is_some());
        assert_eq!(jobs.status(name).await.expect("a status"), ended);
    }
    let listed = jobs.list(&namespace).await.expect("a list").jobs;
    let names: Vec<_> = listed.iter().map(|status| &status.name).collect();
    assert_eq!(names, [&name, &generated.name]);

    let logs = jobs.logs(&name).await.expect("pods");
    assert_eq!(logs.len(), 1);
    assert_eq!(&*logs[0].container, "migrate");
    let text = logs[0].text.as_deref().expect("a log");
    assert!(text.starts_with("listening on :8080\n"), "{text}");
    // The kubelet has no log of a container with this name: the server says so.
    let silent = job("name: c", "i:1", "").replace("name: migrate", "name: silent");
    let silent = run(&jobs, &silent, &namespace).await.expect("created");
    let ended = until_ended(&jobs, &silent, "", LONG).await;
    assert!(ended.is_ok(), "{ended:?}");
    let logs = jobs.logs(&silent).await.expect("pods");
    assert_eq!(&*logs[0].container, "silent");
    assert!(logs[0].text.is_err(), "{:?}", logs[0].text);
    jobs.delete(&silent).await.expect("deleted");

    jobs.delete(&name).await.expect("deleted");
    let gone = until_ended(&jobs, &name, "", LONG).await;
    assert!(gone.is_err() || gone.is_ok_and(|status| status.state == JobState::Complete));
    let none: JobName = format!("{namespace}/none").parse().expect("a name");
    let not_found = || ClusterError::NotFound(format!("Job {none}"));
    assert_eq!(jobs.status(&none).await, Err(not_found()));
    assert_eq!(jobs.delete(&none).await, Err(not_found()));
    assert_eq!(until_ended(&jobs, &none, "", LONG).await, Err(not_found()));
    assert_eq!(jobs.logs(&none).await, Err(not_found()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_says_why() {
    let namespace = rig::namespace("broken").await;
    let jobs = jobs_in(&[&namespace]).await;
    let broken = job("name: a", "acme/broken:1", "\n  activeDeadlineSeconds: 5");
    let name = run(&jobs, &broken, &namespace).await.expect("created");
    let early = until_ended(&jobs, &name, "", Duration::from_millis(1))
        .await
        .expect("a status");
    assert!(!early.state.has_ended(), "{early:?}");
    let ended = until_ended(&jobs, &name, "", LONG).await.expect("a status");
    assert_eq!(ended.state, JobState::Failed);
    let why = ended.sentence();
    assert!(
        why.starts_with("failed: the container migrate of the pod a-")
            && why.contains("ImagePullBackOff")
            && why.contains("(DeadlineExceeded)"),
        "{why}"
    );
}

/// Well before its time, and with the cause.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_start_ends_the_wait() {
    let namespace = rig::namespace("cannot-start").await;
    let jobs = jobs_in(&[&namespace]).await;
    let secret = "\n        envFrom: [{secretRef: {name: db-password}}]";
    for (name, image, code, words) in [
        (
            "missing",
            "acme/missing:1".to_owned(),
            CauseCode::ImageNotFound,
            "cannot pull the image acme/missing:1",
        ),
        (
            "noconfig",
            format!("acme/noconfig:1{secret}"),
            CauseCode::ConfigMissing,
            "the Secret db-password is missing",
        ),
    ] {
        let yaml = job(&format!("name: {name}"), &image, "");
        let name = run(&jobs, &yaml, &namespace).await.expect("created");
        let waited = until_ended(&jobs, &name, "", Duration::from_secs(600));
        let waited = tokio::time::timeout(LONG * 3, waited)
            .await
            .expect("well before its time");
        let status = waited.expect("a status");
        assert!(!status.state.has_ended(), "{status:?}");
        let sentence = status.sentence();
        assert!(
            sentence.starts_with("cannot start: ") && sentence.contains(words),
            "{sentence}"
        );
        assert_eq!(status.cause.as_ref().map(|cause| cause.code), Some(code));
        // The Job is left as it is, and says the same to whoever asks.
        let asked = jobs.status(&name).await.expect("a status");
        assert_eq!(asked.cause, status.cause);
    }
}

/// There is no pod; the controller tells it in events of the Job alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_pods_are_refused_ends_the_wait() {
    let namespace = rig::namespace("pods-refused").await;
    let jobs = jobs_in(&[&namespace]).await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    rig::kubectl(&["label", "namespace", &namespace, label], "").await;
    let name = run(&jobs, &job("name: a", "i:1", ""), &namespace).await;
    let name = name.expect("created");
    let waited = until_ended(&jobs, &name, "", Duration::from_secs(600));
    let waited = tokio::time::timeout(LONG * 3, waited).await;
    let status = waited.expect("well before its time").expect("a status");
    let code = status.cause.as_ref().map(|cause| cause.code);
    assert_eq!(code, Some(CauseCode::PodsRefused));
    let sentence = status.sentence();
    let expected = "cannot start: 1 of 1 pods cannot be created: violates PodSecurity";
    assert!(sentence.starts_with(expected), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_by_its_exit_code_says_so() {
    let namespace = rig::namespace("exits").await;
    let jobs = jobs_in(&[&namespace]).await;
    // Its pod is played by the test: it waits at first.
    let yaml = job("name: a", "acme/missing:1", "");
    let name = run(&jobs, &yaml, &namespace).await.expect("created");
    let waiting = until_ended(&jobs, &name, "", LONG * 3);
    let fails = async {
        let selector = "--selector=batch.kubernetes.io/job-name=a";
        let args = [
            "get",
            "pods",
            "--namespace",
            &namespace,
            selector,
            "--output=name",
        ];
        let mut pod = String::new();
        while pod.is_empty() {
            pod = rig::kubectl(&args, "").await.trim().to_owned();
        }
        let ended = json!({"status": {"phase": "Failed", "containerStatuses": [{"name": "migrate", "image": "acme/missing:1",
            "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}});
        let patch = format!("--patch={ended}");
        let args = [
            "patch",
            &pod,
            "--namespace",
            &namespace,
            "--subresource=status",
            "--type=merge",
            &patch,
        ];
        rig::kubectl(&args, "").await;
    };
    let both = async { tokio::join!(waiting, fails).0 };
    let ended = tokio::time::timeout(LONG * 3, both).await;
    let ended = ended.expect("in time").expect("a status");
    assert_eq!((ended.state, &ended.cause), (JobState::Failed, &None));
    let sentence = ended.sentence();
    assert!(
        sentence.contains("ended with exit code 3 (Error)"),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_replaced_while_its_pods_run() {
    let namespace = rig::namespace("replaced").await;
    let jobs = jobs_in(&[&namespace]).await;
    let running = job("name: a", "acme/broken:1", "");
    let name = run(&jobs, &running, &namespace).await.expect("created");
    // Its pod is there before the other one takes its place.
    let mut pods = 0;
    for _ in 0..100 {
        let status = jobs.status(&name).await.expect("a status");
        pods = status.active;
        if pods > 0 && !status.troubles.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(pods, 1);
    let before = jobs.status(&name).await.expect("a status").uid;
    let mut replacing = request(&job("name: a", "i:2", ""), &namespace);
    replacing.replace = true;
    let dry = jobs
        .run(&replacing, Mode::DryRun)
        .await
        .expect("it is sound");
    assert_eq!(dry.name, name);
    assert_eq!(jobs.status(&name).await.expect("a status").uid, before);
    let created = jobs.run(&replacing, Mode::Commit).await.expect("replaced");
    assert_ne!(created.uid, before);
    // Who waits for the old one is not told of the new one.
    let waited = until_ended(&jobs, &name, &before, LONG).await;
    assert!(matches!(waited, Err(ClusterError::Exists(_))), "{waited:?}");
    let ended = until_ended(&jobs, &name, &created.uid, LONG).await;
    let ended = ended.expect("a status");
    assert_eq!(ended.state, JobState::Complete);
    // What the server refuses leaves the one that is there, be it the definition or only its name that is too long.
    let mut refused = request(&job("name: a", "i:3", "\n  parallelism: -1"), &namespace);
    refused.replace = true;
    for mode in [Mode::DryRun, Mode::Commit] {
        let error = jobs.run(&refused, mode).await.expect_err("refused");
        assert!(matches!(error, ClusterError::Invalid(_)), "{error}");
    }
    assert_eq!(jobs.status(&name).await.expect("a status").uid, created.uid);
    let long = format!("name: {}", "a".repeat(64));
    let mut refused = request(&job(&long, "i:3", ""), &namespace);
    refused.replace = true;
    let error = jobs.run(&refused, Mode::DryRun).await;
    assert!(error.is_err(), "{error:?}");
    // Where there is nothing to replace, it is just created.
    let mut new = request(&job("name: b", "i:2", ""), &namespace);
    new.replace = true;
    assert!(jobs.run(&new, Mode::Commit).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_is_run_with_the_build_that_was_deployed() {
    let namespace = rig::namespace("cron").await;
    let jobs = jobs_in(&[&namespace]).await;
    rig::create(&[rig::object("CronJob", &namespace, "migrate")]).await;
    let name: JobName = format!("{namespace}/migrate").parse().expect("a name");
    let image = Some(rig::image(7).into());
    let request = JobRequest::new(JobSource::CronJob {
        name: name.clone(),
        image,
    });
    let created = jobs.run(&request, Mode::Commit).await.expect("created");
    let args = [
        "get",
        "job",
        created.name.name(),
        "--namespace",
        &namespace,
        "--output=json",
    ];
    let object: Value = serde_json::from_str(&rig::kubectl(&args, "").await).expect("JSON");
    assert_eq!(
        object["spec"]["template"]["spec"]["containers"][0]["image"],
        json!(rig::image(7))
    );
    assert_eq!(
        object["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"],
        json!("manual")
    );
    assert_eq!(
        object["metadata"]["ownerReferences"][0]["name"],
        json!("migrate")
    );
    assert!(created.name.name().starts_with("migrate-"));
    assert_eq!(
        until_ended(&jobs, &created.name, &created.uid, LONG)
            .await
            .expect("a status")
            .state,
        JobState::Complete
    );

    let other = JobRequest::new(JobSource::CronJob {
        name: name.clone(),
        image: Some("other:1".into()),
    });
    let Err(ClusterError::Invalid(words)) = jobs.run(&other, Mode::Commit).await else {
        panic!("it was run");
    };
    assert!(words.contains("uses the repository of other:1"), "{words}");
    let none: JobName = format!("{namespace}/none").parse().expect("a name");
    let none = JobRequest::new(JobSource::CronJob {
        name: none,
        image: None,
    });
    assert_eq!(
        jobs.run(&none, Mode::Commit).await,
        Err(ClusterError::NotFound(format!("CronJob {namespace}/none")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_passed_on() {
    let namespace = rig::namespace("refused").await;
    let jobs = jobs_in(&[&namespace, "nowhere"]).await;
    for (yaml, expected) in [
        (
            job("name: a", "i:1", "").replace("Never", "Always"),
            "spec.template.spec.restartPolicy: Required value",
        ),
        (
            job("name: a", "i:1", "\n  backofLimit: 1"),
            "unknown field \"spec.backofLimit\"",
        ),
        (
            job("name: a", "i:1", "\n  parallelism: -1"),
            "spec.parallelism: Invalid value",
        ),
    ] {
        let Err(error) = run(&jobs, &yaml, &namespace).await else {
            panic!("it was created: {yaml}");
        };
        assert!(error.contains(expected), "{error}");
    }
    let error = run(&jobs, &job("name: a", "i:1", ""), "nowhere")
        .await
        .expect_err("no namespace");
    assert!(
        error.contains("namespaces \"nowhere\" not found"),
        "{error}"
    );
    assert_eq!(jobs.list(&namespace).await, Ok(JobList::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_rules_refuse_never_reaches_the_server() {
    let namespace = rig::namespace("ruled").await;
    let jobs = jobs_in(&[&namespace]).await;
    let sound = job("name: a", "i:1", "");
    for (yaml, into, rule) in [
        (
            sound.clone(),
            "kube-system",
            "no Jobs of the namespace kube-system are allowed",
        ),
        (
            sound.replace(
                "restartPolicy",
                "serviceAccountName: admin\n      restartPolicy",
            ),
            &namespace,
            "the Job runs as the ServiceAccount admin: expected default",
        ),
        (
            sound.replace("restartPolicy", "hostNetwork: yes\n      restartPolicy"),
            &namespace,
            "allowed only in privileged Jobs",
        ),
    ] {
        let Err(ClusterError::JobRefused(refused)) =
            jobs.run(&request(&yaml, into), Mode::Commit).await
        else {
            panic!("it was created: {yaml}");
        };
        let words = refused.to_string();
        assert!(words.contains(rule), "{words}");
    }
    let other: JobName = "kube-system/a".parse().expect("a name");
    let forbidden = |error: &ClusterError| matches!(error, ClusterError::JobRefused(_));
    assert!(jobs.list("kube-system").await.is_err_and(|e| forbidden(&e)));
    assert!(jobs.status(&other).await.is_err_and(|e| forbidden(&e)));
    assert!(jobs.delete(&other).await.is_err_and(|e| forbidden(&e)));
    assert!(jobs.logs(&other).await.is_err_and(|e| forbidden(&e)));
}

/// Scalars of every type, as YAML: what the API server makes of them is what we send.
#[tokio::test(flavor = "multi_thread")]
async fn yaml_means_to_us_what_it_means_to_the_server() {
    let namespace = rig::namespace("meaning").await;
    let jobs = jobs_in(&[&namespace]).await;
    let yaml = job(
        "name: a\n  annotations: {a: \"yes\", b: '0644', c: 2026-11-24, d: !!str 1, e: 1.2.3, f: |\n    x\n  }",
        "i:1",
        "",
    );
    // A block scalar has no place in a flow map, for either of us.
    assert!(run(&jobs, &yaml, &namespace).await.is_err());
    let more = "\n  suspend: on\n  parallelism: 0x2\n  completions: 0o3\n  ttlSecondsAfterFinished: 1_000\n  \
                activeDeadlineSeconds: 0644";
    let yaml = job(
        "name: a\n  annotations: &x {a: \"yes\", b: '0644', c: 2026-11-24, d: !!str 1, e: 1.2.3, f: \"\\u00e9\", g: ~a}\n  \
         labels: {<<: *x, c: plain}",
        "i:1",
        more,
    );
    let yaml = yaml.replace("f: \"\\u00e9\", ", "");
    let yaml = yaml.replace("g: ~a", "g: a-b");
    run(&jobs, &yaml, &namespace).await.expect("created");
    let theirs = yaml.replace("name: a\n", "name: b\n");
    let args = ["create", "--namespace", &namespace, "--filename=-"];
    rig::kubectl(&args, theirs.trim_end_matches("---\n")).await;
    let mut both = Vec::new();
    for name in ["a", "b"] {
        let args = [
            "get",
            "job",
            name,
            "--namespace",
            &namespace,
            "--output=json",
        ];
        let object: Value = serde_json::from_str(&rig::kubectl(&args, "").await).expect("JSON");
        let mut spec = object["spec"].clone();
        spec["selector"] = Value::Null;
        spec["template"]["metadata"] = Value::Null;
        both.push((
            object["metadata"]["annotations"].clone(),
            object["metadata"]["labels"].clone(),
            spec,
        ));
    }
    assert_eq!(both[0], both[1]);
    assert_eq!(both[0].2["activeDeadlineSeconds"], json!(420));
    assert_eq!(both[0].2["suspend"], json!(true));
}
