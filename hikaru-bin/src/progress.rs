//! How far things are that a command waits for, told on standard error: on a terminal a bar for each, drawn anew in place; elsewhere, as
//! in the log of a pipeline, a line for each change and a reminder from time to time. What a row says is up to the command.

use std::{
    io, mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::{printable, tell};

/// Where there are no bars, it is told again what is awaited when nothing was told for so long.
const REMINDER: Duration = Duration::from_secs(30);

/// The size of a terminal that does not tell its own: columns, rows.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// On a terminal of fewer columns there is no room for bars beside the words.
const NARROW: usize = 60;

/// How far one thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What is waited for.
    pub(crate) name: String,
    /// How it is, in a sentence that does not name it.
    pub(crate) words: String,
    /// The same where there is less room.
    pub(crate) short: String,
    /// How much of it is done, of how much.
    pub(crate) done: Option<(u64, u64)>,
    pub(crate) standing: Standing,
    /// What a change is told by: words change with the time alone.
    pub(crate) news: String,
}

/// How a thing stands: what needs to be seen first is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Failed,
    /// It goes on, but something holds it up.
    HeldUp,
    GoesOn,
    EndedWell,
}

impl Row {
    /// A thing that was not looked at yet.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            words: "not looked at yet".to_owned(),
            short: String::new(),
            done: None,
            standing: Standing::GoesOn,
            news: String::new(),
        }
    }

    fn goes_on(&self) -> bool {
        matches!(self.standing, Standing::HeldUp | Standing::GoesOn)
    }
}

/// What is told while a command waits. On a terminal it is gone when this is dropped.
pub(crate) struct Progress {
    told: Mutex<Told>,
    begun: Instant,
    within: Duration,
    /// `None`: standard error is no terminal that can draw.
    bars: Option<Bars>,
}

/// What was told, and when that changed.
struct Told {
    rows: Vec<Row>,
    last: Instant,
}

impl Progress {
    /// Of these things, which are waited for at most so long.
    pub(crate) fn new(rows: Vec<Row>, within: Duration) -> Self {
        let target = ProgressDrawTarget::stderr();
        let bars = (!target.is_hidden()).then(|| Bars::new(target, rows.len()));
        let begun = Instant::now();
        let told = Mutex::new(Told { rows, last: begun });
        let progress = Self {
            told,
            begun,
            within,
            bars,
        };
        progress.draw(&progress.told());
        progress
    }

    /// Tells how one of them is now, by its place.
    pub(crate) fn show(&self, place: usize, row: Row) {
        let mut told = self.told();
        let Some(known) = told.rows.get_mut(place) else {
            return;
        };
        let is_new = known.news != row.news && known.words != row.words;
        let old = mem::replace(known, row);
        if self.bars.is_some() {
            self.draw(&told);
        } else if is_new {
            tell(&format!("{}: {}", known.name, known.words));
            told.last = Instant::now();
        } else {
            // It is told with the next words that differ.
            known.news = old.news;
        }
    }

    /// Lets time pass: to be called each second.
    pub(crate) fn tick(&self) {
        let mut told = self.told();
        if self.bars.is_some() {
            self.draw(&told);
        } else if told.last.elapsed() >= REMINDER && !told.rows.is_empty() {
            tell(&reminder(&told.rows, &self.waited()));
            told.last = Instant::now();
        }
    }

    /// Stops telling, and leaves the bars as they are: what a terminal echoes at a Ctrl-C has moved its cursor, so they cannot be
    /// written over.
    pub(crate) fn leave(mut self) {
        if let Some(bars) = self.bars.take() {
            bars.multi.set_draw_target(ProgressDrawTarget::hidden());
            tell("");
        }
    }

    fn draw(&self, told: &Told) {
        if let Some(bars) = self.bars.as_ref().filter(|_| !told.rows.is_empty()) {
            bars.draw(&told.rows, &self.waited());
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `42s of 15m00s`.
    fn waited(&self) -> String {
        let (waited, within) = (clock(self.begun.elapsed()), clock(self.within));
        format!("{waited} of {within}")
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bars) = &self.bars {
            let _ = bars.multi.clear();
            // Bars that are dropped one after the other draw those that are left.
            bars.multi.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

/// `waiting for 2 of 5, 30s of 15m00s: shop/Deployment/web: … (and 1 more)`: what holds something up comes first.
fn reminder(rows: &[Row], waited: &str) -> String {
    let awaited = || rows.iter().filter(|row| row.goes_on());
    let first = awaited().min_by_key(|row| row.standing);
    let first = first.map_or_else(String::new, |row| format!(": {}: {}", row.name, row.words));
    let count = awaited().count();
    let others = match count.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!(
        "waiting for {count} of {}, {waited}{first}{others}",
        rows.len()
    )
}

/// The bars: one for each row that there is room for, and a last line on all.
struct Bars {
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
    last: ProgressBar,
    columns: usize,
}

impl Bars {
    fn new(target: ProgressDrawTarget, rows: usize) -> Self {
        let (columns, lines) = terminal_size();
        let multi = MultiProgress::with_draw_target(target);
        let bar = || multi.add(ProgressBar::new(1).with_style(style("{wide_msg}")));
        // A line for all, and one for the cursor.
        let room = lines.saturating_sub(2).max(1);
        let bars = (0..rows.min(room)).map(|_| bar()).collect();
        let last = bar();
        Self {
            multi,
            bars,
            last,
            columns,
        }
    }

    fn draw(&self, rows: &[Row], waited: &str) {
        let shown = shown(rows, self.bars.len());
        let names = shown.iter().map(|row| row.name.chars().count());
        let width = names.max().unwrap_or(0).min(self.columns / 3);
        for (bar, row) in self.bars.iter().zip(&shown) {
            let name = printable(&row.name);
            let words = match row.short.is_empty() {
                true => printable(&row.words),
                false => printable(&row.short),
            };
            match row.done {
                Some((done, all)) if self.columns >= NARROW => {
                    bar.set_style(style("{prefix} [{bar:8}] {wide_msg}"));
                    bar.set_prefix(fit(&name, width));
                    bar.set_length(all);
                    bar.set_position(done.min(all));
                    bar.set_message(format!("{done}/{all} ready  {words}"));
                }
                done => {
                    let done = done.map(|(done, all)| format!(" {done}/{all}"));
                    let name = match self.columns < NARROW {
                        true => name.rsplit('/').next().unwrap_or_default(),
                        false => &name,
                    };
                    bar.set_style(style("{wide_msg}"));
                    bar.set_message(format!("{name}{} {words}", done.unwrap_or_default()));
                }
            }
        }
        self.last
            .set_message(summary(rows, rows.len() - shown.len(), waited));
    }
}

/// The rows that are shown where there is room for so many: those that need to be seen first, in the order that they have anyway.
fn shown(rows: &[Row], room: usize) -> Vec<&Row> {
    let mut places: Vec<usize> = (0..rows.len()).collect();
    places.sort_by_key(|place| rows[*place].standing);
    places.truncate(room);
    places.sort_unstable();
    places.into_iter().map(|place| &rows[place]).collect()
}

/// `2 of 5 have ended, 42s of 15m00s`, and how many rows there was no room for.
fn summary(rows: &[Row], hidden: usize, waited: &str) -> String {
    let ended = rows.iter().filter(|row| !row.goes_on()).count();
    let (all, have) = (rows.len(), if ended == 1 { "has" } else { "have" });
    let hidden = match hidden {
        0 => String::new(),
        hidden => format!(" ({hidden} are not shown)"),
    };
    format!("{ended} of {all} {have} ended, {waited}{hidden}")
}

/// A name in so many columns. Its end tells more than its beginning.
fn fit(name: &str, width: usize) -> String {
    let length = name.chars().count();
    match length.checked_sub(width) {
        None | Some(0) => format!("{name:width$}"),
        Some(over) => name.chars().skip(over).collect(),
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    // Both templates can be read.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("#-")
}

/// Columns and rows of the terminal behind standard error.
fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => USUAL_SIZE,
    }
}

/// `42s`, `3m05s`, `1h00m`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, standing: Standing) -> Row {
        Row {
            words: format!("{name} words"),
            standing,
            ..Row::new(name)
        }
    }

    #[test]
    fn where_there_is_no_room_for_all_rows_the_ended_ones_give_way() {
        let rows = [
            row("a", Standing::EndedWell),
            row("b", Standing::GoesOn),
            row("c", Standing::HeldUp),
            row("d", Standing::Failed),
        ];
        let names = |room: usize| {
            let shown = shown(&rows, room);
            shown.iter().map(|row| &*row.name).collect::<String>()
        };
        assert_eq!(
            [names(1), names(2), names(3), names(4), names(9)],
            ["d", "cd", "bcd", "abcd", "abcd"]
        );
        assert_eq!(
            summary(&rows, 3, "5s of 1m00s"),
            "2 of 4 have ended, 5s of 1m00s (3 are not shown)"
        );
        assert_eq!(
            reminder(&rows, "30s of 1m00s"),
            "waiting for 2 of 4, 30s of 1m00s: c: c words (and 1 more)"
        );
        assert_eq!(
            reminder(&rows[..1], "30s of 1m00s"),
            "waiting for 0 of 1, 30s of 1m00s"
        );
    }

    #[test]
    fn names_fit_and_times_are_short() {
        assert_eq!(fit("shop/web", 10), "shop/web  ");
        assert_eq!(fit("shop/Deployment/web", 8), "ment/web");
        assert_eq!(fit("shop", 0), "");
        let clock = |seconds| clock(Duration::from_secs(seconds));
        assert_eq!(
            [clock(0), clock(59), clock(185), clock(3600), clock(90_061)],
            ["0s", "59s", "3m05s", "1h00m", "25h01m"]
        );
    }
}
