//! `hikaru job`: runs Jobs, waits for them, tells of them. Where a definition comes from is in `definition`.

mod definition;

use hikaru_core::{
    Mode,
    image::Reference,
    jobs::{JobCreated, JobName, JobRequest, JobSource, JobState, JobStatus, Jobs},
    port::ClusterError,
};
use hikaru_http::wire;

use super::{End, Exit, Failure, json, on, waiting};
use crate::{
    args::{
        Output,
        job::{Course, JobCommand, JobFrom, JobList, JobNamed, JobRun},
    },
    cluster::Settings,
    progress::Row,
    terminal::{self, cell},
};

pub(super) fn run(command: &JobCommand) -> Result<End, Failure> {
    match command {
        // What cannot be read is told before a cluster is looked for.
        JobCommand::Run(args) => {
            let request = of_definition(args)?;
            on(&args.cluster, &Settings::read()?, async |ports| {
                create(request, &args.course, args.output.output, &ports.jobs).await
            })
        }
        JobCommand::From(args) => {
            let request = of_template(args)?;
            on(&args.cluster, &Settings::read()?, async |ports| {
                create(request, &args.course, args.output.output, &ports.jobs).await
            })
        }
        JobCommand::List(args) => on(&args.cluster, &Settings::read()?, async |ports| {
            list(args, &ports.jobs).await
        }),
        JobCommand::Status(args) => on(&args.cluster, &Settings::read()?, async |ports| {
            status(&args.job, args.output.output, &ports.jobs).await
        }),
        JobCommand::Log(args) => on(&args.cluster, &Settings::read()?, async |ports| {
            log(args, &ports.jobs).await
        }),
        JobCommand::Delete(args) => on(&args.cluster, &Settings::read()?, async |ports| {
            delete(args, &ports.jobs).await
        }),
    }
}

fn of_definition(args: &JobRun) -> Result<JobRequest, String> {
    let mut request = JobRequest::new(definition::read(&args.file)?);
    request.namespace = args.namespace.clone();
    request.replace = args.replace;
    Ok(request)
}

fn of_template(args: &JobFrom) -> Result<JobRequest, String> {
    if let Some(image) = &args.image {
        Reference::parse(image).map_err(|error| format!("--image: {error}"))?;
    }
    Ok(JobRequest::new(JobSource::CronJob {
        name: args.cronjob.clone(),
        image: args.image.clone(),
    }))
}

async fn create(
    mut request: JobRequest,
    course: &Course,
    output: Output,
    jobs: &Jobs,
) -> Result<End, Failure> {
    let mode = if course.dry_run {
        Mode::DryRun
    } else {
        Mode::Commit
    };
    request.wait = course.wait.is_some();
    let created = jobs.run(&request, mode).await;
    let created = created.map_err(|error| {
        let why = match &error {
            ClusterError::Lost(_) => format!(
                "{error}: the Job may have been created: look (hikaru job list NAMESPACE) before repeating the command"
            ),
            _ => wire::cluster_error(&error),
        };
        Failure::of_cluster(&error, why)
    })?;
    for warning in &created.warnings {
        terminal::tell(&format!("warning: {}: {warning}", created.name));
    }
    if course.dry_run {
        tell_created(&wire::job::Created::dry(&created), output, "can be created")?;
        terminal::tell("dry run: nothing was created");
        return Ok(End::Done);
    }
    let told = wire::job::Created::new(&created);
    let Some(patience) = course.wait else {
        tell_created(&told, output, "created")?;
        return Ok(End::Done);
    };
    if matches!(output, Output::Table) {
        tell_created(&told, output, "created")?;
    }
    let name = created.name.to_string();
    let rows = vec![Row::new(&name)];
    let ended = waiting::until_signal(rows, patience.get(), async |progress| {
        let mut tell = |words: &str| progress.show(0, row(&name, words));
        jobs.wait(&created, patience.get(), &mut tell).await
    });
    let ended = match ended.await? {
        Ok(ended) => ended,
        Err(interruption) => {
            if matches!(output, Output::Json) {
                tell_created(&told, output, "")?;
            }
            let see = format!("hikaru job status {name}");
            let failure = interruption.failure("the pods of the Job", &see);
            return Ok(End::Failed(failure));
        }
    };
    if matches!(output, Output::Json) {
        let status = ended.as_ref().ok().map(wire::job::Status::from);
        tell_created(&wire::job::Created { status, ..told }, output, "")?;
    }
    came_of(&created, &ended, patience, output)
}

/// What is told of a Job while it is waited for.
fn row(name: &str, words: &str) -> Row {
    Row {
        words: words.to_owned(),
        news: words.to_owned(),
        ..Row::new(name)
    }
}

/// One sentence at the end of waiting.
fn came_of(
    created: &JobCreated,
    ended: &Result<JobStatus, ClusterError>,
    patience: wire::Patience,
    output: Output,
) -> Result<End, Failure> {
    let name = &created.name;
    let failed = |exit, why: String| Ok(End::Failed(Failure::new(exit, why)));
    let status = match ended {
        Ok(status) => status,
        Err(ClusterError::NotFound(_)) => {
            let why = format!("{name} was gone before it was seen to end");
            return failed(Exit::Repeat, why);
        }
        Err(error) => {
            let why = format!("{name} was created, but what became of it is not known: {error}");
            return failed(Exit::Repeat, why);
        }
    };
    for warning in &status.warnings {
        terminal::tell(&format!("warning: {name}: {warning}"));
    }
    let sentence = status.sentence();
    match status.state {
        JobState::Complete => {
            if matches!(output, Output::Table) {
                terminal::print(&format!("{name}: complete"))?;
            }
            Ok(End::Done)
        }
        JobState::Failed => {
            terminal::tell(&format!("its log: hikaru job log {name}"));
            failed(Exit::Person, format!("{name} {sentence}"))
        }
        _ if status.cannot_start() => {
            let left = format!("it is left as it is; to delete it: hikaru job delete {name}");
            terminal::tell(&left);
            failed(Exit::Person, format!("{name} {sentence}"))
        }
        _ => {
            let why = format!("{name} has not ended within {patience} and goes on: {sentence}");
            failed(Exit::Repeat, why)
        }
    }
}

fn tell_created(created: &wire::job::Created, output: Output, how: &str) -> Result<(), String> {
    if matches!(output, Output::Json) {
        return terminal::print(&json(created));
    }
    let file = match &created.file {
        Some(file) => format!(" as {file}"),
        None => String::new(),
    };
    let line = format!("{}/{}: {how}{file}", created.namespace, created.name);
    terminal::print(&terminal::printable(&line))
}

async fn list(args: &JobList, jobs: &Jobs) -> Result<End, Failure> {
    let listed = jobs.list(&args.namespace).await?;
    for fault in &listed.faults {
        terminal::tell(&format!("warning: {}: {}", fault.place, fault.message));
    }
    match args.output.output {
        Output::Json => terminal::print(&json(&wire::job::list(&args.namespace, &listed)))?,
        Output::Table if listed.jobs.is_empty() && listed.faults.is_empty() => {
            terminal::tell(&format!("no Jobs in {}", args.namespace));
        }
        Output::Table => terminal::print(&table(&listed.jobs))?,
    }
    Ok(End::Done)
}

async fn status(name: &JobName, output: Output, jobs: &Jobs) -> Result<End, Failure> {
    let status = jobs.status(name).await?;
    match output {
        Output::Json => terminal::print(&json(&wire::job::Status::from(&status)))?,
        Output::Table => terminal::print(&table(std::slice::from_ref(&status)))?,
    }
    for warning in &status.warnings {
        terminal::tell(&format!("warning: {name}: {warning}"));
    }
    if status.state == JobState::Failed {
        let why = format!("{name} {}", status.sentence());
        return Ok(End::Failed(Failure::new(Exit::Person, why)));
    }
    Ok(End::Done)
}

fn table(jobs: &[JobStatus]) -> String {
    let in_files = jobs.iter().any(|job| job.file.is_some());
    let mut header = vec![
        "JOB",
        "STATE",
        "ACTIVE",
        "SUCCEEDED",
        "FAILED",
        "STARTED",
        "COMPLETED",
        "WHY",
    ];
    if in_files {
        header.insert(1, "FILE");
    }
    let rows = jobs.iter().map(|job| {
        let or_none = |text: &Option<hikaru_core::Text>| cell(text.as_deref().unwrap_or("-"));
        let why = wire::job::Status::from(job).reason;
        let state = job.state.to_string();
        let mut row = vec![
            cell(job.name.to_string()),
            terminal::verdict(&state),
            cell(job.active.to_string()),
            cell(job.succeeded.to_string()),
            cell(job.failed.to_string()),
            or_none(&job.started),
            or_none(&job.completed),
            cell(why.as_deref().unwrap_or("-")),
        ];
        if in_files {
            row.insert(1, or_none(&job.file));
        }
        row
    });
    terminal::table(&header, rows.collect())
}

async fn log(args: &JobNamed, jobs: &Jobs) -> Result<End, Failure> {
    let logs = jobs.logs(&args.job).await;
    let logs = logs?;
    if logs.is_empty() {
        terminal::tell(&format!("{} has no pods, so no log", args.job));
    }
    // Containers that are starting have no log yet.
    let text = wire::job::log(logs).map_err(|why| Failure::new(Exit::Repeat, why))?;
    terminal::print_raw(&text)?;
    Ok(End::Done)
}

async fn delete(args: &JobNamed, jobs: &Jobs) -> Result<End, Failure> {
    let deleted = jobs.delete(&args.job).await;
    deleted.map_err(|error| match error {
        ClusterError::Lost(_) => {
            let why = format!("{error}: {} may be deleted; repeating is safe", args.job);
            Failure::of_cluster(&error, why)
        }
        error => error.into(),
    })?;
    terminal::print(&format!("{}: deleted", args.job))?;
    Ok(End::Done)
}
