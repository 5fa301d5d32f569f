//! Signals by which a container can be asked to end (KEP-4960).
//!
//! The protocol has numbers of its own; this file knows the names and the kernel's numbers (those of x86-64 and arm64).

/// A stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Signal {
    RuntimeDefault = 0,
    Abrt = 1,
    Alrm = 2,
    Bus = 3,
    Chld = 4,
    Cld = 5,
    Cont = 6,
    Fpe = 7,
    Hup = 8,
    Ill = 9,
    Int = 10,
    Io = 11,
    Iot = 12,
    Kill = 13,
    Pipe = 14,
    Poll = 15,
    Prof = 16,
    Pwr = 17,
    Quit = 18,
    Segv = 19,
    Stkflt = 20,
    Stop = 21,
    Sys = 22,
    Term = 23,
    Trap = 24,
    Tstp = 25,
    Ttin = 26,
    Ttou = 27,
    Urg = 28,
    Usr1 = 29,
    Usr2 = 30,
    Vtalrm = 31,
    Winch = 32,
    Xcpu = 33,
    Xfsz = 34,
    RtMin = 35,
    RtMinPlus1 = 36,
    RtMinPlus2 = 37,
    RtMinPlus3 = 38,
    RtMinPlus4 = 39,
    RtMinPlus5 = 40,
    RtMinPlus6 = 41,
    RtMinPlus7 = 42,
    RtMinPlus8 = 43,
    RtMinPlus9 = 44,
    RtMinPlus10 = 45,
    RtMinPlus11 = 46,
    RtMinPlus12 = 47,
    RtMinPlus13 = 48,
    RtMinPlus14 = 49,
    RtMinPlus15 = 50,
    RtMaxMinus14 = 51,
    RtMaxMinus13 = 52,
    RtMaxMinus12 = 53,
    RtMaxMinus11 = 54,
    RtMaxMinus10 = 55,
    RtMaxMinus9 = 56,
    RtMaxMinus8 = 57,
    RtMaxMinus7 = 58,
    RtMaxMinus6 = 59,
    RtMaxMinus5 = 60,
    RtMaxMinus4 = 61,
    RtMaxMinus3 = 62,
    RtMaxMinus2 = 63,
    RtMaxMinus1 = 64,
    RtMax = 65,
}

/// Name and number of each, in the order of the protocol's numbers, which count from 1.
const TABLE: [(&str, i32); 65] = [
    ("SIGABRT", 6),
    ("SIGALRM", 14),
    ("SIGBUS", 7),
    ("SIGCHLD", 17),
    ("SIGCLD", 17),
    ("SIGCONT", 18),
    ("SIGFPE", 8),
    ("SIGHUP", 1),
    ("SIGILL", 4),
    ("SIGINT", 2),
    ("SIGIO", 29),
    ("SIGIOT", 6),
    ("SIGKILL", 9),
    ("SIGPIPE", 13),
    ("SIGPOLL", 29),
    ("SIGPROF", 27),
    ("SIGPWR", 30),
    ("SIGQUIT", 3),
    ("SIGSEGV", 11),
    ("SIGSTKFLT", 16),
    ("SIGSTOP", 19),
    ("SIGSYS", 31),
    ("SIGTERM", 15),
    ("SIGTRAP", 5),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGVTALRM", 26),
    ("SIGWINCH", 28),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGRTMIN", 34),
    ("SIGRTMIN+1", 35),
    ("SIGRTMIN+2", 36),
    ("SIGRTMIN+3", 37),
    ("SIGRTMIN+4", 38),
    ("SIGRTMIN+5", 39),
    ("SIGRTMIN+6", 40),
    ("SIGRTMIN+7", 41),
    ("SIGRTMIN+8", 42),
    ("SIGRTMIN+9", 43),
    ("SIGRTMIN+10", 44),
    ("SIGRTMIN+11", 45),
    ("SIGRTMIN+12", 46),
    ("SIGRTMIN+13", 47),
    ("SIGRTMIN+14", 48),
    ("SIGRTMIN+15", 49),
    ("SIGRTMAX-14", 50),
    ("SIGRTMAX-13", 51),
    ("SIGRTMAX-12", 52),
    ("SIGRTMAX-11", 53),
    ("SIGRTMAX-10", 54),
    ("SIGRTMAX-9", 55),
    ("SIGRTMAX-8", 56),
    ("SIGRTMAX-7", 57),
    ("SIGRTMAX-6", 58),
    ("SIGRTMAX-5", 59),
    ("SIGRTMAX-4", 60),
    ("SIGRTMAX-3", 61),
    ("SIGRTMAX-2", 62),
    ("SIGRTMAX-1", 63),
    ("SIGRTMAX", 64),
];

impl Signal {
    /// `SIGTERM` style, as a Pod's `lifecycle.stopSignal` names it; real-time signals are `SIGRTMIN+1` style.
    pub fn from_name(name: &str) -> Option<Self> {
        let index = TABLE.iter().position(|(known, _)| *known == name)?;
        Self::try_from(i32::try_from(index + 1).ok()?).ok()
    }

    /// From the kernel's number.
    pub fn from_number(number: i32) -> Option<Self> {
        let index = TABLE.iter().position(|(_, known)| *known == number)?;
        Self::try_from(i32::try_from(index + 1).ok()?).ok()
    }

    fn entry(self) -> Option<(&'static str, i32)> {
        let index = usize::try_from(self as i32).ok()?.checked_sub(1)?;
        TABLE.get(index).copied()
    }

    /// Its name; none for the runtime's default.
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|(name, _)| name)
    }

    /// The kernel's number; none for the runtime's default.
    pub fn number(self) -> Option<i32> {
        self.entry().map(|(_, number)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn names_numbers_and_the_protocols_own_numbers_belong_together() {
        for (name, number, value) in [
            ("SIGABRT", 6, 1),
            ("SIGTERM", 15, 23),
            ("SIGXFSZ", 25, 34),
            ("SIGRTMIN", 34, 35),
            ("SIGRTMIN+15", 49, 50),
            ("SIGRTMAX-14", 50, 51),
            ("SIGRTMAX", 64, 65),
        ] {
            let signal = Signal::from_name(name).expect(name);
            assert_eq!((signal.name(), signal.number()), (Some(name), Some(number)));
            assert_eq!(signal as i32, value, "{name}");
            assert_eq!(Signal::from_number(number), Some(signal), "{name}");
        }
        assert_eq!(Signal::RuntimeDefault.number(), None);
        assert_eq!(Signal::from_name("TERM"), None);
    }
}
