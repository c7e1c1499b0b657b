//! What the program writes: results on standard output, everything else on standard error. Colors only on a terminal,
//! and not with `NO_COLOR`.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

/// Writes a result to standard output. A reader who has gone away is no error: `hikaru … | head` is fine.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("the result cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// Tells a person something that is no result.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text));
}

/// Whether results go to a terminal.
pub(crate) fn is_one() -> bool {
    io::stdout().is_terminal()
}

/// Control characters could move a terminal's cursor: they are shown as escapes. Line breaks of our own stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => c.to_string(),
            c if c.is_control() => c.escape_default().to_string(),
            c => c.to_string(),
        })
        .collect()
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
    Cell::new(printable(text.as_ref()).replace('\n', "\\n"))
}

/// A verdict, in its color.
pub(crate) fn verdict(text: &str) -> Cell {
    let color = match text {
        "upgrade" => Color::Green,
        "equal" => Color::DarkGreen,
        "obsolete" => Color::DarkYellow,
        "failed" => Color::Red,
        _ => Color::Yellow,
    };
    Cell::new(text).fg(color)
}
