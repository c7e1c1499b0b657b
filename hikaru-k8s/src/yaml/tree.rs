//! From text to trees: one compact tree a document, each node with its place in the text.
//! What a manifest means is not known here (`manifest`), and nothing is written (`edit`).

use granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag,
};
use std::cell::Cell;
use std::ops::Range;

use super::Problem;

/// Largest number of nodes in one document. A node costs 44 bytes here, so this is 44 MB.
pub(crate) const NODES: usize = 1_000_000;

/// Said where `{{` stands in place of YAML or of a value.
pub(super) const TEMPLATE: &str =
    "`{{` looks like an unrendered template: hikaru reads rendered manifests";

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

/// A node by its number. It is only good in the tree that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    fn range_len(&self) -> u64 {
        self.range.len() as u64
    }
}

/// What a file holds, in order: trees, and documents that cannot be read.
#[derive(Debug)]
pub(crate) enum Piece<'t> {
    Document(Tree<'t>),
    Broken {
        range: Range<usize>,
        problem: Problem,
    },
}

/// The documents of a text, one at a time. After a document that cannot be read it goes on with
/// the next `---`, so one bad document does not hide the others.
pub(crate) struct Documents<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    number: usize,
    /// Where the last document ended.
    at: usize,
    done: bool,
    /// Most nodes of a document.
    nodes: usize,
}

impl<'t> Documents<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        // Comments are off even where another crate turns the parser's feature on: each would be
        // an event of its own.
        let options = granit_parser::options! { emit_comments: false };
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            number: 0,
            at: 0,
            done: false,
            nodes: NODES,
        }
    }

    /// With fewer nodes in a document than usual.
    pub(crate) fn at_most(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Gives up the document at hand and finds the start of the next.
    fn give_up(&mut self, problem: Problem) -> Piece<'t> {
        let start = self.at;
        let more = self.parser.proceed_next_document().unwrap_or(false);
        let next = if more {
            self.parser.peek().and_then(|event| event.ok())
        } else {
            None
        };
        let end = match next {
            Some((Event::DocumentStart(..), span)) => offset(span.start.byte_offset()),
            _ => self.text.len(),
        };
        self.done = !more;
        // A document that starts without `---` starts at its first node: nothing lies between.
        self.at = end.clamp(start, self.text.len());
        let range = start..self.at;
        let part = self.text.get(range.clone()).unwrap_or_default();
        let problem = if part.contains("{{") {
            problem.and(TEMPLATE)
        } else {
            problem
        };
        Piece::Broken { range, problem }
    }

    fn broken(&mut self, error: &granit_parser::ScanError) -> Piece<'t> {
        let marker = *error.marker();
        let mut mark = place(marker.line(), marker.col());
        let tab = tab_after(self.text, offset(marker.byte_offset()), marker.line());
        let info = error.info();
        // The parser points at the scalar before a tab; people look for the tab.
        if let Some(tab) = tab.filter(|_| info.contains("found a tab")) {
            mark = tab;
        }
        let message = match error.kind() {
            ErrorKind::RecursionLimitExceeded => {
                let depth = Options::default().block_nesting_limit;
                format!("is no YAML that hikaru reads: it is nested more than {depth} deep")
            }
            _ => format!("is no YAML: {info}"),
        };
        let mut problem = Problem::at(mark, message);
        if let Some(tab) = tab.filter(|_| !info.contains("tab")) {
            problem = problem.and(&format!(
                "line {} is indented with a tab, which YAML does not allow",
                tab.line
            ));
        }
        self.give_up(problem)
    }
}

impl<'t> Iterator for Documents<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.done {
            return None;
        }
        let mut grower: Option<Grower<'t>> = None;
        loop {
            let (event, span) = match self.parser.next_event() {
                None => {
                    self.done = true;
                    return None;
                }
                Some(Ok(next)) => next,
                Some(Err(error)) => {
                    if grower.is_none() {
                        self.number += 1;
                    }
                    return Some(self.broken(&error));
                }
            };
            match event {
                Event::StreamStart => {}
                Event::StreamEnd => {
                    self.done = true;
                    return None;
                }
                Event::DocumentStart(..) => {
                    self.number += 1;
                    grower = Some(Grower::new(self.text, self.nodes));
                }
                Event::DocumentEnd => {
                    let end = offset(span.end.byte_offset()).clamp(self.at, self.text.len());
                    let range = self.at..end;
                    self.at = end;
                    let nodes = grower
                        .take()
                        .unwrap_or_else(|| Grower::new(self.text, self.nodes));
                    return Some(Piece::Document(nodes.finish(self.number, range)));
                }
                event => {
                    let Some(tree) = grower.as_mut() else {
                        continue;
                    };
                    if let Err(problem) = tree.take(event, span) {
                        return Some(self.give_up(problem));
                    }
                }
            }
        }
    }
}

/// A tree while it grows.
struct Grower<'t> {
    text: &'t str,
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
    fn new(text: &'t str, most: usize) -> Self {
        Self {
            text,
            most,
            nodes: Vec::new(),
            owned: Vec::new(),
            open: Vec::new(),
            anchors: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Problem> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let id = self.push(Shape::Scalar(style), anchor, tag.as_deref(), span)?;
                let node = &self.nodes[id as usize];
                let (start, end) = (node.start as usize, node.end as usize);
                let place = if self.text.get(start..end) == Some(value.as_ref()) {
                    RAW
                } else if self.text.get(start + 1..end.saturating_sub(1)) == Some(value.as_ref()) {
                    INNER
                } else {
                    let place = self.owned.len() as u32;
                    self.owned.push(value.into_owned().into_boxed_str());
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
                    let end = offset(span.end.byte_offset()) as u32;
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
        let mark = place(span.start.line(), span.start.col());
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
        let start = offset(span.start.byte_offset());
        let end = offset(span.end.byte_offset()).max(start);
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

    fn finish(self, number: usize, range: Range<usize>) -> Tree<'t> {
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

fn tagged(tag: Option<&Tag>) -> Tagged {
    match tag {
        None => Tagged::No,
        Some(tag) if tag.core_suffix() == Some("str") => Tagged::Text,
        Some(tag) if tag.original() == "!" => Tagged::Text,
        Some(_) => Tagged::Other,
    }
}

/// Spans over a `&str` always have byte offsets; a missing one would be a fault of the parser,
/// and the checks of spans against the text would then refuse it.
fn offset(bytes: Option<usize>) -> usize {
    bytes.unwrap_or(0)
}

fn place(line: usize, column: usize) -> Mark {
    Mark {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column.saturating_add(1)).unwrap_or(u32::MAX),
    }
}

/// The place of the first tab that indents one of the next lines after a byte on line `line`.
fn tab_after(text: &str, from: usize, line: usize) -> Option<Mark> {
    const LINES: usize = 3;
    let lines = text.get(from..)?.split('\n').enumerate();
    // What stands before `from` on its own line is content.
    for (index, part) in lines.skip(1).take(LINES) {
        let blank = part.len() - part.trim_start_matches(' ').len();
        if part[blank..].starts_with('\t') {
            return Some(place(line + index, blank));
        }
    }
    None
}
