//! Any order of posts, on any replica: each container ends at the highest build, and no write of ours ever went down.

use std::{sync::mpsc, thread};

use super::scene::{LABELS, Scene, image, workload};

#[test]
fn sixty_posts_in_random_order_on_two_replicas_end_at_the_highest() {
    let scene = Scene::new("sixty");
    let names = ["web-0", "web-1", "web-2"];
    scene.apply(&names.map(|name| workload("Deployment", name, LABELS, 0, &image(0))));
    let servers = [scene.serve(), scene.serve()];
    // A fixed shuffle of 1 to 60, each once (37 is prime to 61), all at once.
    let builds: Vec<u64> = (1..=60).map(|i| i * 37 % 61).collect();
    let (sender, answers) = mpsc::channel();
    thread::scope(|scope| {
        for (i, build) in builds.iter().enumerate() {
            let (sender, scene, servers) = (sender.clone(), &scene, &servers);
            scope.spawn(move || {
                let answer = servers[i % 2].post(&scene.post(*build));
                sender
                    .send((*build, answer.status, answer.body))
                    .expect("sent");
            });
        }
    });
    drop(sender);
    for (build, status, body) in answers {
        assert_eq!(status, 200, "build {build}: {body}");
    }
    for name in names {
        assert_eq!(scene.images("deployment", name), [image(60)]);
    }
    let highest = scene.images_only_rise();
    assert_eq!(highest.len(), names.len());
}
