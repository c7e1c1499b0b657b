//! Ways through a tree: keys of maps, items of lists, aliases and merge keys followed for
//! reading. Each step remembers whether the value stands where it was looked for, because only
//! such a value may be written. Which keys matter is not known here (`manifest`).

use super::scalar::{Plain, plain, truth};
use super::tree::{Mark, NodeId, Shape, Tagged, Tree};
use super::{Problem, tree};
use granit_parser::ScalarStyle;
use std::collections::BTreeMap;

/// Most maps that may wait to be merged. Real manifests have a handful.
const MERGES: usize = 10_000;

/// Why a value must not be written in place: others would change with it, or it stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detour {
    /// It was reached through an alias that stands here.
    Alias(Mark),
    /// It came by the merge key that stands here.
    Merge(Mark),
    /// It, or what holds it, has an anchor here that is used elsewhere.
    Shared(Mark),
}

/// A node and how it was reached. Never an alias itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) node: NodeId,
    pub(super) detour: Option<Detour>,
}

/// The merge key of each map that has one.
type Merges = BTreeMap<NodeId, NodeId>;

/// One entry of a map, merges included.
struct Entry {
    key: NodeId,
    value: Cursor,
    /// The map that it stands in: the same key twice in one map is a fault, in two it is merging.
    map: NodeId,
}

impl Tree<'_> {
    pub(super) fn top(&self) -> Result<Option<Cursor>, Problem> {
        let Some(node) = self.root() else {
            return Ok(None);
        };
        self.land(node, None).map(Some)
    }

    /// Follows an alias, and notes why the value must not be written.
    fn land(&self, node: NodeId, detour: Option<Detour>) -> Result<Cursor, Problem> {
        let mut cursor = Cursor { node, detour };
        if self.shape(node) == Shape::Alias {
            let Some(target) = self.target(node) else {
                return Err(Problem::at(
                    self.mark(node),
                    format!("the alias {} has no anchor", self.source(node)),
                ));
            };
            cursor.detour = cursor.detour.or(Some(Detour::Alias(self.mark(node))));
            cursor.node = target;
        } else if self.shared(node) {
            cursor.detour = cursor.detour.or(Some(Detour::Shared(self.mark(node))));
        }
        Ok(cursor)
    }

    /// Whether it is `null`, as the value of `key:` is. Kubernetes drops such a field.
    pub(super) fn is_null(&self, cursor: Cursor) -> bool {
        self.shape(cursor.node) == Shape::Scalar(ScalarStyle::Plain)
            && self.tagged(cursor.node) == Tagged::No
            && plain(self.value(cursor.node)) == Plain::Null
    }

    /// The values of some keys of a map, in their order; `None` where a key is absent or null.
    /// One pass, however many keys.
    ///
    /// # Errors
    /// It is no map, or one of the keys stands there twice.
    pub(super) fn fields<const N: usize>(
        &self,
        map: Cursor,
        what: &dyn std::fmt::Display,
        names: [&str; N],
    ) -> Result<[Option<Cursor>; N], Problem> {
        let mut found: [Option<Entry>; N] = [const { None }; N];
        self.visit(map, what, |name, entry, merges| {
            let Some(at) = names.iter().position(|wanted| *wanted == name) else {
                return Ok(());
            };
            self.settle(&mut found[at], name, entry, merges)
        })?;
        Ok(found.map(|entry| {
            let value = entry?.value;
            (!self.is_null(value)).then_some(value)
        }))
    }

    /// All entries of a map whose keys are wanted: the key's text, its place, the value.
    ///
    /// # Errors
    /// As `fields`.
    pub(super) fn entries<'s>(
        &'s self,
        map: Cursor,
        what: &dyn std::fmt::Display,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(&'s str, Cursor)>, Problem> {
        let mut found: BTreeMap<&'s str, Option<Entry>> = BTreeMap::new();
        self.visit(map, what, |name, entry, merges| {
            if !wanted(name) {
                return Ok(());
            }
            self.settle(found.entry(name).or_default(), name, entry, merges)
        })?;
        Ok(found
            .into_iter()
            .filter_map(|(name, entry)| Some((name, entry?.value)))
            .collect())
    }

    /// Keeps the first entry of a key. `merges`: the merge key of each map that was visited and has one.
    fn settle(
        &self,
        slot: &mut Option<Entry>,
        name: &str,
        entry: Entry,
        merges: &Merges,
    ) -> Result<(), Problem> {
        match slot {
            None => *slot = Some(entry),
            // The same entry again: a map may be merged by two ways.
            Some(first) if first.map == entry.map && first.key != entry.key => {
                return Err(Problem::at(
                    self.mark(entry.key),
                    format!(
                        "the key {} stands twice in one map, first on line {}: remove one of them",
                        excerpt(name),
                        self.mark(first.key).line
                    ),
                ));
            }
            // A map's own key goes before a merged one, an earlier merge before a later one. For kubectl the later one
            // of the text goes first, so its order has to be the same. Nodes are numbered in the order of the text.
            Some(first)
                if first.map != entry.map
                    && merges
                        .get(&first.map)
                        .is_some_and(|merge| first.key < *merge) =>
            {
                return Err(Problem::at(
                    self.mark(first.key),
                    format!(
                        "the key {} stands before a merge key << that brings it, too, and kubectl takes the merged one: put << first",
                        excerpt(name)
                    ),
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn is_merge(&self, key: NodeId) -> bool {
        let node = self.target(key).unwrap_or(key);
        self.shape(node) == Shape::Scalar(ScalarStyle::Plain)
            && self.tagged(node) == Tagged::No
            && self.value(node) == "<<"
    }

    /// Calls `take` for each entry of a map: its own first, then those of its merges. It is told the merge keys that were
    /// met: those of a map are complete when the entries that come by them are taken.
    fn visit<'s>(
        &'s self,
        map: Cursor,
        what: &dyn std::fmt::Display,
        mut take: impl FnMut(&'s str, Entry, &Merges) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        if self.shape(map.node) != Shape::Mapping {
            return Err(self.unexpected(map.node, what, "a map"));
        }
        let mut merges = Merges::new();
        let mut waiting = vec![map];
        while let Some(map) = waiting.pop() {
            self.step(map.node)?;
            let before = waiting.len();
            let mut child = self.first(map.node);
            while let Some(key) = child {
                self.step(key)?;
                let Some(value) = self.next(key) else { break };
                child = self.next(value);
                let node = self.target(key).unwrap_or(key);
                let Shape::Scalar(_) = self.shape(node) else {
                    continue;
                };
                let name = self.value(node);
                if self.is_merge(key) {
                    if let Some(first) = merges.insert(map.node, key)
                        && first != key
                    {
                        return Err(Problem::at(
                            self.mark(key),
                            format!(
                                "the merge key << stands twice in one map, first on line {}: give it a list",
                                self.mark(first).line
                            ),
                        ));
                    }
                    self.sources(map, key, value, &mut waiting)?;
                    continue;
                }
                let value = self.land(value, map.detour)?;
                let map = map.node;
                take(name, Entry { key, value, map }, &merges)?;
            }
            // The first merge is to be visited first.
            waiting[before..].reverse();
        }
        Ok(())
    }

    /// The maps that a merge key names.
    fn sources(
        &self,
        map: Cursor,
        key: NodeId,
        value: NodeId,
        waiting: &mut Vec<Cursor>,
    ) -> Result<(), Problem> {
        let mark = self.mark(key);
        let detour = map.detour.or(Some(Detour::Merge(mark)));
        let source = self.land(value, detour)?;
        let mut one = |node: Cursor| {
            if self.shape(node.node) != Shape::Mapping {
                return Err(self.unexpected(node.node, &"the merge key <<", "a map"));
            }
            if waiting.len() >= MERGES {
                return Err(Problem::at(
                    mark,
                    format!("more than {MERGES} maps are merged here"),
                ));
            }
            waiting.push(node);
            Ok(())
        };
        if self.shape(source.node) != Shape::Sequence {
            return one(source);
        }
        let mut child = self.first(source.node);
        while let Some(node) = child {
            self.step(node)?;
            child = self.next(node);
            one(self.land(node, detour)?)?;
        }
        Ok(())
    }

    /// The items of a list.
    ///
    /// # Errors
    /// It is no list.
    pub(super) fn items(
        &self,
        list: Cursor,
        what: &dyn std::fmt::Display,
    ) -> Result<impl Iterator<Item = Result<Cursor, Problem>>, Problem> {
        if self.shape(list.node) != Shape::Sequence {
            return Err(self.unexpected(list.node, what, "a list"));
        }
        let mut child = self.first(list.node);
        Ok(std::iter::from_fn(move || {
            let node = child?;
            child = self.next(node);
            Some(self.step(node).and_then(|()| self.land(node, list.detour)))
        }))
    }

    /// The value of a scalar that Kubernetes reads as a string.
    ///
    /// # Errors
    /// It is no scalar, or one of another type.
    pub(super) fn string(
        &self,
        cursor: Cursor,
        what: &dyn std::fmt::Display,
    ) -> Result<&str, Problem> {
        let node = cursor.node;
        let typed = match (self.shape(node), self.tagged(node)) {
            (Shape::Scalar(_), Tagged::Text) => false,
            (Shape::Scalar(ScalarStyle::Plain), Tagged::No) => {
                plain(self.value(node)) != Plain::Text
            }
            (Shape::Scalar(_), Tagged::No) => false,
            _ => true,
        };
        if typed {
            return Err(self.unexpected(node, what, "a string"));
        }
        self.copy(node, self.value(node).len())?;
        Ok(self.value(node))
    }

    /// Whether it is the boolean true.
    pub(super) fn is_true(&self, cursor: Cursor) -> bool {
        self.typed(cursor, Plain::Bool).is_some_and(truth)
    }

    /// The whole number that it is.
    pub(super) fn whole_number(&self, cursor: Cursor) -> Option<i32> {
        self.typed(cursor, Plain::Number)?.parse().ok()
    }

    /// The text of a plain scalar that Kubernetes reads as a value of this type.
    fn typed(&self, cursor: Cursor, wanted: Plain) -> Option<&str> {
        let value = self.value(cursor.node);
        let plainly = self.shape(cursor.node) == Shape::Scalar(ScalarStyle::Plain)
            && self.tagged(cursor.node) == Tagged::No;
        (plainly && plain(value) == wanted).then_some(value)
    }

    /// "`what` must be `expected`, found …".
    fn unexpected(&self, node: NodeId, what: &dyn std::fmt::Display, expected: &str) -> Problem {
        let (found, quote) = self.describe(node);
        let mut problem = Problem::at(
            self.mark(node),
            format!("{what} must be {expected}, found {found}"),
        );
        if quote && expected == "a string" {
            problem.message.push_str(": quote it");
        }
        if self.source(node).starts_with("{{") {
            problem = problem.and(tree::TEMPLATE);
        }
        problem
    }

    /// What a node is, for a person, and whether quotes would make it a string.
    fn describe(&self, node: NodeId) -> (String, bool) {
        if self.tagged(node) == Tagged::Other {
            return ("a value with a tag of its own".to_owned(), false);
        }
        match self.shape(node) {
            Shape::Mapping => ("a map".to_owned(), false),
            Shape::Sequence => ("a list".to_owned(), false),
            Shape::Alias => ("an alias".to_owned(), false),
            Shape::Scalar(ScalarStyle::Plain) if self.tagged(node) == Tagged::No => {
                let value = excerpt(self.value(node));
                match plain(self.value(node)) {
                    Plain::Null => ("nothing".to_owned(), false),
                    Plain::Bool => (format!("the boolean {value}"), true),
                    Plain::Number => (format!("the number {value}"), true),
                    Plain::Text => (format!("the text {value:?}"), false),
                }
            }
            Shape::Scalar(_) => (format!("the text {:?}", excerpt(self.value(node))), false),
        }
    }
}

/// At most 60 characters of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
