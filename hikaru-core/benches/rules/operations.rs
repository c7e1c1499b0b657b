//! The operations whose instructions are counted, by name: what each does, and how often it is to be done for a count.

use std::{hint::black_box, mem::forget};

use hikaru_core::{Build, Reference, TagFormats, Version, plan};

use crate::{inputs, workloads};

/// Something that can be done any number of times. What it takes to prepare does not depend on the number.
pub(crate) struct Operation {
    pub(crate) name: String,
    /// Two numbers of repetitions whose difference is to be counted.
    pub(crate) repetitions: [usize; 2],
    run: Box<dyn FnOnce(usize)>,
}

/// The most repetitions of what needs a copy of its input for each.
const COPIES: usize = 4;
/// The most containers of one workload.
const CONTAINERS: usize = 120;

impl Operation {
    fn new<T>(name: String, mut run: impl FnMut() -> T + 'static) -> Self {
        let run = move |n| {
            for _ in 0..n {
                black_box(run());
            }
        };
        Self {
            name,
            // The first repetitions fill the allocator's caches.
            repetitions: [20, 120],
            run: Box::new(run),
        }
    }
}

/// Reads a reference and its tag, as views.
pub(crate) fn view(image: &str, formats: &TagFormats) -> bool {
    let reference = Reference::parse(black_box(image));
    let tag = reference.as_ref().ok().and_then(Reference::tag);
    black_box(tag.map(|tag| formats.read(tag))).is_some_and(|read| read.is_ok())
}

/// Judges the containers of one workload: how often is how many containers it has.
fn verdict(kind: &'static workloads::Kind) -> Operation {
    let run = move |n| {
        let mut workload = kind.workload(CONTAINERS);
        forget(workload.containers.split_off(n));
        forget(black_box(plan(workloads::request(), [workload])));
    };
    Operation {
        name: format!("verdict/{}", kind.name),
        repetitions: [20, CONTAINERS],
        run: Box::new(run),
    }
}

/// Plans for a thousand workloads. The plan is not dropped.
fn thousand() -> Operation {
    let run = move |n| {
        let copies: Vec<_> = (0..COPIES).map(|_| workloads::thousand()).collect();
        let mut copies = copies.into_iter();
        for workloads in copies.by_ref().take(n) {
            forget(black_box(plan(workloads::request(), workloads)));
        }
        forget(copies);
    };
    Operation {
        name: "plan/1000".to_owned(),
        repetitions: [2, COPIES],
        run: Box::new(run),
    }
}

pub(crate) fn all() -> Vec<Operation> {
    let mut all = Vec::new();
    for (name, image) in inputs::images() {
        let owned = image.clone();
        let formats = TagFormats::default();
        let read = move || view(&image, &formats);
        all.push(Operation::new(format!("read/{name}"), read));
        let formats = TagFormats::default();
        let build = move || Build::parse(black_box(&owned), &formats);
        all.push(Operation::new(format!("build/{name}"), build));
    }
    for (name, text) in inputs::versions() {
        let read = move || Version::parse(black_box(&text)).is_ok();
        all.push(Operation::new(format!("version/{name}"), read));
    }
    all.extend(workloads::KINDS.iter().map(verdict));
    all.push(thousand());
    all
}

/// Does one of them, by its name. `None`: there is none of that name.
pub(crate) fn count(name: &str, n: usize) -> Option<()> {
    let operation = all().into_iter().find(|o| o.name == name)?;
    (operation.run)(n);
    Some(())
}
