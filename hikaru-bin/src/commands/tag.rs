//! `hikaru tag`: what an image's tag tells, or where and why it cannot be read.

use hikaru_http::wire;

use super::{End, json};
use crate::{
    args::{Output, Tag},
    terminal,
};

pub(super) fn run(args: &Tag) -> Result<End, String> {
    let read = wire::Image::read(&args.image, &super::formats()?);
    match (args.output.output, &read) {
        (Output::Json, Ok(image)) => terminal::print(&json(image))?,
        (Output::Json, Err(error)) => terminal::print(&json(error))?,
        (Output::Table, Ok(image)) => table(image)?,
        (Output::Table, Err(error)) => terminal::tell(&format!("error: {error}")),
    }
    Ok(End::done_if(read.is_ok_and(|image| image.build.is_some())))
}

fn table(image: &wire::Image) -> Result<(), String> {
    let mut rows = vec![
        ["registry", &image.registry],
        ["repository", &image.repository],
        ["tag", image.tag.as_deref().unwrap_or("none")],
    ];
    if let Some(digest) = &image.digest {
        rows.push(["digest", digest]);
    }
    if let Some(build) = &image.build {
        rows.push(["version", &build.version]);
        rows.push(["build", &build.build]);
        rows.push(["commit", build.commit.as_deref().unwrap_or("none")]);
    }
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[name, value]| format!("{name:<11}{}", terminal::printable(value)))
        .collect();
    let readings = image.build.iter().flat_map(|build| &build.readings);
    for (i, reading) in readings.enumerate() {
        let name = if i == 0 { "readings" } else { "" };
        let parts = [
            ("owner", &reading.owner),
            ("repo", &reading.repo),
            ("branch", &reading.branch),
        ];
        let parts =
            parts.map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("*")));
        lines.push(format!("{name:<11}{}", parts.join(" ")));
    }
    terminal::print(&lines.join("\n"))?;
    if let Some(reason) = &image.reason {
        terminal::tell(reason);
    }
    Ok(())
}
