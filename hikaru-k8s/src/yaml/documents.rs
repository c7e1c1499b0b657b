//! From a text to its documents: a YAML stream with its `---`, or JSON objects one after the other, as kubectl reads both.
//! This file says why a document cannot be read; `tree` holds the documents that can.

use granit_parser::{ErrorKind, Event, Options, Parser, StrInput};
use serde::de::IgnoredAny;
use std::ops::Range;

use super::Problem;
use super::tree::{Base, Grower, Mark, NODES, TEMPLATE, Tree, place};

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
    /// Where the parts begin that are read one after the other, the last one first.
    parts: Vec<Base>,
    /// The part at hand, and where it ends.
    base: Base,
    end: usize,
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
        let mut parts = stream(text);
        parts.reverse();
        let mut documents = Self {
            text,
            parts,
            base: Base {
                offset: 0,
                lines: 0,
                columns: 0,
            },
            end: 0,
            parser: parser(""),
            number: 0,
            at: 0,
            done: false,
            nodes: NODES,
        };
        documents.next_part();
        documents
    }

    /// Goes on with the next part; without one it is done.
    fn next_part(&mut self) {
        let Some(base) = self.parts.pop() else {
            self.done = true;
            return;
        };
        self.base = base;
        self.end = self
            .parts
            .last()
            .map_or(self.text.len(), |next| next.offset);
        let part = self.text.get(base.offset..self.end).unwrap_or_default();
        self.parser = parser(part);
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
            Some((Event::DocumentStart(..), span)) => self.base.offset(span.start.byte_offset()),
            _ => self.end,
        };
        // A document that starts without `---` starts at its first node: nothing lies between.
        self.at = end.clamp(start, self.text.len());
        if !more {
            self.next_part();
        }
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
        let mut mark = self.base.place(marker.line(), marker.col());
        let from = self.base.offset(marker.byte_offset());
        let tab = tab_after(self.text, from, marker.line() + self.base.lines);
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
                    self.next_part();
                    if self.done {
                        return None;
                    }
                    continue;
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
                    self.next_part();
                    if self.done {
                        return None;
                    }
                }
                Event::DocumentStart(..) => {
                    self.number += 1;
                    grower = Some(Grower::new(self.text, self.base, self.nodes));
                }
                Event::DocumentEnd => {
                    let end = self.base.offset(span.end.byte_offset());
                    let end = end.clamp(self.at, self.text.len());
                    let range = self.at..end;
                    self.at = end;
                    let nodes = grower
                        .take()
                        .unwrap_or_else(|| Grower::new(self.text, self.base, self.nodes));
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

fn parser(text: &str) -> Parser<'_, StrInput<'_>> {
    // Comments are off even where another crate turns the parser's feature on: each would be
    // an event of its own.
    let options = granit_parser::options! { emit_comments: false };
    Parser::new_from_str_with_options(text, options)
}

/// Where the parts of a text begin that are read on their own. Of YAML there is one, the whole text. JSON objects may follow
/// each other without anything between them, which YAML does not know: each but the first begins a part, and so does what
/// follows the last that can be read.
fn stream(text: &str) -> Vec<Base> {
    let mut base = Base {
        offset: 0,
        lines: 0,
        columns: 0,
    };
    let mut parts = vec![base];
    let json = text.trim_start_matches('\u{feff}');
    let skipped = text.len() - json.len();
    if !json.trim_start().starts_with('{') {
        return parts;
    }
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(Ok(_)) = values.next() {
        ends.push(skipped + values.byte_offset());
    }
    // A single object, or none: YAML reads it as well, and what may follow.
    if ends.len() < 2 {
        return parts;
    }
    for end in ends {
        let rest = text.get(end..).unwrap_or_default();
        // The blanks at the end are not looked at once more for each object.
        if rest.trim_start().is_empty() {
            break;
        }
        for c in text.get(base.offset..end).unwrap_or_default().chars() {
            match c {
                '\n' => (base.lines, base.columns) = (base.lines + 1, 0),
                _ => base.columns += 1,
            }
        }
        base.offset = end;
        parts.push(base);
    }
    parts
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
