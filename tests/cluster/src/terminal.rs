//! A terminal that nobody looks at: what a program writes to it is kept.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::process::Stdio;
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The far end of a terminal of 100 columns.
pub struct Terminal {
    screen: JoinHandle<Vec<u8>>,
}

impl Terminal {
    /// A terminal, and its near end for a program.
    ///
    /// # Panics
    /// If the kernel has none.
    pub fn open() -> (Self, Stdio) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let far = openpt(flags).expect("a terminal");
        grantpt(&far).expect("it is ours");
        unlockpt(&far).expect("it is ours");
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&far, size).expect("it is ours");
        let name = ptsname(&far, Vec::new()).expect("it has a name");
        let near = name.to_str().expect("ASCII");
        let near = OpenOptions::new().read(true).write(true).open(near).expect("it can be opened");
        let screen = std::thread::spawn(move || {
            let (mut far, mut seen, mut buffer) = (File::from(far), Vec::new(), [0; 4096]);
            // With the last near end the far one ends in an error.
            while let Ok(count @ 1..) = far.read(&mut buffer) {
                seen.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            seen
        });
        (Self { screen }, Stdio::from(near))
    }

    /// All that was written, once every program that has the terminal is gone.
    ///
    /// # Panics
    /// If it could not be read.
    pub fn seen(self) -> String {
        let seen = self.screen.join().expect("the reader does not panic");
        String::from_utf8_lossy(&seen).into_owned()
    }
}
