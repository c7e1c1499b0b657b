//! The tree of one document: compact, each node with its place in the text. How a text is cut into documents is not known
//! here (`documents`), nor what a manifest means (`manifest`), and nothing is written (`edit`).

use granit_parser::{Event, ScalarStyle, Span, StructureStyle, Tag};
use std::cell::Cell;
use std::ops::Range;

use super::Problem;

/// Largest number of nodes in one document. A node costs 44 bytes here, so this is 44 MB.
pub(crate) const NODES: usize = 1_000_000;

/// Said where `{{` stands in place of YAML or of a value.
pub(super) const TEMPLATE: &str =
    "`{{` looks like an unrendered template: hikaru reads rendered manifests";

/// Ends of lines in YAML 1.1 and not in YAML 1.2: next line, line separator, paragraph separator.
pub(super) const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// No node: the end of a list of siblings, or a collection without children.
const NONE: u32 = u32::MAX;
/// The value of a scalar is its text between the marks of its span.
const RAW: u32 = u32::MAX;
/// The value of a scalar is its text without the quotes.
const INNER: u32 = u32::MAX - 1;

/// A place in a file as people count: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar(ScalarStyle),
    Sequence,
    Mapping,
    Alias,
}

/// What a node's tag says of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tagged {
    No,
    /// `!!str`, or `!`, which forbids guessing.
    Text,
    Other,
}

/// A node by its number, in the order of the text. It is only good in the tree that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

#[derive(Debug)]
struct Node {
    shape: Shape,
    tagged: Tagged,
    /// Stands directly in a flow collection, where `,` and brackets end a plain scalar.
    flow: bool,
    /// Has an anchor that some alias uses.
    shared: bool,
    start: u32,
    end: u32,
    mark: Mark,
    /// The first child; for an alias its target.
    first: u32,
    next: u32,
    value: u32,
}

/// One document. A mapping's children are key, value, key, value. Aliases point at their target
/// and are never expanded, so a tree is as large as the text that it was read from.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    owned: Vec<Box<str>>,
    steps: Cell<u64>,
    copied: Cell<u64>,
    /// The number of the document in its file, from 1.
    pub(crate) number: usize,
    /// The document's bytes in the file, its directives and the comments before it included.
    pub(crate) range: Range<usize>,
}

impl<'t> Tree<'t> {
    pub(super) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(NodeId(0))
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn shape(&self, id: NodeId) -> Shape {
        self.node(id).shape
    }

    pub(super) fn tagged(&self, id: NodeId) -> Tagged {
        self.node(id).tagged
    }

    pub(super) fn mark(&self, id: NodeId) -> Mark {
        self.node(id).mark
    }

    pub(super) fn flow(&self, id: NodeId) -> bool {
        self.node(id).flow
    }

    pub(super) fn shared(&self, id: NodeId) -> bool {
        self.node(id).shared
    }

    pub(super) fn span(&self, id: NodeId) -> Range<usize> {
        let node = self.node(id);
        node.start as usize..node.end as usize
    }

    /// The text of a node as it stands in the file. The end of a block collection is the start of
    /// what follows it.
    pub(super) fn source(&self, id: NodeId) -> &'t str {
        self.text.get(self.span(id)).unwrap_or_default()
    }

    /// The target of an alias.
    pub(super) fn target(&self, id: NodeId) -> Option<NodeId> {
        let node = self.node(id);
        (node.shape == Shape::Alias && node.first != NONE).then_some(NodeId(node.first))
    }

    pub(super) fn first(&self, id: NodeId) -> Option<NodeId> {
        let node = self.node(id);
        (node.shape != Shape::Alias && node.first != NONE).then_some(NodeId(node.first))
    }

    pub(super) fn next(&self, id: NodeId) -> Option<NodeId> {
        let next = self.node(id).next;
        (next != NONE).then_some(NodeId(next))
    }

    /// A scalar's value, its escapes and line folds undone.
    pub(super) fn value(&self, id: NodeId) -> &str {
        let node = self.node(id);
        let span = self.span(id);
        match node.value {
            RAW => self.text.get(span).unwrap_or_default(),
            INNER => self
                .text
                .get(span.start + 1..span.end.saturating_sub(1))
                .unwrap_or_default(),
            owned => self
                .owned
                .get(owned as usize)
                .map_or("", |value| value.as_ref()),
        }
    }

    /// Counts one step of a walk. Aliases and merges make a small text as large as they like, so
    /// walks are bounded by the size of the document: reading every workload without them takes
    /// less than two steps a node.
    pub(super) fn step(&self, at: NodeId) -> Result<(), Problem> {
        let limit = self.nodes.len() as u64 * 4 + 100_000;
        self.spend(at, &self.steps, 1, limit, "steps")
    }

    /// Counts the bytes of a value that is handed out, for the same reason.
    pub(super) fn copy(&self, at: NodeId, bytes: usize) -> Result<(), Problem> {
        let limit = self.range_len() * 4 + 1_000_000;
        self.spend(at, &self.copied, bytes as u64, limit, "bytes")
    }

    fn spend(
        &self,
        at: NodeId,
        count: &Cell<u64>,
        more: u64,
        limit: u64,
        unit: &str,
    ) -> Result<(), Problem> {
        count.set(count.get().saturating_add(more));
        if count.get() > limit {
            return Err(Problem::at(
                self.mark(at),
                format!(
                    "aliases and merge keys make the document too large to read: more than {limit} {unit}, for {} values in {} bytes",
                    self.nodes.len(),
                    self.range_len()
                ),
            ));
        }
        Ok(())
    }

    /// Refuses what kubectl reads otherwise: its YAML (1.1) ends a line at three characters that YAML 1.2 takes for text, so
    /// behind one of them a comment would go on as fields.
    pub(super) fn check_lines(&self) -> Result<(), Problem> {
        let part = self.text.get(self.range.clone()).unwrap_or_default();
        let Some((at, odd)) = part.char_indices().find(|(_, c)| LINE_ENDS.contains(c)) else {
            return Ok(());
        };
        let before = self.text.get(..self.range.start + at).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        Err(Problem::at(
            place(line, column),
            format!(
                "the character U+{:04X} ends a line for kubectl, which would read something else here: remove it",
                u32::from(odd)
            ),
        ))
    }

    fn range_len(&self) -> u64 {
        self.range.len() as u64
    }
}

/// Where the part of a text begins that a parser reads on its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub(super) offset: usize,
    /// Lines before it.
    pub(super) lines: usize,
    /// Characters before it on its first line.
    pub(super) columns: usize,
}

impl Base {
    /// The place in the whole text of a line and a column, as the parser counts them: lines from 1, columns from 0.
    pub(super) fn place(&self, line: usize, column: usize) -> Mark {
        let column = match line {
            0 | 1 => column + self.columns,
            _ => column,
        };
        place(line + self.lines, column)
    }

    /// The byte in the whole text. Spans over a `&str` always have byte offsets; a missing one would be a fault of the
    /// parser, and the checks of spans against the text would then refuse it.
    pub(super) fn offset(&self, bytes: Option<usize>) -> usize {
        self.offset + bytes.unwrap_or(0)
    }
}

/// A tree while it grows.
pub(super) struct Grower<'t> {
    text: &'t str,
    base: Base,
    /// Most nodes.
    most: usize,
    nodes: Vec<Node>,
    owned: Vec<Box<str>>,
    /// The open collections: the node, its last child so far, whether it is in flow style.
    open: Vec<(u32, u32, bool)>,
    /// Anchors by the parser's numbers, which rise.
    anchors: Vec<(usize, u32)>,
}

impl<'t> Grower<'t> {
    pub(super) fn new(text: &'t str, base: Base, most: usize) -> Self {
        Self {
            text,
            base,
            most,
            nodes: Vec::new(),
            owned: Vec::new(),
            open: Vec::new(),
            anchors: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Problem> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let id = self.push(Shape::Scalar(style), anchor, tag.as_deref(), span)?;
                let node = &self.nodes[id as usize];
                let (start, end) = (node.start as usize, node.end as usize);
                let mut value = value.as_ref();
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                // The parser ends the last line of a text with a line feed that is not there.
                if is_block && end == self.text.len() && !ends_in_blanks(self.text) {
                    value = value.strip_suffix('\n').unwrap_or(value);
                }
                let place = if self.text.get(start..end) == Some(value) {
                    RAW
                } else if self.text.get(start + 1..end.saturating_sub(1)) == Some(value) {
                    INNER
                } else {
                    let place = self.owned.len() as u32;
                    self.owned.push(value.into());
                    place
                };
                self.nodes[id as usize].value = place;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let id = self.push(Shape::Sequence, anchor, tag.as_deref(), span)?;
                self.open.push((id, NONE, style == StructureStyle::Flow));
            }
            Event::MappingStart(style, anchor, tag) => {
                let id = self.push(Shape::Mapping, anchor, tag.as_deref(), span)?;
                self.open.push((id, NONE, style == StructureStyle::Flow));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((id, ..)) = self.open.pop() {
                    let end = self.base.offset(span.end.byte_offset()) as u32;
                    let node = &mut self.nodes[id as usize];
                    node.end = end.max(node.start);
                }
            }
            Event::Alias(anchor) => {
                let id = self.push(Shape::Alias, 0, None, span)?;
                if let Ok(at) = self.anchors.binary_search_by_key(&anchor, |entry| entry.0) {
                    let target = self.anchors[at].1;
                    self.nodes[id as usize].first = target;
                    self.nodes[target as usize].shared = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn push(
        &mut self,
        shape: Shape,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<u32, Problem> {
        let mark = self.base.place(span.start.line(), span.start.col());
        if self.nodes.len() >= self.most {
            return Err(Problem::at(
                mark,
                format!(
                    "the document is too large: it has more than {} values, the most that hikaru reads in one document",
                    self.most
                ),
            ));
        }
        let id = self.nodes.len() as u32;
        let start = self.base.offset(span.start.byte_offset());
        let end = self.base.offset(span.end.byte_offset()).max(start);
        let flow = self.open.last().is_some_and(|open| open.2);
        self.nodes.push(Node {
            shape,
            tagged: tagged(tag),
            flow,
            shared: false,
            start: start as u32,
            end: end as u32,
            mark,
            first: NONE,
            next: NONE,
            value: RAW,
        });
        if let Some((parent, last, _)) = self.open.last_mut() {
            if *last == NONE {
                self.nodes[*parent as usize].first = id;
            } else {
                self.nodes[*last as usize].next = id;
            }
            *last = id;
        }
        if anchor != 0 {
            self.anchors.push((anchor, id));
        }
        Ok(id)
    }

    pub(super) fn finish(self, number: usize, range: Range<usize>) -> Tree<'t> {
        Tree {
            text: self.text,
            nodes: self.nodes,
            owned: self.owned,
            steps: Cell::new(0),
            copied: Cell::new(0),
            number,
            range,
        }
    }
}

/// Whether the last line holds blanks at most: then the line before it has its line feed.
fn ends_in_blanks(text: &str) -> bool {
    let last = text.rsplit(['\n', '\r']).next();
    last.is_none_or(|last| last.trim_start_matches(' ').is_empty())
}

fn tagged(tag: Option<&Tag>) -> Tagged {
    match tag {
        None => Tagged::No,
        Some(tag) if tag.core_suffix() == Some("str") => Tagged::Text,
        Some(tag) if tag.original() == "!" => Tagged::Text,
        Some(_) => Tagged::Other,
    }
}

pub(super) fn place(line: usize, column: usize) -> Mark {
    Mark {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column.saturating_add(1)).unwrap_or(u32::MAX),
    }
}
