//! kubectl against a server in the same process.
