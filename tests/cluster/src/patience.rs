//! Waiting for what nobody announces: a condition, asked again until it holds or the time is up.

use std::time::{Duration, Instant};

/// How long anything that must happen may take. A test that passes takes a small part of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(10);

/// Asks until the answer is `Ok`; panics with the last `Err` when the time is up.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match ask() {
            Ok(value) => return value,
            Err(last) if Instant::now() >= deadline => {
                panic!("{what}: not within {} s; last: {last}", within.as_secs());
            }
            Err(_) => pause(PERIOD),
        }
    }
}

/// Lets time pass where time itself is what is tested.
pub fn pause(time: Duration) {
    let deadline = Instant::now() + time;
    // A thread can be woken for no reason.
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
