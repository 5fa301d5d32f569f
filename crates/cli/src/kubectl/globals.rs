//! The flags that every command takes.

use std::path::PathBuf;

use clap::Args;

/// The flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Globals {
    /// The kubeconfig file
    #[arg(long, global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// The cluster of the kubeconfig
    #[arg(long, global = true)]
    pub(crate) cluster: Option<String>,
    /// The user of the kubeconfig
    #[arg(long, global = true)]
    pub(crate) user: Option<String>,
    /// The namespace
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// The server's URL
    #[arg(short, long, global = true)]
    pub(crate) server: Option<String>,
    /// A bearer token
    #[arg(long, global = true)]
    pub(crate) token: Option<String>,
    /// A file of certificate authorities
    #[arg(long, global = true)]
    pub(crate) certificate_authority: Option<String>,
    /// A file with a client certificate
    #[arg(long, global = true)]
    pub(crate) client_certificate: Option<String>,
    /// A file with the key of the client certificate
    #[arg(long, global = true)]
    pub(crate) client_key: Option<String>,
    /// Believe any server certificate
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) insecure_skip_tls_verify: Option<bool>,
    /// The name to verify in the server's certificate
    #[arg(long, global = true)]
    pub(crate) tls_server_name: Option<String>,
    /// A user to act as
    #[arg(long = "as", global = true)]
    pub(crate) impersonate: Option<String>,
    /// A group to act in; repeat for more
    #[arg(long, global = true)]
    pub(crate) as_group: Vec<String>,
    /// A UID to act with
    #[arg(long, global = true)]
    pub(crate) as_uid: Option<String>,
    /// KEY=VALUE that the user to act as is said to have; repeat for more
    #[arg(long, global = true)]
    pub(crate) as_user_extra: Vec<String>,
    /// How long one request may take; 0 is for ever
    #[arg(long, global = true)]
    pub(crate) request_timeout: Option<String>,
    /// How much to log; taken for compatibility
    #[arg(short = 'v', long = "v", global = true, hide = true)]
    pub(crate) verbosity: Option<String>,
    /// Taken for compatibility
    #[arg(long, global = true, hide = true)]
    pub(crate) vmodule: Option<String>,
    /// Taken for compatibility
    #[arg(long, global = true, hide = true)]
    pub(crate) log_flush_frequency: Option<String>,
    /// Taken for compatibility
    #[arg(long, global = true, hide = true)]
    pub(crate) cache_dir: Option<String>,
    /// Fail if the server warned of anything
    #[arg(long, global = true)]
    pub(crate) warnings_as_errors: bool,
    /// Fail if the server's version is not this one's
    #[arg(long, global = true)]
    pub(crate) match_server_version: bool,
    /// Taken for compatibility
    #[arg(long, global = true, hide = true)]
    pub(crate) disable_compression: bool,
    /// The command line, as `--record` keeps it
    #[arg(skip)]
    pub(crate) change_cause: String,
    /// Whether `--record` is given
    #[arg(skip)]
    pub(crate) is_recorded: bool,
}
