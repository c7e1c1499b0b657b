//! Whatever of a pod template names an image: containers, init containers, image volumes. How they are told apart by name,
//! and which label keeps the high-water mark of each. What is judged of them is the policy's business.

use std::{borrow::Cow, fmt};

use crate::Text;

/// What the name of an image volume begins with, as it is told. No container can be called so.
const VOLUME: &str = "volume ";
/// The same in the key of a label, which holds no space.
const VOLUME_KEY: &str = "volume.";
/// The longest name of a label's key, in bytes, the prefix before the slash not counted.
const KEY_LONGEST: usize = 63;

/// In which list of the pod's spec a [`Container`] stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodList {
    /// `containers`.
    #[default]
    Containers,
    /// `initContainers` (a native sidecar stands there, too).
    InitContainers,
    /// `volumes`.
    Volumes,
}

impl PodList {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Containers, Self::InitContainers, Self::Volumes];

    /// Its key in the spec of a pod.
    pub fn key(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::InitContainers => "initContainers",
            Self::Volumes => "volumes",
        }
    }
}

impl fmt::Display for PodList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// A container of the pod template, an init container, or an image volume, that has an image.
///
/// ```
/// use hikaru_core::{Container, workload::PodList};
/// let web = Container::new("web", "acme/web:1.4.0");
/// assert_eq!((web.own_name(), web.mark_key().as_deref()), (Some("web"), Some("web")));
/// let assets = Container::volume("assets", "acme/web:1.4.0");
/// assert_eq!(&*assets.name, "volume assets");
/// assert_eq!((assets.own_name(), assets.mark_key().as_deref()), (Some("assets"), Some("volume.assets")));
/// let nameless = Container::nameless(PodList::Containers, 0, "acme/web:1.4.0");
/// assert_eq!(&*nameless.name, "containers[0]");
/// assert_eq!((nameless.own_name(), nameless.mark_key().as_deref()), (None, Some("containers.0")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Container {
    /// How it is told, unique in the pod: a container by its own name, an image volume as `volume NAME`, and a container
    /// without a name by its place, `containers[0]`.
    pub name: Text,
    /// The list that it stands in.
    pub list: PodList,
    /// Its place in its list, 0-based, those without an image counted.
    pub position: usize,
    /// Its image, as written.
    pub image: Text,
    /// The value of its high-water mark's label, as it stands there.
    pub mark: Option<Text>,
    /// In a folder of manifests: what comes out in each place that decides the image instead of the manifest. Empty where
    /// the manifest decides.
    pub overridden: Vec<Override>,
}

/// An image that something beside the manifest decides, such as the `images:` of a Kustomize file. An adapter that edits
/// manifests cannot change it there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Override {
    /// Where it is decided: `overlays/prod/kustomization.yaml:4:3`.
    pub place: Text,
    /// The image that comes out.
    pub image: Text,
    /// Whether the tag or the digest is decided there: then it has no effect to write another tag into the manifest.
    pub pins: bool,
}

impl Override {
    /// What is decided at a place, its tag or digest included.
    pub fn new(place: impl Into<Text>, image: impl Into<Text>) -> Self {
        Self {
            place: place.into(),
            image: image.into(),
            pins: true,
        }
    }
}

impl Container {
    /// A container, its place in its list being 0.
    pub fn new(name: impl Into<Text>, image: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            list: PodList::Containers,
            position: 0,
            image: image.into(),
            mark: None,
            overridden: Vec::new(),
        }
    }

    /// Its own image, and those that come out instead.
    pub fn images(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(&self.image).chain(self.overridden.iter().map(|other| &other.image))
    }

    /// The images that its pods run: those that come out where something else decides, or else its own.
    pub fn running(&self) -> impl Iterator<Item = &Text> {
        let own = self.overridden.is_empty().then_some(&self.image);
        own.into_iter()
            .chain(self.overridden.iter().map(|other| &other.image))
    }

    /// An image volume by its own name, its place in its list being 0.
    pub fn volume(name: &str, image: impl Into<Text>) -> Self {
        let mut volume = Self::new(format!("{VOLUME}{name}"), image);
        volume.list = PodList::Volumes;
        volume
    }

    /// A container that has no name, by its place.
    pub fn nameless(list: PodList, position: usize, image: impl Into<Text>) -> Self {
        let mut container = Self::new(place_name(list, position), image);
        (container.list, container.position) = (list, position);
        container
    }

    /// The name that stands in the object. `None`: it has none.
    pub fn own_name(&self) -> Option<&str> {
        match self.list {
            PodList::Volumes => self.name.strip_prefix(VOLUME),
            list => Some(&*self.name)
                .filter(|name| !name.ends_with(']') || **name != *place_name(list, self.position)),
        }
    }

    /// The key of the label that keeps its high-water mark, after [`MARK_PREFIX`](crate::workload::MARK_PREFIX): see [`mark_key`].
    /// `None`: no label can have such a key, so it has no mark.
    pub fn mark_key(&self) -> Option<Cow<'_, str>> {
        let key = mark_key(&self.name);
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = key.as_bytes();
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = bytes.len() <= KEY_LONGEST
            && ends(bytes.first())
            && ends(bytes.last())
            && bytes.iter().all(inside);
        fits.then_some(key)
    }

    /// Whether a person who writes this name means it: as it is told, or as the label of its mark spells it.
    pub fn is_called(&self, name: &str) -> bool {
        *self.name == *name || mark_key(&self.name) == name
    }
}

fn place_name(list: PodList, position: usize) -> String {
    format!("{list}[{position}]")
}

/// The key of a high-water mark's label, after [`MARK_PREFIX`](crate::workload::MARK_PREFIX), of what is told by this name: for a
/// container its name; for `volume assets` `volume.assets`; for `containers[0]` `containers.0`. [`marked_name`] is the way
/// back.
pub fn mark_key(name: &str) -> Cow<'_, str> {
    if let Some(volume) = name.strip_prefix(VOLUME) {
        return format!("{VOLUME_KEY}{volume}").into();
    }
    let place = name.strip_suffix(']').and_then(|name| name.split_once('['));
    match place {
        Some((list, position)) => format!("{list}.{position}").into(),
        None => name.into(),
    }
}

/// The name, as it is told, of what the key of a high-water mark's label is for. See [`mark_key`].
///
/// ```
/// use hikaru_core::workload::marked_name;
/// let names = ["web", "volume.assets", "initContainers.1"].map(marked_name);
/// assert_eq!(names, ["web", "volume assets", "initContainers[1]"]);
/// ```
pub fn marked_name(key: &str) -> Cow<'_, str> {
    if let Some(volume) = key.strip_prefix(VOLUME_KEY) {
        return format!("{VOLUME}{volume}").into();
    }
    match key.split_once('.') {
        Some((list, position)) if PodList::ALL.iter().any(|known| known.key() == list) => {
            format!("{list}[{position}]").into()
        }
        _ => key.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_a_key_where_a_label_can_have_it() {
        let long = "x".repeat(63);
        for (container, expected) in [
            (Container::new("web", ""), Some("web")),
            (Container::new(&*long, ""), Some(&*long)),
            (Container::new("x".repeat(64), ""), None),
            (Container::new("web app", ""), None),
            (Container::new("-web", ""), None),
            (Container::new("", ""), None),
            (
                Container::volume(&long[..56], ""),
                Some(&*format!("volume.{}", &long[..56])),
            ),
            // A volume's name may be as long as a container's, so that its key is too long.
            (Container::volume(&long[..57], ""), None),
            (
                Container::nameless(PodList::InitContainers, 12, ""),
                Some("initContainers.12"),
            ),
        ] {
            assert_eq!(container.mark_key().as_deref(), expected, "{container:?}");
            if let Some(key) = expected {
                assert_eq!(marked_name(key), &*container.name);
                assert!(container.is_called(key) && container.is_called(&container.name));
            }
        }
    }

    #[test]
    fn only_a_name_that_tells_the_own_place_is_none() {
        let mut odd = Container::new("containers[1]", "");
        assert_eq!(odd.own_name(), Some("containers[1]"));
        odd.position = 1;
        assert_eq!(odd.own_name(), None);
    }
}
