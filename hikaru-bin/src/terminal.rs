//! What the program writes: results on standard output, everything else on standard error. Colors only on a terminal,
//! and not with `NO_COLOR`.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use hikaru_core::text::Escaped;

/// Writes a result to standard output. A reader that closes the pipe is no error: `hikaru … | head` is fine.
pub(crate) fn print(text: &str) -> Result<(), String> {
    write_out(&format!("{}\n", text.trim_end()))
}

fn write_out(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("the result cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// Tells a person something that is no result: one line, whatever a file or an image is called.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text));
}

/// Tells a person why the command does not end with 0: in one line.
pub(crate) fn tell_error(why: &str) {
    tell(&format!("error: {why}"));
}

/// Whether results go to a terminal.
pub(crate) fn is_one() -> bool {
    io::stdout().is_terminal()
}

/// A text of many lines from outside: as it is where a program reads it. On a terminal its line feeds and tabs stay, and
/// what could move the cursor is escaped.
pub(crate) fn print_raw(text: &str) -> Result<(), String> {
    if is_one() {
        let text = text.replace("\r\n", "\n");
        let pieces = text.split_inclusive(['\n', '\t']).map(|piece| {
            let end = piece.len() - usize::from(piece.ends_with(['\n', '\t']));
            format!("{}{}", Escaped(&piece[..end]), &piece[end..])
        });
        return write_out(&pieces.collect::<String>());
    }
    write_out(text)
}

/// A text as it can stand in a line: see [`Escaped`].
pub(crate) fn printable(text: &str) -> String {
    Escaped(text).to_string()
}

/// A table without borders: as wide as the terminal, or one line a row where there is none, for `grep`.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    if is_one() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        table.force_no_tty();
    }
    let last = header.len().saturating_sub(1);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if i == last { 0 } else { 2 }));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A cell of a table: one line, whatever a file is called.
pub(crate) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(printable(text.as_ref()))
}

/// A verdict, or how far a Job or a rollout is, in its color.
pub(crate) fn verdict(text: &str) -> Cell {
    let color = match text {
        "upgraded" | "would upgrade" | "complete" => Color::Green,
        "equal" => Color::DarkGreen,
        "obsolete" => Color::DarkYellow,
        "failed" | "reverted" | "deleted" | "not-deployed" => Color::Red,
        _ => Color::Yellow,
    };
    Cell::new(text).fg(color)
}
