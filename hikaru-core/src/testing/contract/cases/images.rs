//! The clauses on images: one that cannot be read is found, an image volume is upgraded, the spelling of a repository stays,
//! and what floats gives way.

use super::{
    ClusterError, Container, Force, Mode, Outcome, Request, Select, Stage, build, image, plan, same,
};
use crate::{
    image::{build::Build, tag::TagFormats},
    policy::Code,
};

impl Stage<'_> {
    /// A workload that is labeled so is not left behind in silence because its image is no reference.
    pub(super) async fn finds_an_image_that_cannot_be_read(self) -> Result<(), String> {
        let mut workload = self.workload(1);
        workload.containers[0].image = "registry.example/acme/web:${TAG}".into();
        let put = self.put(&workload).await?;
        // By its labels, and by its repository where the tag says nothing of labels.
        let version = Build::parse(
            "registry.example/acme/web:1.4.0",
            &"v".parse::<TagFormats>().map_err(|e| e.to_string())?,
        );
        for build in [build(2)?, version.map_err(|e| e.to_string())?] {
            let found = self.find(Select::Build(build.clone())).await?;
            let found = found.into_iter().find(|w| w.id == put.id);
            let found = found.ok_or_else(|| format!("{} is not found for {build}", put.id))?;
            let entries = plan(Request::new(build), [found]).entries;
            let codes: Vec<Code> = entries.iter().flat_map(|entry| entry.codes()).collect();
            same("codes", codes, vec![Code::UnreadableImage])?;
        }
        Ok(())
    }

    /// An image volume is found, written and guarded as a container is.
    pub(super) async fn an_image_volume_is_upgraded_as_a_container_is(self) -> Result<(), String> {
        let mut workload = self.workload(1);
        let volume = Container::volume("assets", image(1));
        let name = volume.name.clone();
        workload.containers.push(volume);
        let before = self.put(&workload).await?;
        let found = self.find(Select::Build(build(2)?)).await?;
        let found = found.into_iter().find(|found| found.id == before.id);
        same("found", found.is_some(), true)?;
        let change = self.change(&before, 2)?;
        same("write", self.write(&change, Mode::Commit).await, Ok(()))?;
        let mut expected = before;
        for edit in change.edits() {
            let container = &mut expected.containers[edit.container()];
            container.image = edit.to().clone();
            if self.subject.abilities().marks {
                container.mark = edit.mark().cloned();
            }
        }
        same(
            "the volume",
            Self::image_of(&expected, &name),
            Some(&*image(2)),
        )?;
        let mut now = self.now().await?;
        same("after the write", &now, &expected)?;
        // A user gives the volume another image: what was judged before is not written.
        let change = self.change(&now, 3)?;
        for container in now.containers.iter_mut().filter(|c| c.name == name) {
            container.image = image(9).into();
        }
        let edited = self.put(&now).await?;
        let written = self.write(&change, Mode::Commit).await;
        same("write", written, Err(ClusterError::Stale))?;
        same("what the user left", self.now().await?, edited)
    }

    /// A registry that somebody wrote stays: some runtimes take no short names.
    pub(super) async fn keeps_the_spelling_of_the_repository(self) -> Result<(), String> {
        let tag = |n| image(n).replace("registry.example/", "");
        let mut workload = self.workload(1);
        for (position, (name, spelled)) in [
            ("web", "docker.io/acme/web:1.0".to_owned()),
            ("short", tag(1)),
            ("index", "index.docker.io/acme/web".to_owned()),
        ]
        .into_iter()
        .enumerate()
        {
            let mut container = Container::new(name, spelled);
            container.position = position;
            workload.containers.insert(position, container);
        }
        workload.containers.truncate(3);
        let before = self.put(&workload).await?;
        let build = Build::parse(&tag(2), &TagFormats::default()).map_err(|e| e.to_string())?;
        let entry = plan(Request::new(build), [before]).entries.pop();
        let change = entry.and_then(|entry| entry.change).ok_or("no change")?;
        same("write", self.write(&change, Mode::Commit).await, Ok(()))?;
        let now = self.now().await?;
        let images: Vec<&str> = now.containers.iter().map(|c| &*c.image).collect();
        let expected =
            ["docker.io/", "", "index.docker.io/"].map(|host| format!("{host}{}", tag(2)));
        same(
            "images",
            images,
            expected.iter().map(|text| &**text).collect(),
        )
    }

    /// Somebody applies a manifest with `latest` and posts the same build again, as often as they like.
    pub(super) async fn a_floating_tag_gives_way_to_the_same_build_again(
        self,
    ) -> Result<(), String> {
        self.put(&self.workload(1)).await?;
        for _ in 0..3 {
            same(
                "the build",
                self.post(2, Force::NONE).await?,
                Outcome::Upgraded,
            )?;
            let mut applied = self.now().await?;
            applied.containers[0].image = "registry.example/acme/web:latest".into();
            self.put(&applied).await?;
            let below = self.post(1, Force::NONE).await?;
            if self.subject.abilities().marks {
                same("a build below the mark", below, Outcome::Unchanged)?;
            } else {
                self.put(&applied).await?;
            }
        }
        self.post(2, Force::NONE).await?;
        self.runs(2).await
    }
}
