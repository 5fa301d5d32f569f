//! A terminal without a person: what a program writes to it is kept, and it can be typed into and given another size.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fd::AsFd;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::patience::{PATIENCE, until};

/// The far end of a terminal.
pub struct Terminal {
    far: File,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// A terminal of 40 lines of 100 columns, and its near end for a program.
    ///
    /// # Panics
    /// If the kernel has none.
    pub fn open() -> (Self, File) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let far = openpt(flags).expect("a terminal");
        grantpt(&far).expect("it is ours");
        unlockpt(&far).expect("it is ours");
        set_size(&far, 40, 100);
        let name = ptsname(&far, Vec::new()).expect("it has a name");
        let near = name.to_str().expect("ASCII");
        let near = OpenOptions::new().read(true).write(true).open(near).expect("it can be opened");
        let far = File::from(far);
        let mut source = far.try_clone().expect("a descriptor");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let screen = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // With the last near end the far one ends in an error.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
                screen.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
        });
        (Self { far, seen, reader }, near)
    }

    /// Gives it another size, of which the program is told as the shell's own terminal tells it.
    ///
    /// # Panics
    /// If the program is gone.
    pub fn resize(&self, rows: u16, columns: u16, program: u32) {
        set_size(&self.far, rows, columns);
        let pid = i32::try_from(program).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::WINCH).expect("it runs");
    }

    /// Types something.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_in(&mut self, text: &str) {
        self.far.write_all(text.as_bytes()).expect("it is ours");
    }

    /// Waits until a text was written to it.
    #[track_caller]
    pub fn until_seen(&self, text: &str) {
        until(&format!("the terminal shows {text:?}"), PATIENCE, || {
            let shown = self.shown();
            if shown.contains(text) { Ok(()) } else { Err(shown) }
        });
    }

    /// All that was written, once every program that has the terminal is gone.
    ///
    /// # Panics
    /// If it could not be read.
    pub fn seen(self) -> String {
        let Self { far, seen, reader } = self;
        reader.join().expect("the reader does not panic");
        drop(far);
        text(&seen)
    }

    fn shown(&self) -> String {
        text(&self.seen)
    }
}

fn text(seen: &Mutex<Vec<u8>>) -> String {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&seen).into_owned()
}

fn set_size(terminal: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("it is ours");
}
