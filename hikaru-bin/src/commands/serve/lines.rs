//! The lines of the log: whatever a server, a file or a caller wrote, an event is one line, and nothing in it turns the
//! direction of the text or moves a terminal's cursor. What is logged, and at which level, is decided elsewhere.

use std::io::{self, Stderr};

use hikaru_core::text::Escaped;
use tracing_subscriber::{
    field::MakeExt as _,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
    },
};

use crate::commands::tame;

/// The fields of an event as text for people.
pub(super) fn text() -> impl for<'w> FormatFields<'w> {
    let field =
        |writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let value = format!("{value:?}");
            if field.name() != "message" {
                write!(writer, "{field}=")?;
            }
            write!(writer, "{}", Escaped(&value))
        };
    debug_fn(field).delimited(" ")
}

/// Writes lines of JSON to standard error: what could end a line or turn it elsewhere than in JSON is an escape of JSON's
/// own.
pub(super) struct Json<W = Stderr>(pub(super) W);

impl<W: io::Write> io::Write for Json<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // An event comes in one piece.
        let shown = tame(&String::from_utf8_lossy(line));
        self.0.write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("kept").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_that_reads_from_left_to_right() {
        let odd = "a\nb\u{2028}c\u{202e}d\u{85}e\u{1b}[2Kf";
        for json in [true, false] {
            let kept = Kept::default();
            let lines = tracing_subscriber::fmt::layer().with_ansi(false);
            let lines = if json {
                let kept = kept.clone();
                lines
                    .json()
                    .flatten_event(true)
                    .with_writer(move || Json(kept.clone()))
                    .boxed()
            } else {
                let kept = kept.clone();
                lines
                    .fmt_fields(text())
                    .with_writer(move || kept.clone())
                    .boxed()
            };
            let subscriber = tracing_subscriber::registry().with(lines);
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(text = odd, display = %odd, "message {odd}");
            });
            let written = kept.0.lock().expect("kept").clone();
            let written = String::from_utf8(written).expect("UTF-8");
            let line = written.strip_suffix('\n').expect("a line's end");
            assert!(!line.contains(Escaped::escapes), "{line:?}");
            if json {
                let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(event["text"], odd);
                assert_eq!(event["message"], format!("message {odd}"));
            } else {
                let shown = r"a\nb\u{2028}c\u{202e}d\u{85}e\u{1b}[2Kf";
                assert!(line.contains(&format!("message {shown}")), "{line}");
                assert!(line.contains(&format!("display={shown}")), "{line}");
            }
        }
    }
}
