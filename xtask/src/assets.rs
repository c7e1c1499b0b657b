//! The programs of a control plane: where they are, and how they are built.
//!
//! `cargo xtask cluster build` calls [`Assets::ensure`]; tests call [`Assets::find`], which never
//! builds. [`crate::cluster`] runs them.

mod cache;
mod go;
mod stages;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use cache::Locations;
pub use go::GoError;

/// One program of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The command-line client.
    Kubectl,
    /// The controllers: Deployments make ReplicaSets, ReplicaSets make pods.
    KubeControllerManager,
    /// Gives pods a node.
    KubeScheduler,
    /// Plays nodes and pods.
    Kwok,
}

impl Program {
    /// All of them, those that build fastest first.
    pub const ALL: [Self; 6] = [
        Self::Kwok,
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubectl,
    ];

    /// The name of its file, also in `KUBEBUILDER_ASSETS`.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubectl => "kubectl",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }

    /// Whether envtest's folder, `KUBEBUILDER_ASSETS`, holds it.
    fn is_in_kubebuilder_assets(self) -> bool {
        matches!(self, Self::Etcd | Self::KubeApiserver | Self::Kubectl)
    }

    fn package(self) -> String {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3".to_owned(),
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok".to_owned(),
            other => format!("k8s.io/kubernetes/cmd/{}", other.file_name()),
        }
    }
}

/// Why there are no programs for a control plane.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssetsError {
    /// Not built yet. Tests never build, because building takes minutes.
    #[error(
        "the test control plane is not built ({} missing in {}): run `cargo xtask cluster build`",
        missing.join(", "), folders.join(" and ")
    )]
    NotBuilt {
        /// File names.
        missing: Vec<String>,
        /// Where they were looked for.
        folders: Vec<String>,
    },
    /// There is no usable Go.
    #[error(transparent)]
    Go(#[from] GoError),
    /// `KUBEBUILDER_ASSETS` names no folder.
    #[error("KUBEBUILDER_ASSETS is {0}, which is no folder")]
    KubebuilderAssets(PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither `HIKARU_CACHE` nor `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no folder for the cache: set HIKARU_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// A `go.mod` in `xtask/cluster` lacks a line.
    #[error("{path}: no line {expected}")]
    GoMod {
        /// The `go.mod`.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
}

impl AssetsError {
    /// Whether a Go toolchain is all that is missing.
    #[must_use]
    pub fn is_missing_go(&self) -> bool {
        matches!(
            self,
            Self::Go(GoError::Missing { .. } | GoError::Old { .. })
        )
    }
}

/// The programs of a control plane and kwok's own stages; all of them exist.
#[derive(Debug, Clone)]
pub struct Assets {
    programs: BTreeMap<Program, PathBuf>,
    stages: PathBuf,
}

impl Assets {
    /// The programs that are there, from `KUBEBUILDER_ASSETS` and the cache. Builds nothing.
    ///
    /// # Errors
    /// [`AssetsError::NotBuilt`] names what is missing.
    pub fn find(locations: &Locations) -> Result<Self, AssetsError> {
        let plan = Plan::new(locations)?;
        if plan.missing.is_empty() {
            return Ok(Self {
                programs: plan.programs,
                stages: plan.stages,
            });
        }
        let mut folders = vec![
            plan.kubernetes.display().to_string(),
            plan.kwok.display().to_string(),
        ];
        folders.extend(
            locations
                .kubebuilder_assets
                .iter()
                .map(|f| f.display().to_string()),
        );
        Err(AssetsError::NotBuilt {
            missing: plan.missing.iter().map(Missing::to_string).collect(),
            folders,
        })
    }

    /// The programs, built where they are missing; `report` is told of each step that takes time.
    ///
    /// Each file is built beside its place and renamed into it, so that a killed build leaves
    /// nothing that counts, and what it had finished is kept. A file lock keeps two builds apart.
    ///
    /// # Errors
    /// When Go is missing or too old, or a build fails.
    pub fn ensure(locations: &Locations, report: &dyn Fn(&str)) -> Result<Self, AssetsError> {
        if let Ok(found) = Self::find(locations) {
            return Ok(found);
        }
        let _lock = cache::Lock::wait(&locations.control_planes(), report)?;
        // The process that held the lock may have built them.
        let plan = Plan::new(locations)?;
        let go = go::Go::find(&locations.kubernetes_module())?;
        for (number, missing) in plan.missing.iter().enumerate() {
            report(&format!(
                "building {missing} ({} of {}, {go})",
                number + 1,
                plan.missing.len()
            ));
            match missing {
                Missing::Program(program) => plan.build(locations, &go, *program)?,
                Missing::Stages => {
                    let text = stages::assemble(&go, &locations.kwok_module())?;
                    cache::publish(&plan.stages, |path| {
                        std::fs::write(path, &text).map_err(|source| file_error(path, source))
                    })?;
                }
            }
        }
        Self::find(locations)
    }

    /// The path of a program.
    #[must_use]
    pub fn program(&self, program: Program) -> &Path {
        // The map has every program; an empty path would be reported as a missing file.
        self.programs
            .get(&program)
            .map_or(Path::new(""), PathBuf::as_path)
    }

    /// The stages of kwok's module.
    #[must_use]
    pub fn stages(&self) -> &Path {
        &self.stages
    }

    /// One line for each program: its name and where it is taken from.
    #[must_use]
    pub fn describe(&self) -> String {
        let lines = self
            .programs
            .iter()
            .map(|(program, path)| format!("{:<24} {}", program.file_name(), path.display()));
        lines
            .chain([format!("{:<24} {}", "kwok's stages", self.stages.display())])
            .collect::<Vec<_>>()
            .join("\n")
    }
}

enum Missing {
    Program(Program),
    Stages,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Program(program) => program.file_name(),
            Self::Stages => cache::STAGES,
        })
    }
}

/// Where everything is or will be.
struct Plan {
    programs: BTreeMap<Program, PathBuf>,
    stages: PathBuf,
    missing: Vec<Missing>,
    kubernetes: PathBuf,
    kwok: PathBuf,
}

impl Plan {
    fn new(locations: &Locations) -> Result<Self, AssetsError> {
        let kubernetes = locations.kubernetes_folder()?;
        let kwok = locations.kwok_folder()?;
        let mut programs = BTreeMap::new();
        let mut missing = Vec::new();
        for program in Program::ALL {
            let given = match &locations.kubebuilder_assets {
                Some(folder) if !folder.is_dir() => {
                    return Err(AssetsError::KubebuilderAssets(folder.clone()));
                }
                Some(folder) if program.is_in_kubebuilder_assets() => {
                    Some(folder.join(program.file_name())).filter(|path| path.is_file())
                }
                _ => None,
            };
            let folder = if program == Program::Kwok {
                &kwok
            } else {
                &kubernetes
            };
            let path = given.unwrap_or_else(|| folder.join(program.file_name()));
            if !path.is_file() {
                missing.push(Missing::Program(program));
            }
            programs.insert(program, path);
        }
        let stages = kwok.join(cache::STAGES);
        if !stages.is_file() {
            missing.push(Missing::Stages);
        }
        Ok(Self {
            programs,
            stages,
            missing,
            kubernetes,
            kwok,
        })
    }

    fn build(
        &self,
        locations: &Locations,
        go: &go::Go,
        program: Program,
    ) -> Result<(), AssetsError> {
        let (module, ldflags) = match program {
            Program::Kwok => (locations.kwok_module(), cache::LDFLAGS.to_owned()),
            _ => (
                locations.kubernetes_module(),
                locations.kubernetes_ldflags()?,
            ),
        };
        let Some(place) = self.programs.get(&program) else {
            return Ok(());
        };
        cache::publish(place, |path| {
            Ok(go.build(&module, &ldflags, &program.package(), path)?)
        })
    }
}

fn file_error(path: &Path, source: std::io::Error) -> AssetsError {
    AssetsError::File {
        path: path.to_owned(),
        source,
    }
}
