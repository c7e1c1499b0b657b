//! What docs/operations.md promises to those whose `kubectl apply` owns the image, too.

use super::scene::{LABELS, Scene, image, workload};

/// The manifest of a Deployment with this image, and without one.
fn files(image: &str) -> [String; 2] {
    let with = workload("Deployment", "web", LABELS, 0, image);
    let without = with.replace(&format!(", image: \"{image}\""), "");
    assert_ne!(with, without);
    [with, without]
}

#[test]
fn a_file_without_the_image_can_be_applied_once_kubectl_has_forgotten_it() {
    let scene = Scene::new("forget");
    let [with, without] = files(&image(1));
    scene.apply(&[with]);
    let server = scene.serve();
    server.post(&scene.post(2)).is(200);

    let apply = |args: &[&str]| {
        let namespace = ["--namespace", &scene.namespace, "--filename=-"];
        let args = [args, &namespace].concat();
        scene.cluster.kubectl_with_input(&args, &without)
    };
    let refused = apply(&["apply"]).expect_err("kubectl deletes the image");
    assert!(
        format!("{refused:?}").contains("image: Required value"),
        "{refused:?}"
    );
    apply(&["apply", "set-last-applied"]).expect("kubectl forgets the image");
    apply(&["apply"]).expect("the image stays");
    assert_eq!(scene.images("deployment", "web"), [image(2)]);

    // Also after the next upgrade.
    server.post(&scene.post(3)).is(200);
    apply(&["apply"]).expect("the image stays");
    assert_eq!(scene.images("deployment", "web"), [image(3)]);
}

#[test]
fn a_server_side_apply_without_the_image_works_once_hikaru_has_written_it() {
    let scene = Scene::new("serverside");
    let [with, without] = files(&image(1));
    let apply = |manifest: &str| {
        let args = [
            "apply",
            "--server-side",
            "--field-manager=ci",
            "--namespace",
            &scene.namespace,
            "--filename=-",
        ];
        scene.cluster.kubectl_with_input(&args, manifest)
    };
    apply(&with).expect("applied");
    apply(&without).expect_err("nobody else owns the image yet");
    let server = scene.serve();
    server.post(&scene.post(2)).is(200);
    let conflict = apply(&with).expect_err("a conflict");
    assert!(format!("{conflict:?}").contains("conflict"), "{conflict:?}");
    apply(&without).expect("hikaru owns the image");
    assert_eq!(scene.images("deployment", "web"), [image(2)]);
}
