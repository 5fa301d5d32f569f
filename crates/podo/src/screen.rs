//! What a user sees of work that takes long: on a terminal, lines below everything else that are redrawn in place; elsewhere, a line when
//! it begins to be long, one now and then, and one at its end.
//!
//! Writes    standard error; standard output gets only what [`say`] is given.
//! Holds always
//! - Nothing is shown of work that takes less than half a second.
//! - Where standard error is no terminal no control character is written, and nowhere one that a name or message brings along.
//! - What others write through this file stands above the lines that are redrawn, whole.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podo_base::Tasks;

use crate::progress::{Step, bytes};

/// From when on work is shown.
const LONG: Duration = Duration::from_millis(500);
/// How often the lines are redrawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often work is told of where nothing can be redrawn.
const REMINDER: Duration = Duration::from_secs(10);
/// How far back a rate looks.
const RATE_WINDOW: Duration = Duration::from_secs(3);
/// At most so many lines are redrawn.
const LINES_MAX: usize = 12;
/// The width of a bar; narrow terminals get none.
const BAR: usize = 24;
/// From this width on a terminal gets bars.
const BAR_FROM: usize = 60;

/// How many lines this process has drawn and not taken away: they stand right above the cursor.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// Goes back over the lines drawn and takes them away.
fn erased(drawn: usize) -> String {
    if drawn == 0 { String::new() } else { format!("\x1b[{drawn}A\r\x1b[J") }
}

/// Replaces what is drawn. Nobody may be listening any more: then nothing is lost.
fn draw(text: &str, lines: usize) {
    let mut drawn = DRAWN.lock();
    let _closed = io::stderr().write_all(format!("{}{text}", erased(*drawn)).as_bytes());
    *drawn = lines;
}

/// Writes a line to standard output.
pub(crate) fn say(text: &str) {
    draw("", 0);
    let _closed = writeln!(io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn tell(text: &str) {
    draw(&format!("{text}\n"), 0);
}

/// Standard error for a log, a whole line at a time.
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        draw("", 0);
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether standard error is a terminal that understands control characters.
pub(crate) fn is_terminal() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    io::stderr().is_terminal() && !is_dumb
}

/// Runs `work` and shows how far it is meanwhile, as `steps` tells.
pub(crate) async fn during<T>(
    work: impl Future<Output = T>,
    steps: impl Fn() -> Vec<Step> + Send + 'static,
) -> T {
    let mut tasks = Tasks::new("screen");
    let stop = tasks.stop_signal();
    tasks.spawn("drawing", async move {
        let mut screen = Screen::new();
        while stop.sleep(FRAME).await {
            screen.show(&steps());
        }
    });
    let result = work.await;
    tasks.stop(Duration::from_secs(1)).await;
    result
}

/// Shows work on standard error; what is drawn goes away with it.
pub(crate) struct Screen {
    is_terminal: bool,
    board: Board,
    redrawn_at: Option<Instant>,
}

impl Screen {
    /// Standard error as it is.
    pub(crate) fn new() -> Self {
        Self { is_terminal: is_terminal(), board: Board::default(), redrawn_at: None }
    }

    /// Shows all work that is going on; what is missing has ended.
    pub(crate) fn show(&mut self, steps: &[Step]) {
        let now = Instant::now();
        self.board.take(steps, now);
        if !self.is_terminal {
            for line in self.board.news(now) {
                tell(&line);
            }
        } else if self.redrawn_at.is_none_or(|at| now.duration_since(at) >= FRAME) {
            self.redrawn_at = Some(now);
            let lines = self.board.frame(now, width());
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            draw(&text, lines.len());
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            draw("", 0);
        } else {
            self.show(&[]);
        }
    }
}

/// Columns of the terminal.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    size.map_or(80, |size| if size.ws_col == 0 { 80 } else { usize::from(size.ws_col) })
}

/// Work that is going on.
struct Work {
    step: Step,
    began: Instant,
    /// How much was done when, within the window of the rate.
    samples: VecDeque<(Instant, u64)>,
    /// When a line told of it last.
    told_at: Option<Instant>,
    told: String,
}

/// All work that is going on, and what has been told of it.
#[derive(Default)]
struct Board {
    works: Vec<Work>,
    ended: Vec<Work>,
}

impl Board {
    fn take(&mut self, steps: &[Step], now: Instant) {
        let is_on = |work: &mut Work| !steps.iter().any(|step| step.what == work.step.what);
        self.ended.extend(self.works.extract_if(.., is_on));
        for step in steps {
            match self.works.iter_mut().find(|work| work.step.what == step.what) {
                Some(work) => work.take(step, now),
                None => self.works.push(Work::new(step, now)),
            }
        }
    }

    /// The lines to be drawn now.
    fn frame(&mut self, now: Instant, width: usize) -> Vec<String> {
        self.ended.clear();
        let long: Vec<&Work> = self.works.iter().filter(|work| work.is_long(now)).collect();
        let shown = if long.len() > LINES_MAX { LINES_MAX - 1 } else { long.len() };
        let lines = long.iter().take(shown).map(|work| work.line(width));
        let more = (long.len() > shown).then(|| format!("… and {} more", long.len() - shown));
        lines.chain(more).map(|line| cut(&line, width)).collect()
    }

    /// The lines to be written now where nothing can be redrawn.
    fn news(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for work in std::mem::take(&mut self.ended) {
            // What ends before it is whole is told of by whoever asked for it.
            if work.told_at.is_some() && work.step.is_whole() {
                let seconds = now.duration_since(work.began).as_secs_f32();
                lines.push(plain(&format!(
                    "{}: {} in {seconds:.1} s",
                    work.step.what,
                    bytes(work.step.total)
                )));
            }
        }
        for work in self.works.iter_mut().filter(|work| work.is_long(now)) {
            let is_due = work.told_at.is_none_or(|at| now.duration_since(at) >= REMINDER);
            let line = plain(&format!("{}: {}", work.step.what, work.state()));
            if is_due && line != work.told {
                (work.told_at, work.told) = (Some(now), line.clone());
                lines.push(line);
            }
        }
        lines
    }
}

impl Work {
    fn new(step: &Step, now: Instant) -> Self {
        let samples = VecDeque::from([(now, step.done)]);
        Self { step: step.clone(), began: now, samples, told_at: None, told: String::new() }
    }

    fn take(&mut self, step: &Step, now: Instant) {
        self.step = step.clone();
        self.samples.push_back((now, step.done));
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW) {
            self.samples.pop_front();
        }
    }

    fn is_long(&self, now: Instant) -> bool {
        now.duration_since(self.began) >= LONG
    }

    /// Bytes a second, lately.
    fn rate(&self) -> u64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let millis = u64::try_from(last.0.duration_since(first.0).as_millis()).unwrap_or(u64::MAX);
        last.1.saturating_sub(first.1).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }

    /// How far it is, in words.
    fn state(&self) -> String {
        let step = &self.step;
        match (step.note.as_str(), step.total) {
            ("", 0) => format!("{}, {}/s", bytes(step.done), bytes(self.rate())),
            ("", total) => {
                format!("{} of {}, {}/s", bytes(step.done), bytes(total), bytes(self.rate()))
            }
            (note, 0) => note.to_owned(),
            (note, total) => format!("{} of {}, {note}", bytes(step.done), bytes(total)),
        }
    }

    fn line(&self, width: usize) -> String {
        let (what, state) = (&self.step.what, self.state());
        if self.step.total == 0 || width < BAR_FROM {
            return format!("{what}: {state}");
        }
        let done = self.step.done.min(self.step.total);
        let share = u128::from(done) * BAR as u128 / u128::from(self.step.total);
        let filled = usize::try_from(share).unwrap_or(BAR);
        let bar = format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR - filled));
        // Of name and state the state must be seen.
        let room = width.saturating_sub(bar.len() + state.chars().count() + 3);
        format!("{} {bar} {state}", cut(what, room))
    }
}

/// A text without what would move the cursor, on one line.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A text that leaves the last column free: a cursor there may already be on the next line.
fn cut(text: &str, width: usize) -> String {
    let text = plain(text);
    let room = width.saturating_sub(1);
    if text.chars().count() <= room {
        return text;
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
