//! The cache folder: the names of its folders, how a file appears there only when it is complete, and the lock.
//!
//! Nothing is built here.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::{AssetsError, file_error};

/// The file with the stages of kwok's module.
pub(super) const STAGES: &str = "stages.yaml";

/// Linker flags of every program: no symbol table, no debugging information (450 MB, not 700).
pub(super) const LDFLAGS: &str = "-s -w";

/// Raise it when programs or stages are made in another way than before.
const RECIPE: &str = "1";

/// The folders that the assets come from and go to.
#[derive(Debug, Clone)]
pub struct Locations {
    /// The folder of the crate `xtask`, which holds the Go modules.
    pub xtask: PathBuf,
    /// hikaru's folder in the user's cache.
    pub cache: PathBuf,
    /// `KUBEBUILDER_ASSETS`: a folder of programs that the user has already.
    pub kubebuilder_assets: Option<PathBuf>,
}

impl Locations {
    /// Read from the environment: `HIKARU_CACHE`, else `XDG_CACHE_HOME`, else `~/.cache`; `KUBEBUILDER_ASSETS`.
    ///
    /// # Errors
    /// [`AssetsError::NoCache`] when none of the three is set.
    pub fn from_environment() -> Result<Self, AssetsError> {
        Self::new(|name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        })
    }

    fn new(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, AssetsError> {
        let root = variable("HIKARU_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME"))
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .ok_or(AssetsError::NoCache)?;
        let absolute =
            |path: PathBuf| std::path::absolute(&path).map_err(|source| file_error(&path, source));
        let cache = absolute(root)?.join("hikaru");
        // `eval "$(cargo xtask cluster env)"` sets it to a folder of this cache. That is no choice of the user, and the
        // folder would still be used after the versions have changed.
        let kubebuilder_assets = variable("KUBEBUILDER_ASSETS").map(absolute).transpose()?;
        let kubebuilder_assets = kubebuilder_assets.filter(|folder| !folder.starts_with(&cache));
        Ok(Self {
            xtask: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            cache,
            kubebuilder_assets,
        })
    }

    /// The variables that make another process find the same folders, whatever its working directory.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, &Path)> {
        let cache = self.cache.parent().unwrap_or(&self.cache);
        let mut variables = vec![("HIKARU_CACHE", cache)];
        variables.extend(
            self.kubebuilder_assets
                .as_deref()
                .map(|folder| ("KUBEBUILDER_ASSETS", folder)),
        );
        variables
    }

    /// The folder of all control planes.
    #[must_use]
    pub fn control_planes(&self) -> PathBuf {
        self.cache.join("control-plane")
    }

    pub(super) fn kubernetes_module(&self) -> PathBuf {
        self.xtask.join("cluster/k8s")
    }

    pub(super) fn kwok_module(&self) -> PathBuf {
        self.xtask.join("cluster/kwok")
    }

    /// The folder of etcd and Kubernetes. Its name has all that decides what the programs do: `go.mod`
    /// and `go.sum` pin every source and, by the `go` line, the language; flags and platform are in it
    /// too. Go's own version is left out on purpose: it decides how fast the same sources run, a new
    /// patch release of it would cost everybody seven minutes, and a machine that is given a warm
    /// cache needs no Go at all.
    pub(super) fn kubernetes_folder(&self) -> Result<PathBuf, AssetsError> {
        let version = self.kubernetes_version()?;
        self.keyed(
            "k8s",
            &version,
            &self.kubernetes_module(),
            &self.kubernetes_ldflags()?,
        )
    }

    /// The folder of kwok and its stages, named as the other.
    pub(super) fn kwok_folder(&self) -> Result<PathBuf, AssetsError> {
        let version = required_version(&self.kwok_module(), "sigs.k8s.io/kwok")?;
        self.keyed("kwok", &version, &self.kwok_module(), LDFLAGS)
    }

    fn kubernetes_version(&self) -> Result<String, AssetsError> {
        required_version(&self.kubernetes_module(), "k8s.io/kubernetes")
    }

    /// Without the version `kubectl version` fails, and the API server calls itself v0.0.0.
    pub(super) fn kubernetes_ldflags(&self) -> Result<String, AssetsError> {
        let version = self.kubernetes_version()?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let major = numbers.next().unwrap_or_default();
        let minor = numbers.next().unwrap_or_default();
        let package = "k8s.io/component-base/version";
        Ok(format!(
            "{LDFLAGS} -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        ))
    }

    fn keyed(
        &self,
        name: &str,
        version: &str,
        module: &Path,
        ldflags: &str,
    ) -> Result<PathBuf, AssetsError> {
        let mut hash = Fnv::new();
        for text in [
            RECIPE,
            ldflags,
            std::env::consts::OS,
            std::env::consts::ARCH,
        ] {
            hash.part(text.as_bytes());
        }
        for path in [module.join("go.mod"), module.join("go.sum")] {
            hash.part(&std::fs::read(&path).map_err(|source| file_error(&path, source))?);
        }
        Ok(self
            .control_planes()
            .join(format!("{name}-{version}-{:016x}", hash.0)))
    }
}

/// The version that a `go.mod` requires of `module`.
fn required_version(folder: &Path, module: &'static str) -> Result<String, AssetsError> {
    let path = folder.join("go.mod");
    let text = std::fs::read_to_string(&path).map_err(|source| file_error(&path, source))?;
    let version = text.lines().find_map(|line| {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| *word == "require");
        (words.next() == Some(module))
            .then(|| words.next())
            .flatten()
            .filter(|word| word.starts_with('v'))
    });
    version.map(str::to_owned).ok_or(AssetsError::GoMod {
        path,
        expected: module,
    })
}

/// FNV-1a, 64 bits: stable over Rust's releases, which the standard hasher does not promise to be.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a part and its length, so that text cannot move from one part to the next unseen.
    fn part(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Makes `place` by `make`, which writes beside it: the file is whole or not there.
pub(super) fn publish(
    place: &Path,
    make: impl FnOnce(&Path) -> Result<(), AssetsError>,
) -> Result<(), AssetsError> {
    let folder = place.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    // One name for all builds, as the lock keeps them apart: the next one overwrites what a killed one left.
    let unfinished = folder.join(format!(".{name}.unfinished"));
    make(&unfinished)?;
    std::fs::rename(&unfinished, place).map_err(|source| file_error(place, source))
}

/// Held while something is built. The system lets go of it when the process ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn wait(folder: &Path, report: &dyn Fn(&str)) -> Result<Self, AssetsError> {
        std::fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
        let path = folder.join(".lock");
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = open.map_err(|source| file_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                report("waiting for another build of the control plane");
                file.lock().map_err(|source| file_error(&path, source))?;
            }
            Err(TryLockError::Error(source)) => return Err(file_error(&path, source)),
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(variables: &[(&str, &str)]) -> Result<Locations, AssetsError> {
        Locations::new(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_cache() {
        let cache = |variables: &[_]| locations(variables).expect("locations").cache;
        assert_eq!(cache(&[("HOME", "/h")]), Path::new("/h/.cache/hikaru"));
        assert_eq!(
            cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]),
            Path::new("/x/hikaru")
        );
        assert_eq!(
            cache(&[("XDG_CACHE_HOME", "/x"), ("HIKARU_CACHE", "/c")]),
            Path::new("/c/hikaru")
        );
        let error = locations(&[]).expect_err("no cache").to_string();
        assert_eq!(
            error,
            "no folder for the cache: set HIKARU_CACHE, XDG_CACHE_HOME or HOME"
        );
    }

    #[test]
    fn kubebuilder_assets_in_our_own_cache_are_ignored() {
        let given = |folder| {
            locations(&[("HIKARU_CACHE", "/c"), ("KUBEBUILDER_ASSETS", folder)])
                .expect("locations")
                .kubebuilder_assets
        };
        assert_eq!(given("/opt/envtest"), Some(PathBuf::from("/opt/envtest")));
        assert_eq!(given("/c/hikaru/control-plane/k8s-v1.36.0-0"), None);
    }

    /// A copy of the two modules, small, to change.
    fn modules() -> (tempfile::TempDir, Locations) {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            std::fs::write(path, text).expect("write");
        };
        write(
            "cluster/k8s/go.mod",
            "go 1.26.0\n\nrequire k8s.io/kubernetes v1.37.2\n",
        );
        write("cluster/k8s/go.sum", "a h1:b\n");
        write(
            "cluster/kwok/go.mod",
            "go 1.26.0\n\nrequire (\n\tsigs.k8s.io/kwok v0.8.0 // indirect\n)\n",
        );
        write("cluster/kwok/go.sum", "a h1:b\n");
        let locations = Locations {
            xtask: folder.path().to_owned(),
            cache: folder.path().join("cache"),
            kubebuilder_assets: None,
        };
        (folder, locations)
    }

    #[test]
    fn a_change_of_the_modules_changes_the_folder() {
        let (folder, locations) = modules();
        let keys = || {
            (
                locations.kubernetes_folder().expect("k8s"),
                locations.kwok_folder().expect("kwok"),
            )
        };
        let before = keys();
        assert!(
            before
                .0
                .to_string_lossy()
                .contains("/control-plane/k8s-v1.37.2-"),
            "{before:?}"
        );
        assert!(
            before
                .1
                .to_string_lossy()
                .contains("/control-plane/kwok-v0.8.0-"),
            "{before:?}"
        );
        assert_eq!(keys(), before);

        std::fs::write(folder.path().join("cluster/k8s/go.sum"), "a h1:c\n").expect("write");
        assert_ne!(keys().0, before.0);
        assert_eq!(keys().1, before.1);
        std::fs::write(folder.path().join("cluster/kwok/go.sum"), "a h1:c\n").expect("write");
        assert_ne!(keys().1, before.1);
    }

    #[test]
    fn a_go_mod_without_the_module_is_named() {
        let (folder, locations) = modules();
        std::fs::write(folder.path().join("cluster/k8s/go.mod"), "go 1.26.0\n").expect("write");
        let error = locations
            .kubernetes_folder()
            .expect_err("no version")
            .to_string();
        assert!(
            error.ends_with("cluster/k8s/go.mod: no line k8s.io/kubernetes"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_build_publishes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let place = folder.path().join("new/etcd");
        let failed = publish(&place, |path| {
            std::fs::write(path, "half").expect("write");
            Err(AssetsError::NoCache)
        });
        assert!(failed.is_err());
        assert!(!place.exists());
        publish(&place, |path| {
            std::fs::write(path, "whole").map_err(|source| file_error(path, source))
        })
        .expect("publish");
        assert_eq!(std::fs::read_to_string(&place).expect("read"), "whole");
    }
}
