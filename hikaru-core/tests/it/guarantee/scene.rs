//! What is played: images with their place in the order, said by hand and not by the code under test; posts; what a
//! person does in between; faults to plant.

/// What an image tells of itself, as the oracle knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// A build of the branch, by its rank among versions and then among builds.
    Build {
        branch: &'static str,
        version: u8,
        number: u8,
    },
    /// Nothing.
    Nothing,
    /// It is of another repository.
    Elsewhere,
}

/// An image of a scene.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) text: &'static str,
    pub(super) tells: Tells,
}

const fn build(text: &'static str, branch: &'static str, version: u8, number: u8) -> Image {
    let tells = Tells::Build {
        branch,
        version,
        number,
    };
    Image { text, tells }
}

/// All images that scenes use. The ranks are what a person says of these texts.
pub(super) const IMAGES: [Image; 10] = [
    build("acme/web:acme_web_main_1.4.0_8_aaaaaaa", "main", 1, 8),
    build("acme/web:acme_web_main_1.4.0_9_bbbbbbb", "main", 1, 9),
    build("acme/web:acme_web_main_1.4.0_10_ccccccc", "main", 1, 10),
    build("acme/web:acme_web_main_1.4.0_10_ddddddd", "main", 1, 10),
    build("acme/web:acme_web_main_1.10.0_1_eeeeeee", "main", 2, 1),
    build("acme/web:acme_web_dev_1.4.0_30_0000000", "dev", 1, 30),
    build("acme/web:acme_web_dev_1.10.0_2_1111111", "dev", 2, 2),
    build("acme/web:acme_web_main_1.4.0_7_2222222", "main", 1, 7),
    Image {
        text: "acme/web:latest",
        tells: Tells::Nothing,
    },
    Image {
        text: "acme/other:1.0",
        tells: Tells::Elsewhere,
    },
];

/// Their places in [`IMAGES`].
pub(super) const B8: u8 = 0;
pub(super) const B9: u8 = 1;
pub(super) const B10: u8 = 2;
pub(super) const B10_OTHER_COMMIT: u8 = 3;
pub(super) const V1_10: u8 = 4;
pub(super) const DEV: u8 = 5;
pub(super) const DEV_1_10: u8 = 6;
pub(super) const B7: u8 = 7;
pub(super) const LATEST: u8 = 8;
pub(super) const ELSEWHERE: u8 = 9;

/// A post of an image, forced or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Post {
    pub(super) image: u8,
    pub(super) forced: bool,
}

/// What a person does, besides hikaru.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hand {
    /// `kubectl rollout undo` to this image: annotations become those of the old revision (none), labels stay.
    Undo(u8),
    /// `kubectl set image`.
    SetImage(u8),
    /// `hikaru.dev/upgrade: manual` as an annotation.
    OptOutByAnnotation,
    /// The same as a label.
    OptOutByLabel,
    /// Both are removed.
    OptIn,
    /// The label `branch` says this.
    Relabel(&'static str),
    /// The mark is removed.
    Unhold,
    /// Deleted and created anew, as it was at the start.
    Recreate,
}

/// A fault planted in a copy of what is proved. Each has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// A write does not test the images.
    NoImageTest,
    /// A write does not test the marks.
    NoMarkTest,
    /// A write does not test the settings.
    NoOptOutTest,
    /// A write does not test the identity's labels.
    NoLabelsTest,
    /// A write does not test the uid.
    NoUidTest,
    /// No mark is written.
    NoMark,
    /// Each write leaves its own mark, lower or not.
    MarkGoesDown,
    /// Builds are compared as text: 10 is lower than 9.
    ComparedAsText,
    /// A refused write is repeated on what is there now, without judging again.
    NotJudgedAgain,
    /// A write whose answer was lost counts as done.
    LostCountsAsDone,
}

/// All that a person does to a workload in these scenes.
pub(super) const HANDS: [Hand; 12] = [
    Hand::Undo(B8),
    Hand::Undo(B7),
    Hand::OptOutByAnnotation,
    Hand::OptOutByLabel,
    Hand::OptIn,
    Hand::Relabel("dev"),
    Hand::Relabel("main"),
    Hand::SetImage(LATEST),
    Hand::SetImage(V1_10),
    Hand::SetImage(ELSEWHERE),
    Hand::Unhold,
    Hand::Recreate,
];

/// What can happen, and how often.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// What runs at the start.
    pub(super) start: u8,
    /// Each is sent at most once by its client, and again after a crash.
    pub(super) posts: Vec<Post>,
    /// What a person may do, in any order, each more than once.
    pub(super) hands: Vec<Hand>,
    /// How many things a person does in all.
    pub(super) deeds: u8,
    /// How many answers are lost in all, the write having been applied, dropped or delayed.
    pub(super) losses: u8,
    /// How many handlers of a post die in all. Their clients post again.
    pub(super) crashes: u8,
    /// How many writes there may be for one post: two retries.
    pub(super) attempts: usize,
    pub(super) fault: Option<Fault>,
}

impl Scene {
    /// These posts to a workload that runs build 8, and nothing else.
    pub(super) fn of(posts: impl IntoIterator<Item = u8>) -> Self {
        let post = |image| Post {
            image,
            forced: false,
        };
        let mut posts: Vec<_> = posts.into_iter().map(post).collect();
        posts.sort_unstable();
        Self {
            start: B8,
            posts,
            hands: Vec::new(),
            deeds: 0,
            losses: 0,
            crashes: 0,
            attempts: 3,
            fault: None,
        }
    }

    /// Besides, a post that somebody forces.
    pub(super) fn forced(mut self, image: u8) -> Self {
        let forced = true;
        self.posts.push(Post { image, forced });
        self.posts.sort_unstable();
        self
    }

    /// Besides, a person who does so many of these.
    pub(super) fn hands(mut self, deeds: u8, hands: impl IntoIterator<Item = Hand>) -> Self {
        self.deeds = deeds;
        self.hands = hands.into_iter().collect();
        self
    }

    /// Besides, lost answers and crashes.
    pub(super) fn trouble(mut self, losses: u8, crashes: u8) -> Self {
        self.losses = losses;
        self.crashes = crashes;
        self
    }

    pub(super) fn with(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}
