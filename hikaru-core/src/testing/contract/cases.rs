//! The clauses of the contract, one function each. They work on workloads of their own, in the subject's namespace.

mod batches;
mod changes;
mod images;
mod labels;

use std::sync::Arc;

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};

use super::{Subject, is_not_found, threads};
use crate::{
    Text,
    image::{build::Build, tag::TagFormats},
    policy::{Force, Request, SETTINGS, change::Change, plan},
    port::{ClusterError, Mode, Scope, Select},
    upgrade::{report::Outcome, upgrade},
    workload::{
        IdentityLabels, Place, Setting, Workload, WorkloadId,
        container::{Container, PodList},
    },
};

type Check = for<'a> fn(&'a dyn Subject) -> BoxFuture<'a, Result<(), String>>;

macro_rules! clauses {
    ($($name:ident),* $(,)?) => {
        pub(super) const ALL: &[(&str, Check)] =
            &[$((stringify!($name), |subject| Stage::new(subject, stringify!($name)).$name().boxed())),*];
    };
}

clauses![
    finds_what_a_build_is_meant_for,
    finds_an_image_that_cannot_be_read,
    finds_near_misses,
    finds_by_repository_and_namespace,
    finds_by_labels,
    reads_what_is_there_and_nothing_else,
    writes_the_posted_text_to_the_edited_container_alone,
    keeps_the_spelling_of_the_repository,
    writes_several_containers_at_once,
    an_image_volume_is_upgraded_as_a_container_is,
    a_dry_run_tests_and_keeps_nothing,
    a_batch_has_an_answer_for_each_change_in_its_place,
    refuses_a_changed_image,
    refuses_a_changed_mark,
    refuses_a_new_setting,
    refuses_a_removed_setting,
    refuses_a_changed_label,
    refuses_a_deleted_workload,
    refuses_a_recreated_workload,
    refuses_a_renamed_container,
    lets_changes_pass_that_no_verdict_read,
    one_of_two_writes_on_the_same_state_wins,
    posts_in_any_order_end_at_the_highest,
    concurrent_posts_end_at_the_highest,
    posts_on_threads_end_at_the_highest,
    a_rollback_by_a_person_is_held,
    a_floating_tag_gives_way_to_the_same_build_again,
    marks_never_go_down,
    unhold_removes_the_marks_that_it_is_asked_to,
    each_change_is_told,
];

/// How often a view is given a moment to catch up.
const LOOKS: usize = 100;

/// The tag of build `n` of acme_web_main, version 1.4.0.
fn image(n: u64) -> String {
    format!("registry.example/acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

fn build(n: u64) -> Result<Build, String> {
    Build::parse(&image(n), &TagFormats::default()).map_err(|e| e.to_string())
}

fn setting(place: Place, key: &str, value: &str) -> Setting {
    Setting::new(place, key, value)
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}

/// One clause at work: its workload has its own name, so that clauses do not see each other's.
struct Stage<'a> {
    subject: &'a dyn Subject,
    name: String,
}

impl<'a> Stage<'a> {
    fn new(subject: &'a dyn Subject, clause: &str) -> Self {
        let name = clause
            .replace('_', "-")
            .chars()
            .take(50)
            .collect::<String>();
        Self {
            subject,
            name: name.trim_end_matches('-').to_owned(),
        }
    }

    fn id(&self) -> WorkloadId {
        WorkloadId::new(self.subject.namespace(), "Deployment", &*self.name)
    }

    /// A workload of this clause: one container that runs build `n`, one that runs another repository.
    fn workload(&self, n: u64) -> Workload {
        let mut workload = Workload::new(self.id());
        workload.labels = IdentityLabels::new("acme", "web", "main");
        let mut proxy = Container::new("proxy", "registry.example/proxy:2.0");
        proxy.position = 1;
        workload.containers = vec![Container::new("web", image(n)), proxy];
        workload
    }

    async fn put(&self, workload: &Workload) -> Result<Workload, String> {
        self.subject.put(workload).await;
        self.now().await
    }

    /// The clause's workload as the port reads it, once `find` sees it so, too.
    async fn now(&self) -> Result<Workload, String> {
        let mut looks = 1;
        loop {
            match self.look().await {
                Err(_) if looks < LOOKS => looks += 1,
                looked => return looked,
            }
            self.subject.pause().await;
        }
    }

    async fn look(&self) -> Result<Workload, String> {
        let named = self.find(Select::All).await?;
        let named = named.into_iter().find(|w| w.id.name == self.id().name);
        let found = named.ok_or_else(|| format!("{} is not found by Select::All", self.id()))?;
        let read = self.subject.port().read(&found.id).await;
        let read = read.map_err(|e| e.to_string())?;
        let read = read.ok_or_else(|| format!("{} is found but cannot be read", self.id()))?;
        // A rollout goes on while we look, and when it was upgraded and whose it is are no state that verdicts read.
        let plain = |mut workload: Workload| {
            (workload.progress, workload.last_upgrade, workload.owner) = (None, None, None);
            workload.hindrances.clear();
            workload
        };
        let (read, found) = (plain(read), plain(Arc::unwrap_or_clone(found)));
        same("read and found", &read, &found)?;
        Ok(read)
    }

    async fn find(&self, select: Select) -> Result<Vec<Arc<Workload>>, String> {
        let scope = Scope {
            select,
            namespaces: vec![self.subject.namespace().into()],
            workloads: Vec::new(),
        };
        let found = self.subject.port().find(&scope).await;
        found.map(|f| f.workloads).map_err(|e| e.to_string())
    }

    /// The change that a post of build `n` makes of this workload.
    fn change(&self, workload: &Workload, n: u64) -> Result<Change, String> {
        let mut request = Request::new(build(n)?);
        request.force = Force::ALL;
        let entry = plan(request, [workload.clone()]).entries.pop();
        let change = entry.and_then(|entry| entry.change);
        change.ok_or_else(|| format!("no change of {workload:?} to build {n}"))
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<(), ClusterError> {
        self.subject.port().write(change, mode).await.map(drop)
    }

    fn image_of<'w>(workload: &'w Workload, container: &str) -> Option<&'w str> {
        workload.container(container).map(|c| &*c.image)
    }

    async fn runs(&self, n: u64) -> Result<(), String> {
        let now = self.now().await?;
        same("image", Self::image_of(&now, "web"), Some(&*image(n)))
    }

    /// Judges build 2 against build 1, lets a person edit, and expects a refused write and the person's state.
    async fn refuses(
        &self,
        before: impl FnOnce(&mut Workload),
        edit: impl FnOnce(&mut Workload),
    ) -> Result<(), String> {
        let mut workload = self.workload(1);
        before(&mut workload);
        let judged = self.put(&workload).await?;
        let change = self.change(&judged, 2)?;
        edit(&mut workload);
        let edited = self.put(&workload).await?;
        for mode in [Mode::DryRun, Mode::Commit] {
            let written = self.write(&change, mode).await;
            same("write", written, Err(ClusterError::Stale))?;
        }
        same("what the person left", self.now().await?, edited)
    }

    async fn post(&self, n: u64, force: Force) -> Result<Outcome, String> {
        let mut request = Request::new(build(n)?);
        let name = format!("{}/deployment/{}", self.subject.namespace(), self.name);
        request.workloads = vec![name.parse().map_err(|e| format!("{e}"))?];
        request.force = force;
        let report = upgrade(
            self.subject.port(),
            &crate::testing::clock::StillClock::default(),
            request,
            Mode::Commit,
        )
        .await;
        let mut entries = report.map_err(|e| e.to_string())?.entries;
        match (entries.pop(), entries.is_empty()) {
            (Some(reported), true) => Ok(reported.outcome),
            _ => Err("expected one workload in the report".to_owned()),
        }
    }

    async fn finds_what_a_build_is_meant_for(self) -> Result<(), String> {
        let mut init = self.workload(1);
        init.containers[0].list = PodList::InitContainers;
        init.containers[1].position = 0;
        self.put(&init).await?;
        let found = self.find(Select::Build(build(2)?)).await?;
        same(
            "found",
            found.iter().filter(|w| w.id.name == self.id().name).count(),
            1,
        )?;
        let mut other = init.clone();
        other.labels = IdentityLabels::new("acme", "web", "dev");
        self.put(&other).await?;
        let found = self.find(Select::Build(build(2)?)).await?;
        same(
            "other branch",
            found.iter().any(|w| w.id.name == self.id().name),
            false,
        )?;
        let mut unlabeled = init;
        unlabeled.labels = IdentityLabels::default();
        self.put(&unlabeled).await?;
        let found = self.find(Select::Build(build(2)?)).await?;
        same(
            "unlabeled",
            found.iter().any(|w| w.id.name == self.id().name),
            false,
        )
    }

    async fn finds_near_misses(self) -> Result<(), String> {
        let mut misspelt = self.workload(1);
        misspelt.labels = IdentityLabels::new("acme", "web", "mian");
        self.put(&misspelt).await?;
        let near = Scope {
            select: Select::Near(build(2)?),
            namespaces: vec![self.subject.namespace().into()],
            workloads: Vec::new(),
        };
        match self.subject.port().find(&near).await {
            Err(ClusterError::Unsupported(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(found) => same(
                "near",
                found.workloads.iter().any(|w| w.id.name == self.id().name),
                true,
            ),
        }
    }

    async fn finds_by_repository_and_namespace(self) -> Result<(), String> {
        let mut unlabeled = self.workload(1);
        unlabeled.labels = IdentityLabels::default();
        self.put(&unlabeled).await?;
        let repository = |name: &str| Select::Repository(Text::from(name));
        let mine = |found: Vec<Arc<Workload>>| found.iter().any(|w| w.id.name == self.id().name);
        let found = self.find(repository("registry.example/acme/web")).await?;
        same("by its repository", mine(found), true)?;
        let found = self.find(repository("docker.io/acme/web")).await?;
        same("by another registry's", mine(found), false)?;
        let mut elsewhere = Scope::new(Select::All);
        elsewhere.namespaces = vec!["elsewhere".into()];
        let found = self.subject.port().find(&elsewhere).await;
        same(
            "elsewhere",
            mine(found.map_err(|e| e.to_string())?.workloads),
            false,
        )
    }

    async fn reads_what_is_there_and_nothing_else(self) -> Result<(), String> {
        let mut workload = self.workload(1);
        workload.settings = vec![
            setting(Place::Annotation, "upgrade", "auto"),
            setting(Place::Label, "upgrade", "manual"),
        ];
        workload.containers[0].mark = Some("1.4.0_1_00000000".into());
        let mut init = Container::new("migrate", "registry.example/migrate:1.0");
        init.list = PodList::InitContainers;
        workload.containers.push(init);
        let mut now = self.put(&workload).await?;
        let mut absent = now.id.clone();
        absent.name = "absent".into();
        let read = self.subject.port().read(&absent).await;
        same("an absent one", read, Ok(None))?;
        let key = |s: &Setting| (s.place, s.key.clone());
        now.settings.sort_by_key(key);
        workload.settings.sort_by_key(key);
        (workload.id, workload.uid) = (now.id.clone(), now.uid.clone());
        same("what was put", now, workload)
    }

    async fn writes_the_posted_text_to_the_edited_container_alone(self) -> Result<(), String> {
        let before = self.put(&self.workload(1)).await?;
        let change = self.change(&before, 2)?;
        same("write", self.write(&change, Mode::Commit).await, Ok(()))?;
        let mut expected = before;
        expected.containers[0].image = image(2).into();
        if self.subject.abilities().marks {
            expected.containers[0].mark = change.edits()[0].mark().cloned();
        }
        same("after the write", self.now().await?, expected)
    }

    async fn writes_several_containers_at_once(self) -> Result<(), String> {
        let mut workload = self.workload(1);
        let mut init = Container::new("migrate", image(0));
        init.list = PodList::InitContainers;
        workload.containers.push(init);
        let before = self.put(&workload).await?;
        let change = self.change(&before, 2)?;
        same("write", self.write(&change, Mode::Commit).await, Ok(()))?;
        let now = self.now().await?;
        same(
            "init container",
            Self::image_of(&now, "migrate"),
            Some(&*image(2)),
        )?;
        self.runs(2).await
    }

    async fn a_dry_run_tests_and_keeps_nothing(self) -> Result<(), String> {
        let before = self.put(&self.workload(1)).await?;
        let change = self.change(&before, 2)?;
        same("dry run", self.write(&change, Mode::DryRun).await, Ok(()))?;
        same("after the dry run", self.now().await?, before)
    }

    async fn refuses_a_changed_image(self) -> Result<(), String> {
        self.refuses(|_| {}, |w| w.containers[0].image = image(0).into())
            .await
    }

    async fn refuses_a_changed_mark(self) -> Result<(), String> {
        let mark = |text: &str| Some(text.into());
        self.refuses(|_| {}, |w| w.containers[0].mark = mark("1.4.0_9_00000000"))
            .await?;
        self.refuses(
            |w| w.containers[0].mark = mark("1.4.0_9_00000000"),
            |w| w.containers[0].mark = None,
        )
        .await
    }

    async fn refuses_a_new_setting(self) -> Result<(), String> {
        for place in [Place::Label, Place::Annotation] {
            for key in SETTINGS {
                self.refuses(|_| {}, |w| w.settings.push(setting(place, key, "manual")))
                    .await
                    .map_err(|what| format!("{place} {key}: {what}"))?;
            }
        }
        Ok(())
    }

    async fn refuses_a_removed_setting(self) -> Result<(), String> {
        for place in [Place::Label, Place::Annotation] {
            self.refuses(
                |w| w.settings.push(setting(place, "upgrade", "auto")),
                |w| w.settings.clear(),
            )
            .await?;
        }
        Ok(())
    }

    async fn refuses_a_changed_label(self) -> Result<(), String> {
        let branch = |branch: &str| Some(branch.into());
        self.refuses(|_| {}, |w| w.labels.branch = branch("dev"))
            .await?;
        self.refuses(|_| {}, |w| w.labels.owner = None).await
    }

    async fn refuses_a_deleted_workload(self) -> Result<(), String> {
        let judged = self.put(&self.workload(1)).await?;
        let change = self.change(&judged, 2)?;
        self.subject.remove(&judged.id).await;
        match self.write(&change, Mode::Commit).await {
            Err(ClusterError::NotFound(_) | ClusterError::Stale) => Ok(()),
            written => Err(format!("expected it not to be found, found {written:?}")),
        }
    }

    async fn refuses_a_recreated_workload(self) -> Result<(), String> {
        if !self.subject.abilities().uids {
            return Ok(());
        }
        let judged = self.put(&self.workload(1)).await?;
        let change = self.change(&judged, 2)?;
        self.subject.remove(&judged.id).await;
        self.put(&self.workload(1)).await?;
        let written = self.write(&change, Mode::Commit).await;
        same("write", written, Err(ClusterError::Stale))?;
        self.runs(1).await
    }

    async fn refuses_a_renamed_container(self) -> Result<(), String> {
        self.refuses(|_| {}, |w| w.containers[0].name = "api".into())
            .await
    }

    async fn lets_changes_pass_that_no_verdict_read(self) -> Result<(), String> {
        let mut workload = self.workload(1);
        let judged = self.put(&workload).await?;
        let change = self.change(&judged, 2)?;
        workload.containers[1].image = "registry.example/proxy:3.0".into();
        workload
            .settings
            .push(setting(Place::Annotation, "note", "by a person"));
        self.put(&workload).await?;
        same("write", self.write(&change, Mode::Commit).await, Ok(()))?;
        let now = self.now().await?;
        let theirs = Self::image_of(&now, "proxy");
        same(
            "the other container",
            theirs,
            Some("registry.example/proxy:3.0"),
        )?;
        let note = now.setting(Place::Annotation, "note").map(|value| &**value);
        same("the person's annotation", note, Some("by a person"))?;
        self.runs(2).await
    }

    async fn one_of_two_writes_on_the_same_state_wins(self) -> Result<(), String> {
        let judged = self.put(&self.workload(1)).await?;
        let changes = [self.change(&judged, 2)?, self.change(&judged, 3)?];
        let written = join_all(changes.iter().map(|c| self.write(c, Mode::Commit))).await;
        let won = written.iter().filter(|w| w.is_ok()).count();
        let stale = written
            .iter()
            .filter(|w| **w == Err(ClusterError::Stale))
            .count();
        same("won and stale", (won, stale), (1, 1))?;
        self.runs(if written[0].is_ok() { 2 } else { 3 }).await
    }

    async fn posts_in_any_order_end_at_the_highest(self) -> Result<(), String> {
        self.put(&self.workload(1)).await?;
        for n in [3, 2, 9, 10, 9, 4] {
            self.post(n, Force::NONE).await?;
        }
        self.runs(10).await
    }

    async fn concurrent_posts_end_at_the_highest(self) -> Result<(), String> {
        self.put(&self.workload(1)).await?;
        // Those of four posts that lose each round are at most tried as often as there are attempts.
        let posts = [7, 12, 5, 9].map(|n| self.post(n, Force::NONE));
        for outcome in join_all(posts).await {
            let outcome = outcome?;
            if let Some(failure) = outcome.failure() {
                return Err(failure);
            }
        }
        self.runs(12).await
    }

    /// Threads post rising builds at once, many times: a port that looks first and writes later loses some.
    async fn posts_on_threads_end_at_the_highest(self) -> Result<(), String> {
        const ROUNDS: u64 = 40;
        const THREADS: u64 = 4;
        if !self.subject.abilities().threads {
            return Ok(());
        }
        self.put(&self.workload(1)).await?;
        for round in 0..ROUNDS {
            let barrier = threads::Together::new(THREADS);
            let (stage, barrier) = (&self, &barrier);
            let outcomes = threads::each(0..THREADS, |thread| async move {
                barrier.wait();
                stage.post(2 + round * THREADS + thread, Force::NONE).await
            });
            for outcome in outcomes {
                if let Some(failure) = outcome?.failure() {
                    return Err(failure);
                }
            }
            self.runs(1 + (round + 1) * THREADS).await?;
        }
        Ok(())
    }

    async fn unhold_removes_the_marks_that_it_is_asked_to(self) -> Result<(), String> {
        if !self.subject.abilities().marks {
            return Ok(());
        }
        let mut workload = self.workload(1);
        workload.containers[0].mark = Some("1.4.0_9_00000000".into());
        workload.containers[1].mark = Some("2.0_1_00000000".into());
        self.put(&workload).await?;
        let name = |name: &str| {
            let name = format!("{}/deployment/{name}", self.subject.namespace());
            name.parse().map_err(|error| format!("{error}"))
        };
        let port = self.subject.port();
        match port.unhold(&name("absent")?, None).await {
            Err(ClusterError::Unsupported(_)) => return Ok(()),
            removed => is_not_found("of an absent one", removed, "absent")?,
        }
        let own = name(&self.name)?;
        let mark = |container: &str, mark: &str| (Text::from(container), Text::from(mark));
        let removed = port.unhold(&own, Some("web".into())).await;
        same(
            "of one container",
            removed,
            Ok(vec![mark("web", "1.4.0_9_00000000")]),
        )?;
        let now = self.now().await?;
        let marks: Vec<_> = now.containers.iter().map(|c| c.mark.as_deref()).collect();
        same("marks", marks, vec![None, Some("2.0_1_00000000")])?;
        let removed = port.unhold(&own, None).await;
        same("of all", removed, Ok(vec![mark("proxy", "2.0_1_00000000")]))?;
        let removed = port.unhold(&own, None).await;
        same("once more", removed, Ok(Vec::new()))
    }

    async fn a_rollback_by_a_person_is_held(self) -> Result<(), String> {
        if !self.subject.abilities().marks {
            return Ok(());
        }
        self.put(&self.workload(1)).await?;
        self.post(2, Force::NONE).await?;
        let mut rolled_back = self.now().await?;
        rolled_back.containers[0].image = image(1).into();
        self.put(&rolled_back).await?;
        same(
            "the same build",
            self.post(2, Force::NONE).await?,
            Outcome::Unchanged,
        )?;
        self.runs(1).await?;
        same(
            "the next one",
            self.post(3, Force::NONE).await?,
            Outcome::Upgraded,
        )?;
        self.runs(3).await
    }

    async fn marks_never_go_down(self) -> Result<(), String> {
        if !self.subject.abilities().marks {
            return Ok(());
        }
        self.put(&self.workload(1)).await?;
        self.post(5, Force::NONE).await?;
        same(
            "forced back",
            self.post(4, Force::ALL).await?,
            Outcome::Upgraded,
        )?;
        let now = self.now().await?;
        let mark = now.containers[0].mark.as_deref().unwrap_or("no mark");
        same("mark", mark.starts_with("1.4.0_5_"), true)?;
        same(
            "below the mark",
            self.post(5, Force::NONE).await?,
            Outcome::Unchanged,
        )?;
        self.runs(4).await
    }
}
