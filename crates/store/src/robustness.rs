//! The classes of bugs that etcd's robustness suite has found over the years, each as a test of this store.
//!
//! `crash`: lost writes, reused revisions, half transactions, damaged files. `watch`: gaps, repetitions, going back in time.
//! `read`: stale and inconsistent reads. `fault`: failed syncs, full disks, panics.

mod crash;
mod fault;
mod model;
mod read;
mod watch;
