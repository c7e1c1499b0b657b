//! The pod template of an object that the API server sent: containers and image volumes, and keys that look like settings but
//! have no effect there. It is read in one pass along the path that the kind's table gives; the rest of the object is in `object`.

use std::{borrow::Cow, fmt};

use hikaru_core::{
    Container, Text,
    workload::{LAST_UPGRADE, Place, PodList, SETTING_PREFIX, StraySetting},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{kind::Kind, nullable::nullable};

/// What is read of a pod template.
#[derive(Debug, Default)]
pub(in crate::live) struct Template {
    /// Without marks: those are among the object's labels.
    pub(in crate::live) containers: Vec<Container>,
    pub(in crate::live) stray_settings: Vec<StraySetting>,
}

/// Reads the pod template of a kind from the text of an object's `spec`.
pub(in crate::live) fn read(kind: &Kind, spec: &str) -> Result<Template, serde_json::Error> {
    let mut template = Template::default();
    let mut pod = Pod::default();
    let on_the_way = OnTheWay {
        way: &kind.pod,
        // The first step, `spec`, was taken when the object was read.
        depth: 1,
        pod: &mut pod,
        strays: &mut template.stray_settings,
    };
    on_the_way.deserialize(&mut serde_json::Deserializer::from_str(spec))?;
    let lists = [
        (PodList::Containers, pod.containers),
        (PodList::InitContainers, pod.init_containers),
    ];
    for (list, items) in lists {
        for (position, item) in items.into_iter().enumerate() {
            let mut container = match item.name {
                Some(name) => Container::new(name, item.image),
                // The server checks the pods of its own kinds, not those of others.
                None if kind.added => Container::nameless(list, position, item.image),
                None => {
                    let words = format!("{list}[{position}] has no name");
                    return Err(serde_json::Error::custom(words));
                }
            };
            (container.list, container.position) = (list, position);
            template.containers.push(container);
        }
    }
    if let Some(volumes) = pod.volumes {
        template.containers.extend(image_volumes(volumes)?);
    }
    template.containers.retain(|c| !c.image.is_empty());
    Ok(template)
}

/// The image volumes among the volumes of a pod. An added kind may use the name `volumes` for something else, so
/// anything that is not a list, and any item that is not an image volume, is ignored, as in a folder.
fn image_volumes(volumes: &RawValue) -> Result<Vec<Container>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Volume<'a> {
        #[serde(borrow, default)]
        name: Option<&'a RawValue>,
        #[serde(borrow, default)]
        image: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Image<'a> {
        #[serde(borrow, default)]
        reference: Option<&'a RawValue>,
    }
    let mut containers = Vec::new();
    let items: Vec<&RawValue> = serde_json::from_str(volumes.get()).unwrap_or_default();
    for (position, item) in items.into_iter().enumerate() {
        let Ok(volume) = serde_json::from_str::<Volume<'_>>(item.get()) else {
            continue;
        };
        let image = volume.image.map(RawValue::get).unwrap_or_default();
        let Ok(Image {
            reference: Some(reference),
        }) = serde_json::from_str(image)
        else {
            continue;
        };
        let Some(name) = volume.name else {
            let words = format!("volumes[{position}] has no name");
            return Err(serde_json::Error::custom(words));
        };
        let name: String = serde_json::from_str(name.get())?;
        let reference: String = serde_json::from_str(reference.get())?;
        let mut container = Container::volume(&name, reference);
        container.position = position;
        containers.push(container);
    }
    Ok(containers)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod<'a> {
    #[serde(default, deserialize_with = "nullable")]
    containers: Vec<PodContainer>,
    #[serde(default, deserialize_with = "nullable")]
    init_containers: Vec<PodContainer>,
    #[serde(borrow, default)]
    volumes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PodContainer {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    image: String,
}

/// Reads the map that lies `depth` steps along `way`, the way to the pod's spec. If a step is missing the pod is empty.
struct OnTheWay<'a, 'de> {
    way: &'a [Text],
    depth: usize,
    pod: &'a mut Pod<'de>,
    strays: &'a mut Vec<StraySetting>,
}

impl<'de> DeserializeSeed<'de> for OnTheWay<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth < self.way.len() {
            return deserializer.deserialize_any(self);
        }
        *self.pod = Option::deserialize(deserializer)?.unwrap_or_default();
        Ok(())
    }
}

impl<'de> Visitor<'de> for OnTheWay<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.way.get(self.depth..).unwrap_or_default();
        write!(f, "a map with {}", rest.join("."))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (taken, rest) = self.way.split_at(self.depth.min(self.way.len()));
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if rest.first().is_some_and(|next| **next == *key) {
                map.next_value_seed(OnTheWay {
                    depth: self.depth + 1,
                    way: self.way,
                    pod: &mut *self.pod,
                    strays: &mut *self.strays,
                })?;
            } else if key == "metadata" {
                let metadata: Value = map.next_value()?;
                let at = Text::from(format!("{}.metadata", taken.join(".")));
                for (place, list) in [(Place::Label, "labels"), (Place::Annotation, "annotations")]
                {
                    let keys = metadata.get(list).and_then(Value::as_object);
                    let keys = keys.into_iter().flatten().map(|(key, _)| key);
                    self.strays.extend(keys.filter_map(|key| {
                        let setting = key.strip_prefix(SETTING_PREFIX)?;
                        (key != LAST_UPGRADE).then(|| StraySetting {
                            place,
                            key: setting.into(),
                            metadata: at.clone(),
                        })
                    }));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
