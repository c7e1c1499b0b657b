//! What an image's text means for a verdict: equal images, images that cannot be read, dates, versions alone, spellings.

use super::*;

#[test]
fn equal() {
    runs(POSTED).gives("equal: is set to this image");
    runs("docker.io/acme/web:acme_web_main_1.4.0_7_0123abcd").gives("equal: is set to this image");
    runs("acme/web:acme_web_main_1.4.0_7_0123abcdef").gives("equal: is set to this build");
    let pinned = |digit: &str| format!("{POSTED}@sha256:{}", digit.repeat(64));
    runs(&pinned("a")).gives("equal: is set to this build");
    runs(&pinned("a")).post(&pinned("a"), "equal: is set to this image");
    let not_pinned = "equal: is set to this build, but not pinned: its image names no digest, and the posted one does";
    runs(POSTED).post(&pinned("b"), not_pinned);
    runs("acme/web:acme_web_main_1.4.0_7_0123abcdef").post(&pinned("b"), not_pinned);
    runs("acme/web:acme_web.git_main_1.4_007_0123abcd").gives("equal: is set to this build");
    // Before everything else: an opt-out or a bad setting does not matter for what runs already.
    runs(POSTED)
        .annotation("upgrade", "never")
        .mark("1.4.0_9")
        .gives("equal: is set to this image");
}

#[test]
fn unreadable_image() {
    let begins = |image: &str| {
        format!(
            "unreadable-image: its image \"{image}\" begins with the posted repository, but is no image reference: "
        )
    };
    runs("docker.io/acme/web:${TAG}").gives(&format!(
        "{}expected a letter, digit or `_` first in the tag, found `${{TAG}}` at byte 19",
        begins("docker.io/acme/web:${TAG}")
    ));
    // A manifest forges no line of output.
    runs("acme/web:1\nerror: all 12 workloads were deleted").gives(&format!(
        "{}expected letters, digits, `_`, `.` or `-` in the tag, found `\\nerror: all 12 workloads were deleted` at byte 10",
        begins(r"acme/web:1\nerror: all 12 workloads were deleted")
    ));
    // It cannot be forced, and stands before the settings.
    runs("acme/web:${TAG}")
        .annotation("upgrade", "manual")
        .annotation("constraint", "nothing")
        .force("true")
        .gives(&format!(
            "{}expected a letter, digit or `_` first in the tag, found `${{TAG}}` at byte 9",
            begins("acme/web:${TAG}")
        ));
}

#[test]
fn versions_alone() {
    let on = |image: &str| runs(image).formats("v");
    on("acme/web:1.4.2").post(
        "acme/web:1.4.3",
        "upgrade: 1.4.3 follows 1.4.2 [1.4.3_0_d5ecc80e]",
    );
    on("acme/web:1.4.4").post(
        "acme/web:1.4.3",
        "obsolete: runs 1.4.4, higher than the posted 1.4.3",
    );
    on("acme/web:1.9.0_5").post(
        "acme/web:1.4.0",
        "obsolete: runs 1.9.0_5, higher than the posted 1.4.0",
    );
    on("acme/web:1.4.2").mark("1.4.3_0").post(
        "acme/web:1.4.3",
        "held: runs 1.4.2, lower than 1.4.3 that was deployed before: rolled back, or re-applied by a person or a tool. The \
         next build higher than 1.4.3 goes out; to let lower ones out again: kubectl \
         label --namespace shop deployment web high-water.hikaru.dev/web-",
    );
    // A number alone is a name.
    on("acme/web:20260115").post(
        "acme/web:1.4.3",
        "upgrade: 20260115 carries no version [1.4.3_0_d5ecc80e]",
    );
    let v: TagFormats = "v".parse().expect("a format");
    let error = Build::parse("acme/web:20260115", &v).expect_err("it is no version");
    assert_eq!(
        error.to_string(),
        "version: expected a version with a dot or a leading `v`, as the tag says nothing else, found `20260115` (the \
         segment begins at byte 0 of the tag)"
    );
}

#[test]
fn a_date_with_dashes_is_refused_where_it_is_posted() {
    let error = Build::parse(
        "ghcr.io/acme/shop:acme_shop_main_2026-10-03_2_9f3c2ab2",
        &TagFormats::default(),
    );
    assert_eq!(
        error.expect_err("it is no version").to_string(),
        "version: expected a version, found `2026-10-03`: a date is written with dots (2026.10.3) (the segment begins at \
         byte 15 of the tag)"
    );
}

#[test]
fn the_repository_stays_as_it_is_spelled() {
    for (image, written) in [
        (
            "docker.io/acme/web:1.0",
            "docker.io/acme/web:acme_web_main_1.4.0_7_0123abcd",
        ),
        (
            "index.docker.io/acme/web",
            "index.docker.io/acme/web:acme_web_main_1.4.0_7_0123abcd",
        ),
        ("acme/web:latest", POSTED),
    ] {
        let build = Build::parse(POSTED, &TagFormats::default()).expect("a build");
        let plan = plan(Request::new(build.clone()), [runs(image).workload]);
        let entry = &plan.entries[0];
        let change = entry.change.as_ref().expect("a change");
        assert_eq!(**change.edits()[0].to(), *written);
        assert_eq!(**change.posted(), *POSTED);
        assert_eq!(*entry.image_for(&build, &entry.containers[0]), *written);
    }
}
