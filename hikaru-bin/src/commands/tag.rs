//! `hikaru tag`: what an image's tag tells, or where and why it cannot be read.

use hikaru_http::wire;

use super::{End, Exit, Failure, json};
use crate::{
    args::{Output, Tag},
    terminal,
};

pub(super) fn run(args: &Tag) -> Result<End, Failure> {
    let image = wire::Image::read(&args.image, &super::formats()?);
    let image = image.map_err(|error| error.to_string())?;
    match args.output.output {
        Output::Json => terminal::print(&json(&image))?,
        Output::Table => table(&image)?,
    }
    let reason = image.reason.as_deref().unwrap_or_default();
    match &image.build {
        None => Ok(End::Failed(Failure::new(Exit::Person, reason))),
        Some(_) => {
            if let Some(reason) = &image.reason {
                terminal::tell(reason);
            }
            Ok(End::Done)
        }
    }
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
        rows.extend(build.build.as_deref().map(|build| ["build", build]));
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
    terminal::print(&lines.join("\n"))
}
