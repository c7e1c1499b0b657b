//! What is posted: rungs of each identity's ladder, near a front that rises; some late, some twice, some of another
//! commit, some only tried. All of it comes from the seed.

use super::world::{DEPLOYMENTS, IDENTITIES, Part, image, object};

/// A post to come.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) image: String,
    pub(super) only: Option<String>,
    pub(super) dry_run: bool,
    /// Whether the full report is asked for.
    pub(super) full: bool,
    /// Which replica is asked.
    pub(super) replica: usize,
    /// Whether the caller hangs up before the answer.
    pub(super) hangs_up: bool,
    /// Whether the caller tries again elsewhere when there is no answer.
    pub(super) tries_again: bool,
}

impl Planned {
    /// A plain post of an image, with the full report.
    pub(super) fn plain(image: String, replica: usize) -> Self {
        Self {
            image,
            only: None,
            dry_run: false,
            full: true,
            replica,
            hangs_up: false,
            tries_again: false,
        }
    }

    pub(super) fn path(&self) -> String {
        let mut path = format!("/api/image/{}?dryRun={}", self.image, self.dry_run);
        if self.full {
            path.push_str("&report=full");
        }
        if let Some((namespace, name)) = self.only.as_ref().and_then(|only| only.split_once('/')) {
            path.push_str(&format!("&workload={namespace}/deployment/{name}"));
        }
        path
    }
}

/// So many posts.
pub(super) fn plan(seed: u64, posts: usize) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut planned: Vec<Planned> = Vec::with_capacity(posts);
    for number in 0..posts {
        if number > 20 && random.u8(..100) < 8 {
            // A duplicate, perhaps of long ago.
            let earlier = random.usize(number / 2..number);
            let replica = random.usize(..3);
            planned.push(Planned {
                replica,
                ..planned[earlier].clone()
            });
            continue;
        }
        // Each identity's front rises a rung in about twenty posts of its own.
        let front = 3 + (number / 100) as u64;
        let rung = match random.u8(..100) {
            0..70 => front + random.u64(..4),
            70..90 => front - random.u64(..3),
            _ => random.u64(..=front),
        };
        let part = if random.u8(..3) == 0 {
            Part::Worker
        } else {
            Part::App
        };
        let identity = random.usize(..IDENTITIES.len());
        let commit = u64::from(random.u8(..50) == 0);
        let only = (random.u8(..100) < 6).then(|| object(random.usize(..DEPLOYMENTS)));
        planned.push(Planned {
            image: image(identity, part, rung, commit),
            only,
            dry_run: random.u8(..100) < 5,
            full: random.u8(..100) < 50,
            replica: random.usize(..3),
            hangs_up: random.u8(..100) < 2,
            tries_again: random.bool(),
        });
    }
    planned
}
