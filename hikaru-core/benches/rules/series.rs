//! Inputs that grow, for every parser: reading has to take linear time, and refusing has to, too.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use hikaru_core::{
    TagFormats,
    image::{BuildTag, Reference, TagFormat, Version},
    policy::{Force, Mark},
    workload::{WorkloadName, check_namespace},
};

/// A parser, and its inputs of any length.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// The length of the short input, in bytes or a little more; the long one is ten times as long.
    short: usize,
    make: fn(usize) -> String,
    read: fn(&str) -> bool,
    /// Whether it is read or refused: an input that fails for another reason than the one in its name tests nothing.
    accepted: bool,
}

/// The length of most short inputs.
const SHORT: usize = 2_000;

const fn accepted(name: &'static str, read: fn(&str) -> bool, make: fn(usize) -> String) -> Series {
    Series {
        name,
        short: SHORT,
        make,
        read,
        accepted: true,
    }
}

const fn refused(name: &'static str, read: fn(&str) -> bool, make: fn(usize) -> String) -> Series {
    Series {
        accepted: false,
        ..accepted(name, read, make)
    }
}

/// Of what a reference lets through at most 255 bytes of path and 128 of tag.
const fn bounded(series: Series, short: usize) -> Series {
    Series { short, ..series }
}

fn reference(text: &str) -> bool {
    black_box(Reference::parse(text)).is_ok()
}

fn version(text: &str) -> bool {
    black_box(Version::parse(text)).is_ok()
}

fn tag(text: &str) -> bool {
    black_box(BuildTag::parse(text, &TagFormat::default())).is_ok()
}

fn first_reading(text: &str) -> bool {
    let read = BuildTag::parse(text, &TagFormat::default());
    read.is_ok_and(|tag| black_box(tag.readings().next()).is_some())
}

/// Compares a version with itself: the longest way to an answer.
fn compared(text: &str) -> bool {
    let read = || Version::parse(text).ok();
    black_box(read()).is_some() && black_box(read() == read())
}

fn formats(text: &str) -> bool {
    black_box(text.parse::<TagFormats>()).is_ok()
}

/// A tag by a list of formats that grows.
fn by_formats(list: &str) -> bool {
    let formats = list.parse::<TagFormats>();
    formats.is_ok_and(|formats| black_box(formats.read("acme_web_main_1.x.0_7_0123abcd")).is_ok())
}

fn mark(text: &str) -> bool {
    black_box(Mark::parse(text)).is_ok()
}

fn force(text: &str) -> bool {
    black_box(text.parse::<Force>()).is_ok()
}

fn workload_name(text: &str) -> bool {
    black_box(text.parse::<WorkloadName>()).is_ok()
}

fn namespace(text: &str) -> bool {
    black_box(check_namespace(text)).is_ok()
}

/// A piece, repeated up to a length.
fn repeated(piece: &str, length: usize) -> String {
    piece.repeat(length.div_ceil(piece.len()))
}

pub(crate) const ALL: &[Series] = &[
    bounded(
        accepted("reference/path", reference, |n| repeated("a", n)),
        24,
    ),
    bounded(
        accepted("reference/components", reference, |n| {
            repeated("a/", n) + "b"
        }),
        24,
    ),
    bounded(
        accepted("reference/separators", reference, |n| {
            repeated("a__b-", n) + "b"
        }),
        24,
    ),
    bounded(
        accepted("reference/tag", reference, |n| {
            format!("web:{}", repeated("a_.", n))
        }),
        12,
    ),
    accepted("reference/hyphens", reference, |n| {
        format!("{}/a--b", repeated("a-b.", n) + "c")
    }),
    accepted("reference/port", reference, |n| {
        format!("a:{}/b", repeated("1", n))
    }),
    accepted("reference/IPv6", reference, |n| {
        format!("[{}]/b", repeated("1:", n))
    }),
    refused("reference/path-too-long", reference, |n| {
        repeated("a/", n) + "b"
    }),
    refused("reference/tag-too-long", reference, |n| {
        format!("web:{}", repeated("a_", n))
    }),
    refused("reference/capital-last", reference, |n| {
        repeated("a-", n) + "B"
    }),
    refused("reference/slashes", reference, |n| repeated("/", n)),
    refused("reference/colons", reference, |n| repeated(":", n)),
    refused("reference/ats", reference, |n| repeated("@", n)),
    refused("reference/dots", reference, |n| repeated(".", n) + "/a"),
    refused("reference/brackets", reference, |n| repeated("[", n) + "/a"),
    refused("reference/hyphens-last", reference, |n| {
        format!("a{}", repeated("-", n))
    }),
    refused("reference/hex", reference, |n| {
        format!("a@sha256:{}", repeated("0a", n))
    }),
    refused("reference/algorithm", reference, |n| {
        format!("a@{}:00", repeated("a", n))
    }),
    refused("reference/multi-byte", reference, |n| repeated("é", n)),
    refused("reference/multi-byte-host", reference, |n| {
        repeated("é.", n) + "/a"
    }),
    refused("reference/multi-byte-tag", reference, |n| {
        format!("a:{}", repeated("日", n))
    }),
    refused("reference/multi-byte-last", reference, |n| {
        repeated("a", n) + "é"
    }),
    accepted("version/digits", version, |n| repeated("9", n)),
    accepted("version/zeros", version, |n| {
        format!("1.{}1", repeated("0", n))
    }),
    accepted("version/pre-release", version, |n| {
        format!("1-{}", repeated("a", n))
    }),
    accepted("version/identifiers", version, |n| {
        format!("1-{}b", repeated("a.", n))
    }),
    accepted("version/hyphens", version, |n| {
        format!("1.0-{}", repeated("-", n))
    }),
    refused("version/numbers", version, |n| repeated("1.", n) + "1"),
    refused("version/last", version, |n| {
        format!("1-{}..", repeated("a.", n))
    }),
    refused("version/multi-byte", version, |n| {
        format!("1.{}", repeated("é", n))
    }),
    refused("version/multi-byte-last", version, |n| {
        format!("1-{}é", repeated("a.", n))
    }),
    accepted("version/compared-numbers", compared, |n| repeated("9", n)),
    accepted("version/compared-zeros", compared, |n| {
        format!("1.{}1", repeated("0", n))
    }),
    accepted("version/compared-identifiers", compared, |n| {
        format!("1-{}1", repeated("1.", n))
    }),
    accepted("tag/underscores", tag, |n| repeated("a_", n) + "1_1_none"),
    accepted("tag/owner", tag, |n| {
        format!("{}_b_c_1_1_none", repeated("a", n))
    }),
    accepted("tag/no-cuts", tag, |n| {
        format!("a_b_c{}c_1_1_none", repeated("_", n))
    }),
    accepted("tag/version", tag, |n| {
        format!("a_b_c_{}_1_none", repeated("9", n))
    }),
    accepted("tag/pre-release", tag, |n| {
        format!("a_b_c_1-{}b_1_none", repeated("a.", n))
    }),
    accepted("tag/build", tag, |n| {
        format!("a_b_c_1_{}1_none", repeated("0", n))
    }),
    refused("tag/build-too-large", tag, |n| {
        format!("a_b_c_1_{}_none", repeated("9", n))
    }),
    refused("tag/commit", tag, |n| {
        format!("a_b_c_1_1_{}", repeated("0a", n))
    }),
    refused("tag/few-segments", tag, |n| repeated("a", n)),
    refused("tag/only-underscores", tag, |n| repeated("_", n)),
    refused("tag/no-cut", tag, |n| {
        format!("a{}b_1_1_none", repeated("__", n))
    }),
    refused("tag/multi-byte", tag, |n| repeated("é_", n) + "1_1_none"),
    refused("tag/multi-byte-version", tag, |n| {
        format!("a_b_c_{}_1_none", repeated("é", n))
    }),
    refused("tag/multi-byte-commit", tag, |n| {
        format!("a_b_c_1_1_{}", repeated("日", n))
    }),
    accepted("readings/underscores", first_reading, |n| {
        repeated("a_", n) + "1_1_none"
    }),
    accepted("readings/cuts-last", first_reading, |n| {
        format!("a{}b_c_d_1_1_none", repeated("__", n))
    }),
    accepted("readings/cuts-apart", first_reading, |n| {
        format!("a_b{}c_d_1_1_none", repeated("__", n))
    }),
    accepted("formats/list", formats, |n| {
        repeated("o_r_b_v_c_s,", n) + "v"
    }),
    refused("formats/last", formats, |n| repeated("o_r_b_v_c_s,", n)),
    refused("formats/unknown", formats, |n| repeated("x", n)),
    refused("formats/unknown-last", formats, |n| {
        format!("o_{}", repeated("é", n))
    }),
    refused("formats/read", by_formats, |n| {
        repeated("o_r_b_v_c_s,", n) + "o_r_b_v"
    }),
    accepted("mark/version", mark, |n| {
        format!("{}_1_0123abcd", repeated("1", n))
    }),
    refused("mark/underscores", mark, |n| repeated("_", n)),
    refused("mark/multi-byte", mark, |n| {
        format!("1_1_{}", repeated("é", n))
    }),
    accepted("force/list", force, |n| repeated("held,", n) + "manual"),
    refused("force/unknown", force, |n| repeated("é", n)),
    refused("name/parts", workload_name, |n| repeated("a/", n)),
    refused("name/labels", workload_name, |n| {
        format!("a/a/{}", repeated("a.", n))
    }),
    refused("name/namespace", namespace, |n| repeated("a-", n) + "é"),
];

/// An input that is ten times as long takes at most this many times as long: a linear parser takes ten times, a quadratic
/// one a hundred times.
const MOST: f64 = 30.0;
/// How often both inputs are timed before a parser fails. Only the lowest times count, as a busy machine adds to the others.
const ROUNDS: usize = 50;
/// How often an input is read for one time.
const TURN: u32 = 3;

/// Checks every parser with each of its inputs, and prints what is not linear.
pub(crate) fn are_linear() -> bool {
    let growths = ALL.iter().map(|series| (series.name, series.growth()));
    let failed: Vec<_> = growths.filter(|(_, growth)| *growth > MOST).collect();
    for (name, growth) in &failed {
        println!("{name}: {growth:.0} times the time for ten times the length");
    }
    let count = ALL.len();
    println!(
        "reading takes linear time for {} of {count} kinds of input",
        count - failed.len()
    );
    failed.is_empty()
}

impl Series {
    /// How many times as long the long input takes as the short one.
    fn growth(&self) -> f64 {
        let inputs = [self.short, 10 * self.short].map(self.make);
        let mut lowest = [Duration::MAX; 2];
        for _ in 0..ROUNDS {
            for (input, lowest) in inputs.iter().zip(&mut lowest) {
                *lowest = self.time(input).min(*lowest);
            }
            if lowest[1].as_secs_f64() <= MOST * lowest[0].as_secs_f64() {
                break;
            }
        }
        lowest[1].as_secs_f64() / lowest[0].as_secs_f64()
    }

    fn time(&self, input: &str) -> Duration {
        let start = Instant::now();
        for _ in 0..TURN {
            let is_read = (self.read)(black_box(input));
            assert_eq!(is_read, self.accepted, "{}: {input}", self.name);
        }
        start.elapsed()
    }
}
