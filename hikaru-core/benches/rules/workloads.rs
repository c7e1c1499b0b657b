//! Workloads to be judged: one kind for each verdict, and a thousand that match.

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Text, Workload, WorkloadId,
    image::Reading,
    policy::Mark,
    workload::{Place, Setting},
};

const POSTED: &str = "ghcr.io/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// What is posted.
pub(crate) fn request() -> Request {
    let build = Build::parse(POSTED, &TagFormats::default());
    Request::new(build.expect("a build"))
}

/// The label's value of a mark of what is posted, at `1.4.0_7` or so.
fn mark(precedence: &str) -> Text {
    let labels = Reading::new(Some("acme"), Some("web"), Some("main"));
    let hash = Mark::hash_of(&request().build.repository(), &labels);
    format!("{precedence}_{hash:08x}").into()
}

/// What a container of a workload runs, and the rest that a verdict reads.
pub(crate) struct Kind {
    /// The verdict's code; what runs, where a code has several kinds.
    pub(crate) name: &'static str,
    tag: &'static str,
    mark: Option<&'static str>,
    setting: Option<(&'static str, &'static str)>,
}

const fn kind(name: &'static str, tag: &'static str) -> Kind {
    Kind {
        name,
        tag,
        mark: None,
        setting: None,
    }
}

pub(crate) const KINDS: [Kind; 12] = [
    kind("equal", "acme_web_main_1.4.0_7_0123abcd"),
    Kind {
        setting: Some(("upgrade", "manual")),
        ..kind("manual", "acme_web_main_1.4.0_6_0123abcd")
    },
    Kind {
        setting: Some(("constraint", "<1.4")),
        ..kind("constraint", "acme_web_main_1.3.9_6_0123abcd")
    },
    Kind {
        mark: Some("1.4.0_7"),
        ..kind("held", "acme_web_main_1.4.0_6_0123abcd")
    },
    kind("conflicting-build", "acme_web_main_1.4.0_7_abcd0123"),
    kind("other-branch", "acme_web_develop_1.4.0_9_0123abcd"),
    kind("obsolete", "acme_web_main_1.4.0_8_0123abcd"),
    kind("upgrade", "acme_web_main_1.4.0_6_0123abcd"),
    Kind {
        mark: Some("1.4.0_6"),
        setting: Some(("constraint", ">=1.2, <2")),
        ..kind("upgrade-marked", "acme_web_main_1.4.0_6_0123abcd")
    },
    kind("upgrade-other-branch", "acme_web_develop_1.3.0_9_0123abcd"),
    kind("upgrade-version", "1.3.0"),
    kind("upgrade-floating", "latest"),
];

impl Kind {
    /// The code that it is to get.
    pub(crate) fn code(&self) -> &'static str {
        if self.name.starts_with("upgrade") {
            "upgrade"
        } else {
            self.name
        }
    }

    /// A workload with that many containers of this kind.
    pub(crate) fn workload(&self, containers: usize) -> Workload {
        let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
        workload.labels = IdentityLabels::new("acme", "web", "main");
        workload.settings = self
            .setting
            .map(|(key, value)| Setting::new(Place::Label, key, value))
            .into_iter()
            .collect();
        workload.containers = (0..containers)
            .map(|n| {
                let image = format!("ghcr.io/acme/web:{}", self.tag);
                let mut container = Container::new(format!("web-{n}"), image);
                container.mark = self.mark.map(mark);
                container
            })
            .collect();
        workload
    }
}

/// A thousand workloads that are all to be upgraded, with a mark, as they are after the first upgrade; in no order. Each
/// has a sidecar of another repository.
pub(crate) fn thousand() -> Vec<Workload> {
    (0..1_000)
        .map(|n| {
            let name = format!("web-{:03}", n * 7 % 1_000);
            let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
            workload.uid = format!("0b1c2d3e-4f50-6172-8394-a5b6c7d8e{n:03x}").into();
            workload.labels = IdentityLabels::new("acme", "web", "main");
            let mut web = Container::new(
                "web",
                format!("ghcr.io/acme/web:acme_web_main_1.4.0_6_{n:08x}"),
            );
            web.mark = Some(mark("1.4.0_6"));
            let proxy = Container::new("proxy", "registry.example.org:5000/proxy:2.0");
            workload.containers = vec![web, proxy];
            workload
        })
        .collect()
}
