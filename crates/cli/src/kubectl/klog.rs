//! What kubectl tells through its log, on standard error: `W0102 15:04:05.000000   12345 helpers.go:719] TEXT`.
//!
//! The form is klog's: the first letter of the severity, month and day, local time in microseconds, the process, and the place in
//! kubectl v1.36 that says it, by which its users find the line again.

use podo_base::Timestamp;

use super::context::Ctx;
use super::time;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Warning,
    Error,
}

/// Tells a line.
pub(crate) fn tell(ctx: &Ctx, severity: Severity, place: &str, text: &str) {
    ctx.note(line(severity, time::now(), std::process::id(), place, text));
}

fn line(severity: Severity, at: Timestamp, process: u32, place: &str, text: &str) -> String {
    let letter = match severity {
        Severity::Warning => 'W',
        Severity::Error => 'E',
    };
    let local = time::Local::of(at.as_seconds());
    let [hours, minutes, seconds] = local.clock;
    let micros = at.as_micros().rem_euclid(1_000_000);
    format!(
        "{letter}{:02}{:02} {hours:02}:{minutes:02}:{seconds:02}.{micros:06} {process:7} {place}] {text}",
        local.month, local.day
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_klogs_form() {
        let at = Timestamp::parse("2026-11-29T09:04:05.000042Z").unwrap();
        let line = line(Severity::Warning, at, 4711, "helpers.go:719", "text");
        let (head, rest) = line.split_at(5);
        assert!(head.starts_with("W11"), "{line}");
        // The hour is that of the machine's zone.
        assert_eq!(&rest[3..], ":04:05.000042    4711 helpers.go:719] text");
    }
}
