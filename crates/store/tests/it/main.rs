//! The store on real files and in real processes.

mod directory;
mod kill;
mod plain;
