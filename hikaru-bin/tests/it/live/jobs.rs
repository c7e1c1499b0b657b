//! `hikaru job` on a real cluster: a Job is run and waited for, with the exit code that a pipeline needs; a service that
//! is stopped while somebody waits.

use std::{fs, time::Duration};

use super::scene::{LABELS, Scene, image, workload};

/// A Job whose pods end well; with an image of `acme/broken` they never start.
fn job(name: &str, image: &str, more: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\nspec:\n  backoffLimit: 0{more}\n  template:\n    spec:\n      \
         restartPolicy: Never\n      containers:\n      - name: web\n        image: {image}\n"
    )
}

/// In this namespace alone; the administrator's own would be another one.
fn hikaru(scene: &Scene, args: &[&str]) -> crate::Ran {
    let mut command = crate::command(args);
    command.arg("--kubeconfig").arg(scene.cluster.kubeconfig());
    command.env("HIKARU_JOB_NAMESPACES", &scene.namespace);
    crate::run(&mut command)
}

#[test]
fn a_pipeline_migrates_and_waits() {
    let scene = Scene::new("migrate");
    let namespace = &scene.namespace;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let good = file("good.yaml", job("good", "i:1", ""));
    let run = ["job", "run", "-f", &good, "--namespace", namespace];
    let ran = hikaru(&scene, &[&run[..], &["--dry-run"]].concat()).exits(0);
    ran.prints(&["good: can be created"])
        .tells(&["dry run: nothing was created"]);
    hikaru(&scene, &["job", "list", namespace])
        .exits(0)
        .tells(&["no Jobs in"]);
    let waited = [&run[..], &["--wait=2m"]].concat();
    hikaru(&scene, &waited).exits(0).prints(&[
        &format!("{namespace}/good: created"),
        &format!("{namespace}/good: complete"),
    ]);
    hikaru(&scene, &waited)
        .exits(3)
        .tells(&["error: there is a Job"]);
    let again = [&waited[..], &["--replace", "--output=json"]].concat();
    let ran = hikaru(&scene, &again).exits(0);
    assert_eq!(ran.json()["status"]["state"], "complete");

    // From a CronJob, with the image that was deployed.
    scene.apply(&[workload("CronJob", "nightly", LABELS, 1, &image(1))]);
    let from = format!("{namespace}/nightly");
    let args = ["job", "from", &from, "--image", &image(2), "--wait"];
    let ran = hikaru(&scene, &args).exits(0).prints(&[": complete"]);
    let name = ran.out.split(':').next().expect("a name").to_owned();
    let short = name.split('/').nth(1).expect("a name");
    let images = "jsonpath={.spec.template.spec.containers[*].image}";
    let images = scene.kubectl(&["get", "job", short, "--output", images]);
    assert!(images.contains(&image(2)) && images.contains("proxy:2.0"));

    // One whose pods never start fails for its deadline, and one without is left to itself.
    let deadline = "\n  activeDeadlineSeconds: 3";
    let bad = file("bad.yaml", job("bad", "acme/broken:1", deadline));
    let run = ["job", "run", "-f", &bad, "--namespace", namespace];
    hikaru(&scene, &[&run[..], &["--wait=2m"]].concat())
        .exits(1)
        .tells(&[
            &format!("error: {namespace}/bad failed: the container web of the pod bad-"),
            "(DeadlineExceeded)",
            &format!("its log: hikaru job log {namespace}/bad"),
        ]);
    hikaru(&scene, &["job", "status", &format!("{namespace}/bad")])
        .exits(1)
        .prints(&["failed", "DeadlineExceeded"]);
    let slow = file("slow.yaml", job("slow", "acme/broken:1", ""));
    let run = ["job", "run", "-f", &slow, "--namespace", namespace];
    hikaru(&scene, &[&run[..], &["--wait=2s"]].concat())
        .exits(4)
        .tells(&["slow has not ended within 2s and goes on: "]);
    hikaru(&scene, &["job", "status", &format!("{namespace}/slow")])
        .exits(0)
        .prints(&["running"]);
    hikaru(&scene, &["job", "list", namespace])
        .exits(0)
        .prints(&["/bad ", "/good ", "/slow ", "JOB"]);
    let slow = format!("{namespace}/slow");
    hikaru(&scene, &["job", "delete", &slow])
        .exits(0)
        .prints(&[": deleted"]);
    hikaru(&scene, &["job", "log", &format!("{namespace}/none")])
        .exits(1)
        .tells(&["error: there is no Job"]);
}

#[test]
fn a_job_that_cannot_start_ends_the_wait_with_its_cause() {
    let scene = Scene::new("cannot-start");
    let namespace = &scene.namespace;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("job.yaml");
    fs::write(&path, job("absent", "acme/missing:1", "")).expect("a file");
    let file = path.to_str().expect("UTF-8");
    let run = [
        "job",
        "run",
        "-f",
        file,
        "--namespace",
        namespace,
        "--wait=20m",
    ];
    let ran = hikaru(&scene, &[&run[..], &["--output=json"]].concat()).exits(1);
    let sentence = "cannot start: 1 of 1 pods cannot pull the image acme/missing:1 of container web: the registry does not have it";
    let status = ran.json()["status"].clone();
    assert_eq!(status["state"], "running");
    assert_eq!(status["cause"]["code"], "ImageNotFound");
    ran.tells(&[
        &format!("{namespace}/absent {sentence}"),
        &format!("it is left as it is; to delete it: hikaru job delete {namespace}/absent"),
    ]);
    hikaru(&scene, &["job", "status", &format!("{namespace}/absent")])
        .exits(0)
        .prints(&["running", sentence]);
}

#[test]
fn a_service_that_is_stopped_does_not_wait_for_jobs() {
    let scene = Scene::new("stopped");
    let namespace = &scene.namespace;
    let kubeconfig = scene.cluster.kubeconfig();
    let kubeconfig = kubeconfig.to_str().expect("UTF-8");
    let variables = [("HIKARU_JOB_NAMESPACES", &**namespace)];
    let server = crate::serve::Server::start(&["--kubeconfig", kubeconfig], &variables).ready();
    let path = format!("/api/job?wait=1h&namespace={namespace}");
    let yaml = "Content-Type: application/yaml\r\n";
    let slow = job("slow", "acme/broken:1", "");
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post_body(&path, yaml, &slow));
        scene.eventually("it runs", || {
            scene
                .kubectl(&["get", "jobs", "--output=name"])
                .contains("slow")
        });
        std::thread::sleep(Duration::from_millis(500));
        server.signal("TERM");
        waiting.join().expect("an answer")
    });
    let answer = answer.is(503);
    assert_eq!(answer.json()["type"], "urn:hikaru:problem:stopping");
    assert!(
        answer
            .head
            .contains(&format!("location: /api/job/{namespace}/slow\r\n")),
        "{}",
        answer.head
    );
    assert!(server.end().success());
    let jobs = scene.kubectl(&["get", "jobs", "--output=name"]);
    assert!(jobs.contains("slow"), "the job goes on");
}
