//! Edits: image scalars are replaced by their bytes and nothing else is. Comments, order, quotes,
//! indentation, line ends and a missing last newline stay, because they are never touched: the
//! new text is the old one with other bytes in the places of the images. It is then read again
//! and compared with the old one. Which image goes where is decided elsewhere.

use granit_parser::ScalarStyle;
use std::collections::HashMap;
use std::ops::Range;

use super::documents::{Documents, Piece};
use super::manifest::{self, Object, Spot, Terms};
use super::path::Detour;
use super::place::Place;
use super::scalar::{Plain, plain};
use super::{Problem, tree};

/// One image to write.
#[derive(Debug)]
pub(crate) struct Edit<'e> {
    /// The object, as `manifest::read` gave it for the text at hand.
    pub(crate) object: &'e Object,
    /// The container's place in `object.workload.containers`.
    pub(crate) container: usize,
    /// The image to write.
    pub(crate) to: &'e str,
}

/// Some bytes of the text, and what stands there afterwards.
struct Splice {
    span: Range<usize>,
    to: String,
}

/// Writes images into a document. Returns the document's new text; `range` is the document's
/// place in `text`, and `objects` is all that was read from it. Linear in the document's size.
///
/// # Errors
/// An image that must not or cannot be written in its place, and what a person can do about it.
pub(crate) fn edit(
    text: &str,
    range: Range<usize>,
    objects: &[Object],
    edits: &[Edit<'_>],
    terms: &Terms,
) -> Result<String, Problem> {
    let mut splices = Vec::with_capacity(edits.len());
    for edit in edits {
        splices.push(splice(text, edit)?);
    }
    splices.sort_by_key(|splice| splice.span.start);
    let old = text.get(range.clone()).unwrap_or_default();
    let mut new = String::with_capacity(old.len() + 64 * edits.len());
    let mut at = range.start;
    for Splice { span, to } in &splices {
        // Overlapping spans would be two edits of one place.
        let between = (at <= span.start && span.end <= range.end)
            .then(|| text.get(at..span.start))
            .flatten();
        let Some(between) = between else {
            return Err(unsound(edits, "the places of two images overlap"));
        };
        new.push_str(between);
        new.push_str(to);
        at = span.end;
    }
    new.push_str(text.get(at..range.end).unwrap_or_default());
    verify(old, &new, range.start, &splices).map_err(|why| unsound(edits, why))?;
    compare(&new, objects, edits, terms).map_err(|why| unsound(edits, &why))?;
    Ok(new)
}

/// Whether an edit would be refused for the place where its image stands, or for what it writes.
///
/// # Errors
/// As `edit`, which looks at the whole document too.
pub(crate) fn check(text: &str, edit: &Edit<'_>) -> Result<(), Problem> {
    splice(text, edit).map(drop)
}

/// The bytes of one image and what replaces them, in the style that stands there.
fn splice(text: &str, edit: &Edit<'_>) -> Result<Splice, Problem> {
    let Some((spot, container)) = edit
        .object
        .images
        .get(edit.container)
        .zip(edit.object.workload.containers.get(edit.container))
    else {
        return Err(unsound(
            std::slice::from_ref(edit),
            "there is no such container",
        ));
    };
    let refuse = |why: String| {
        let what = manifest::told(container);
        Problem::at(
            spot.mark,
            format!("the image of {what} was not written: {why}"),
        )
    };
    if let Some(detour) = spot.detour {
        return Err(refuse(detoured(detour)));
    }
    if let Some(odd) = edit.to.chars().find(|c| !may_stand(*c)) {
        return Err(refuse(format!(
            "{odd:?} cannot stand in an image reference"
        )));
    }
    let raw = text.get(spot.span.clone()).unwrap_or_default();
    let quoted = |quote: char| {
        raw.len() >= 2
            && raw.starts_with(quote)
            && raw.ends_with(quote)
            && !raw.contains(['\n', '\r'])
    };
    let inner = spot.span.start + 1..spot.span.end.saturating_sub(1);
    let lines = || refuse("it is written over several lines; write it on one line".to_owned());
    let (span, to) = match spot.style {
        ScalarStyle::Plain if raw == &*container.image => {
            (spot.span.clone(), plainly(edit.to, spot.flow))
        }
        ScalarStyle::SingleQuoted if quoted('\'') => (inner, edit.to.to_owned()),
        ScalarStyle::DoubleQuoted if quoted('"') => (inner, edit.to.to_owned()),
        // The span of a block scalar is its content, with the line ends that follow it.
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let image = container.image.trim_end_matches('\n');
            if image.contains('\n')
                || !raw.starts_with(image)
                || !raw[image.len()..].trim().is_empty()
            {
                return Err(lines());
            }
            let start = spot.span.start;
            (start..start + image.len(), edit.to.to_owned())
        }
        _ => return Err(lines()),
    };
    Ok(Splice { span, to })
}

fn detoured(detour: Detour) -> String {
    let (place, advice) = match detour {
        Detour::Alias(mark) => (
            format!(
                "it is reached through the alias at line {}, column {}",
                mark.line, mark.column
            ),
            "write the image out in its own place",
        ),
        Detour::Merge(mark) => (
            format!(
                "it comes by the merge key << at line {}, column {}",
                mark.line, mark.column
            ),
            "give the container an image of its own",
        ),
        Detour::Shared(mark) => (
            format!(
                "the anchored value at line {}, column {} is used elsewhere too and would change there",
                mark.line, mark.column
            ),
            "write the other one out",
        ),
    };
    format!("{place}; {advice}")
}

/// The characters of an image reference (distribution/reference): none of them needs an escape
/// inside quotes or ends a line.
fn may_stand(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-:/@[]".contains(c)
}

/// A text where a plain scalar stands. Where it would not read as the same text it is put in
/// double quotes, which every style of document takes, JSON too: refusing would keep back an
/// upgrade for the sake of two characters that are part of the image's scalar anyway.
fn plainly(text: &str, flow: bool) -> String {
    let stands = text.chars().next().is_some_and(|first| {
        first.is_ascii_alphanumeric() || first == '_' || first == '.' || first == '/'
    }) && !text.ends_with(':')
        && !(flow && text.contains(['[', ']']))
        && plain(text) == Plain::Text;
    if stands {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// Every byte outside the splices is what it was, and inside them stands what was to be written.
fn verify(old: &str, new: &str, start: usize, splices: &[Splice]) -> Result<(), &'static str> {
    const WHY: &str = "bytes beside the image would have changed";
    let (mut old, mut new, mut at) = (old.as_bytes(), new.as_bytes(), start);
    for Splice { span, to } in splices {
        let (before, rest) = old.split_at_checked(span.start - at).ok_or(WHY)?;
        new = new.strip_prefix(before).ok_or(WHY)?;
        new = new.strip_prefix(to.as_bytes()).ok_or(WHY)?;
        old = rest.get(span.len()..).ok_or(WHY)?;
        at = span.end;
    }
    if old == new { Ok(()) } else { Err(WHY) }
}

/// The new text reads as the old one did, but for the images that were to be written.
fn compare(new: &str, objects: &[Object], edits: &[Edit<'_>], terms: &Terms) -> Result<(), String> {
    let mut pieces = Documents::new(new);
    let tree = match (pieces.next(), pieces.next()) {
        (Some(Piece::Document(tree)), None) => tree,
        (Some(Piece::Broken { problem, .. }), _) => {
            return Err(format!("the document would not be read again: {problem}"));
        }
        _ => return Err("the document would not be read again as one".to_owned()),
    };
    let mut found = Vec::with_capacity(objects.len());
    // Problems of other objects were there before; a new one shows in the numbers.
    manifest::read(&tree, terms, &mut |object| found.extend(object.ok()));
    if found.len() != objects.len() {
        return Err("other objects would have changed".to_owned());
    }
    let mut edits_of: HashMap<&Place, Vec<&Edit<'_>>> = HashMap::new();
    for edit in edits {
        edits_of.entry(&edit.object.place).or_default().push(edit);
    }
    for (before, after) in objects.iter().zip(&found) {
        let mut expected = before.workload.clone();
        for edit in edits_of.get(&before.place).into_iter().flatten() {
            if let Some(container) = expected.containers.get_mut(edit.container) {
                container.image = edit.to.into();
            }
        }
        if expected != after.workload {
            let found = images(&after.workload);
            return Err(format!(
                "{} would read {found}, expected {}",
                before.workload.id,
                images(&expected)
            ));
        }
    }
    Ok(())
}

fn images(workload: &hikaru_core::Workload) -> String {
    let images: Vec<&str> = workload.containers.iter().map(|c| &*c.image).collect();
    images.join(", ")
}

/// A refusal that no manifest should ever bring about: the checks after the edit found something.
fn unsound(edits: &[Edit<'_>], why: &str) -> Problem {
    let mark = edits
        .iter()
        .find_map(|edit| edit.object.images.get(edit.container))
        .map_or(tree::Mark { line: 1, column: 1 }, |spot: &Spot| spot.mark);
    Problem::at(mark, format!("nothing was written: {why}"))
}
