//! Jobs in a folder of manifests: written as new files from what was judged, never over others and never elsewhere; found again.

use hikaru_core::{
    Mode,
    jobs::{JobList, JobName, JobPolicy, JobRequest, JobSource, JobState},
    port::ClusterError,
};

use super::scene::Scene;

const JOB: &str = "# a migration
apiVersion: batch/v1
kind: Job
metadata: {name: migrate} # its name
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: 'i:1', args: [\"yes\", 0x10]}]}
";

const CRON: &str = "apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: '@daily'
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: c, image: 'acme/web:old', env: [{name: A, value: \"on\"}, {name: B, value: '0644'}]}]
";

fn request(text: &str) -> JobRequest {
    JobRequest::new(JobSource::Yaml(text.into()))
}

async fn run(scene: &Scene, request: &JobRequest) -> Result<String, String> {
    let ran = scene.jobs().run(request, Mode::Commit).await;
    let file = ran.map(|created| created.file.unwrap_or_default().to_string());
    file.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_job_is_written_as_it_was_judged() {
    let scene = Scene::new();
    let dry = scene
        .jobs()
        .run(&request(JOB), Mode::DryRun)
        .await
        .expect("it is sound");
    assert_eq!(dry.name.to_string(), "default/migrate");
    assert_eq!(scene.names(""), Vec::<String>::new());
    assert_eq!(
        run(&scene, &request(JOB)).await,
        Ok("migrate.job.yaml".to_owned())
    );
    let written = scene.text("migrate.job.yaml");
    for part in [
        "kind: Job\n",
        "namespace: default\n",
        "- \"yes\"\n",
        "- 16\n",
    ] {
        assert!(written.contains(part), "{part} in {written}");
    }
    assert!(!written.contains('#'), "{written}");
    assert_eq!(scene.names(""), ["migrate.job.yaml"]);

    let again = run(&scene, &request(JOB)).await.expect_err("it is there");
    assert!(
        again.contains("there is a Job default/migrate already, in migrate.job.yaml#1"),
        "{again}"
    );
    let jobs = scene.jobs();
    let listed = jobs.list("default").await.expect("a list").jobs;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].file.as_deref(), Some("migrate.job.yaml#1"));
    assert_eq!(listed[0].state, JobState::Pending);
    assert_eq!(jobs.status(&listed[0].name).await, Ok(listed[0].clone()));
    assert_eq!(jobs.list("shop").await, Ok(JobList::default()));
    let Err(ClusterError::Invalid(words)) = jobs.delete(&listed[0].name).await else {
        panic!("deleted");
    };
    assert!(words.contains("migrate.job.yaml#1"), "{words}");
    let none: JobName = "default/none".parse().expect("a name");
    let not_found = || ClusterError::NotFound(format!("Job {none}"));
    assert_eq!(jobs.status(&none).await, Err(not_found()));
    assert_eq!(jobs.delete(&none).await, Err(not_found()));
}

#[tokio::test]
async fn what_has_to_be_added_is_added() {
    let scene = Scene::with(&[("cron.yaml", CRON)]);
    let mut into = request(JOB);
    into.namespace = Some("shop".into());
    let file = "shop_migrate.job.yaml";
    assert_eq!(run(&scene, &into).await, Ok(file.to_owned()));
    let text = scene.text(file);
    assert!(
        text.contains("namespace: shop\n")
            && text.contains("- \"yes\"\n")
            && text.contains("- 16\n"),
        "{text}"
    );

    let generated = run(
        &scene,
        &request(&JOB.replace("name: migrate", "generateName: g-")),
    )
    .await
    .expect("written");
    assert!(
        generated.starts_with("g-") && generated.ends_with(".job.yaml") && generated.len() == 16,
        "{generated}"
    );

    let name: JobName = "shop/nightly".parse().expect("a name");
    let image = Some("acme/web:new".into());
    let from = JobRequest::new(JobSource::CronJob { name, image });
    let file = run(&scene, &from).await.expect("written");
    let text = scene.text(&file);
    assert!(file.starts_with("shop_nightly-"), "{file}");
    for part in [
        "image: acme/web:new\n",
        "cronjob.kubernetes.io/instantiate: manual\n",
        "namespace: shop\n",
        "value: \"on\"\n",
        "\"0644\"\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        !text.contains("ownerReferences") && !text.contains("generateName"),
        "{text}"
    );
    assert_eq!(
        scene.jobs().list("shop").await.expect("a list").jobs.len(),
        2
    );

    let name: JobName = "shop/none".parse().expect("a name");
    let none = JobRequest::new(JobSource::CronJob { name, image: None });
    assert_eq!(
        run(&scene, &none).await,
        Err("there is no CronJob shop/none".to_owned())
    );
}

#[tokio::test]
async fn jobs_of_one_name_in_two_namespaces_have_their_own_files() {
    let scene = Scene::new();
    for (namespace, file) in [
        (None, "migrate.job.yaml"),
        (Some("shop"), "shop_migrate.job.yaml"),
        (Some("shop-b"), "shop-b_migrate.job.yaml"),
    ] {
        let mut request = request(JOB);
        request.namespace = namespace.map(Into::into);
        assert_eq!(run(&scene, &request).await, Ok(file.to_owned()));
    }
}

#[tokio::test]
async fn a_job_that_is_to_be_waited_for_is_refused_before_it_is_written() {
    let scene = Scene::new();
    let mut waiting = request(&JOB.replace("name: migrate", "generateName: g-"));
    waiting.wait = true;
    for mode in [Mode::DryRun, Mode::Commit] {
        let refused = scene.jobs().run(&waiting, mode).await;
        assert_eq!(refused, Err(ClusterError::Unsupported("waiting for jobs")));
    }
    assert_eq!(scene.names(""), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_is_not_replaced_and_the_answer_says_where_it_stands() {
    let scene = Scene::new();
    let mut replacing = request(JOB);
    replacing.replace = true;
    let file = run(&scene, &replacing)
        .await
        .expect("nothing is in its way");
    let before = scene.text(&file);
    let other = JOB.replace("i:1", "i:2");
    replacing.source = JobSource::Yaml(other.into());
    assert_eq!(
        run(&scene, &replacing).await,
        Err("refused: in a folder of manifests a Job is replaced by hand: default/migrate stands in migrate.job.yaml#1".to_owned())
    );
    assert_eq!(scene.text(&file), before);
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_leaves_the_folder() {
    let scene = Scene::with(&[("migrate.job.yaml", "mine: yes\n")]);
    scene.link("a.job.yaml", "../outside");
    for (text, expected) in [
        (
            JOB.to_owned(),
            "there is a file migrate.job.yaml already: hikaru overwrites none",
        ),
        (
            JOB.replace("name: migrate", "name: a"),
            "there is a file a.job.yaml already",
        ),
        (
            JOB.replace("name: migrate", "name: ../x"),
            "metadata.name: expected a name",
        ),
        (
            JOB.replace("name: migrate", "name: /etc/x"),
            "metadata.name: expected a name",
        ),
        (
            JOB.replace("name: migrate", "generateName: ../x"),
            "metadata.generateName: expected a name",
        ),
        (
            JOB.replace("name: migrate", &format!("name: {}", "a".repeat(64))),
            "expected at most 63 bytes",
        ),
        (
            JOB.replace("Never", "Always"),
            "restartPolicy: expected OnFailure or Never, found Always",
        ),
        (
            JOB.replace("restartPolicy: Never, ", ""),
            "restartPolicy: expected OnFailure or Never, found nothing",
        ),
        (
            JOB.replace("restartPolicy", "hostPID: true, restartPolicy"),
            "(rule host-namespaces)",
        ),
    ] {
        let mut replacing = request(&text);
        replacing.replace = true;
        let error = run(&scene, &replacing).await.expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(scene.names(""), ["a.job.yaml", "migrate.job.yaml"]);
    assert_eq!(scene.text("migrate.job.yaml"), "mine: yes\n");
    assert_eq!(scene.names(".."), ["folder"]);
    // Two at once: one of them is first.
    let b = request(&JOB.replace("name: migrate", "name: b"));
    let both = [run(&scene, &b), run(&scene, &b)];
    let written = futures_util::future::join_all(both).await;
    assert_eq!(
        written.iter().filter(|ran| ran.is_ok()).count(),
        1,
        "{written:?}"
    );
}

#[tokio::test]
async fn who_may_run_what_holds_in_a_folder_too() {
    let scene = Scene::new();
    let mut policy = JobPolicy::default();
    policy.namespaces = Some(vec!["shop".into()]);
    let jobs = scene.jobs_by(policy);
    let refused = jobs.run(&request(JOB), Mode::Commit).await;
    let Err(ClusterError::JobRefused(rule)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        rule.to_string(),
        "no Jobs of the namespace default are allowed: expected shop"
    );
    // Looked at it is the same.
    let elsewhere: JobName = "default/migrate".parse().expect("a name");
    for refused in [
        jobs.list("default").await.map(drop),
        jobs.status(&elsewhere).await.map(drop),
        jobs.delete(&elsewhere).await,
    ] {
        assert_eq!(refused, Err(ClusterError::JobRefused(rule.clone())));
    }
    assert_eq!(jobs.list("shop").await, Ok(JobList::default()));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_beside_the_jobs() {
    let scene = Scene::with(&[
        ("a.yaml", JOB),
        ("b.yaml", "kind: Job\nmetadata: [\n"),
        (
            "c.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata: {name: ../x}\n",
        ),
    ]);
    let list = scene.jobs().list("default").await.expect("a list");
    assert_eq!(list.jobs.len(), 1);
    let places: Vec<_> = list.faults.iter().map(|fault| &*fault.place).collect();
    assert_eq!(places, ["b.yaml:2:11", "c.yaml#1"], "{:?}", list.faults);
}
