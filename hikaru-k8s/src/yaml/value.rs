//! From a tree to a JSON value, as the API server would make it: plain scalars have the types of sigs.k8s.io/yaml, aliases
//! are expanded and maps merged, within a budget. What has no JSON form is refused with its place.

use granit_parser::ScalarStyle;
use serde_json::{Map, Number, Value};

use super::documents::{Documents, Piece};
use super::path::Cursor;
use super::scalar::{Plain, number, plain, truth};
use super::tree::{LINE_ENDS, NodeId, Shape, TEMPLATE, Tagged, Tree};
use super::{Problem, path::excerpt};

/// How large a value may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Values, all levels together.
    pub(crate) values: usize,
    /// Bytes of text, keys included.
    pub(crate) bytes: usize,
    /// Maps and lists in one another.
    pub(crate) depth: usize,
}

impl Tree<'_> {
    /// The document as JSON. `None`: it is empty, or `null`.
    pub(crate) fn json(&self, budget: Budget) -> Result<Option<Value>, Problem> {
        let Some(top) = self.top()? else {
            return Ok(None);
        };
        let mut writer = Writer {
            tree: self,
            left: budget,
        };
        let value = writer.value(top, budget.depth)?;
        Ok(Some(value).filter(|value| !value.is_null()))
    }
}

impl Tree<'_> {
    /// Whether the document is an object of this kind and apiVersion.
    pub(crate) fn is_of(&self, kind: &str, version: &str) -> bool {
        let says = || {
            let top = self.top().ok()??;
            let fields = self
                .fields(top, &"the object", ["kind", "apiVersion"])
                .ok()?;
            let [found_kind, found_version] = fields;
            let found_kind = self.string(found_kind?, &"kind").ok()?;
            let found_version = self.string(found_version?, &"apiVersion").ok()?;
            Some(found_kind == kind && found_version == version)
        };
        says().unwrap_or(false)
    }
}

/// A value as YAML, which every reader takes for the same value: those of YAML 1.1 and of YAML 1.2.
pub(crate) fn write(value: &Value) -> String {
    let read = |text: &str| match Documents::new(text).next() {
        Some(Piece::Document(tree)) => tree.json(BOUNDLESS).ok().flatten(),
        _ => None,
    };
    let text = serde_saphyr::to_string(value).ok();
    let text = text.filter(|text| !text.contains(is_odd) && read(text).as_ref() == Some(value));
    let text = text.unwrap_or_else(|| json(value));
    if text.ends_with('\n') {
        text
    } else {
        format!("{text}\n")
    }
}

/// The value as JSON, which is YAML, too.
fn json(value: &Value) -> String {
    let mut text = String::new();
    for c in format!("{value:#}").chars() {
        // They stand in strings alone.
        if is_odd(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// Whether a character is escaped wherever it stands: readers of YAML take it for the end of a line, or refuse it.
fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\n')
        || LINE_ENDS.contains(&c)
        || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

const BOUNDLESS: Budget = Budget {
    values: usize::MAX,
    bytes: usize::MAX,
    depth: usize::MAX,
};

struct Writer<'w, 't> {
    tree: &'w Tree<'t>,
    left: Budget,
}

impl Writer<'_, '_> {
    fn value(&mut self, at: Cursor, depth: usize) -> Result<Value, Problem> {
        let tree = self.tree;
        self.spend(at.node, 0)?;
        if tree.tagged(at.node) == Tagged::Other {
            return Err(self.no_json(at.node, "a value with a tag of its own"));
        }
        match tree.shape(at.node) {
            Shape::Scalar(style) => self.scalar(at.node, style),
            Shape::Sequence => {
                let depth = self.deeper(at.node, depth)?;
                let mut list = Vec::new();
                for item in tree.items(at, &"a list")? {
                    list.push(self.value(item?, depth)?);
                }
                Ok(Value::Array(list))
            }
            Shape::Mapping => {
                let depth = self.deeper(at.node, depth)?;
                self.check_keys(at.node)?;
                let mut map = Map::new();
                for (key, value) in tree.entries(at, &"a map", |_| true)? {
                    self.spend(at.node, key.len())?;
                    map.insert(key.to_owned(), self.value(value, depth)?);
                }
                Ok(Value::Object(map))
            }
            // A cursor never stands on one.
            Shape::Alias => Err(self.no_json(at.node, "an alias")),
        }
    }

    fn scalar(&mut self, node: NodeId, style: ScalarStyle) -> Result<Value, Problem> {
        let tree = self.tree;
        let text = tree.value(node);
        let typed = style == ScalarStyle::Plain && tree.tagged(node) == Tagged::No;
        match if typed { plain(text) } else { Plain::Text } {
            Plain::Null => Ok(Value::Null),
            Plain::Bool => Ok(Value::Bool(truth(text))),
            Plain::Number => {
                let number = number(text).and_then(|number| match number {
                    super::scalar::Numeric::Unsigned(n) => Some(Number::from(n)),
                    super::scalar::Numeric::Signed(n) => Some(Number::from(n)),
                    super::scalar::Numeric::Float(n) => Number::from_f64(n),
                });
                let number = number.ok_or_else(|| {
                    self.no_json(node, "a number that is infinite or not a number")
                })?;
                Ok(Value::Number(number))
            }
            Plain::Text => {
                self.spend(node, text.len())?;
                Ok(Value::String(text.to_owned()))
            }
        }
    }

    /// Every key is a string: others would come out as something else, or not at all.
    fn check_keys(&self, map: NodeId) -> Result<(), Problem> {
        let tree = self.tree;
        let mut child = tree.first(map);
        while let Some(key) = child {
            let Some(value) = tree.next(key) else { break };
            child = tree.next(value);
            let node = tree.target(key).unwrap_or(key);
            let found = match (tree.shape(node), tree.tagged(node)) {
                (Shape::Scalar(ScalarStyle::Plain), Tagged::No) => match plain(tree.value(node)) {
                    Plain::Text => continue,
                    Plain::Null => "nothing".to_owned(),
                    Plain::Bool => format!("the boolean {}", tree.value(node)),
                    Plain::Number => format!("the number {}", excerpt(tree.value(node))),
                },
                (Shape::Scalar(_), Tagged::No | Tagged::Text) => continue,
                (Shape::Scalar(_), Tagged::Other) => "a value with a tag of its own".to_owned(),
                (Shape::Mapping, _) => "a map".to_owned(),
                _ => "a list".to_owned(),
            };
            let typed = found.starts_with("the ");
            let hint = if typed { ": quote it" } else { "" };
            let message = format!("expected a string as a key, found {found}{hint}");
            let problem = Problem::at(tree.mark(key), message);
            let template = tree.source(map).starts_with("{{");
            return Err(if template {
                problem.and(TEMPLATE)
            } else {
                problem
            });
        }
        Ok(())
    }

    fn deeper(&self, node: NodeId, depth: usize) -> Result<usize, Problem> {
        depth.checked_sub(1).ok_or_else(|| {
            let message = "maps and lists are nested too deep here: expected at most 100 levels";
            Problem::at(self.tree.mark(node), message)
        })
    }

    fn spend(&mut self, node: NodeId, bytes: usize) -> Result<(), Problem> {
        let left = &mut self.left;
        match (left.values.checked_sub(1), left.bytes.checked_sub(bytes)) {
            (Some(values), Some(bytes)) => {
                (left.values, left.bytes) = (values, bytes);
                Ok(())
            }
            _ => Err(Problem::at(
                self.tree.mark(node),
                "the definition is too large, aliases and merge keys counted each time that they are used",
            )),
        }
    }

    fn no_json(&self, node: NodeId, found: &str) -> Problem {
        let source = excerpt(self.tree.source(node));
        Problem::at(
            self.tree.mark(node),
            format!("expected a value that JSON has, too, found {found}: {source}"),
        )
    }
}
