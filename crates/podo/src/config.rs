//! What the operator chooses: flags, and the same names as keys of a `--config` file.
//!
//! The file's keys become flags in front of those of the command line, so one parser knows all settings, refuses unknown ones, and
//! the command line wins.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

/// Kubernetes in one binary.
#[derive(Debug, Parser)]
#[command(name = "podo", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `podo`; `kubectl` and the internal roles are chosen before.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a cluster: control plane and node in one process
    Up(UpOptions),
    /// Stop the cluster and remove all its Pods
    Down(DownOptions),
    /// Start a control plane alone
    Server(ServerOptions),
    /// The node's images
    Image(ImageOptions),
}

/// Where everything is kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Where state is kept
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/podo",
        overrides_with = "data_dir",
        global = true
    )]
    pub data_dir: PathBuf,
    /// A YAML file of settings: every flag's name is a key
    #[arg(long, value_name = "FILE", overrides_with = "config")]
    pub config: Option<PathBuf>,
}

/// Settings of the control plane.
#[derive(Debug, Clone, Args)]
pub(crate) struct ControlPlane {
    /// Address and port of the API
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:6443",
        overrides_with = "listen"
    )]
    pub listen: SocketAddr,
    /// The address at which others reach the API; by default where it listens or, if that is everywhere, the node's
    #[arg(long, value_name = "ADDR", overrides_with = "advertise_address")]
    pub advertise_address: Option<IpAddr>,
    /// More names and addresses that the API's certificate is for
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,
    /// A token with its user and groups: TOKEN=USER[,GROUP…]
    #[arg(long, value_name = "TOKEN=USER")]
    pub static_token: Vec<String>,
    /// Controllers to run, by kube-controller-manager's names: `*`, `NAME`, `-NAME`
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_value = "*",
        overrides_with = "controllers"
    )]
    pub controllers: Vec<String>,
    /// Do not run the scheduler
    #[arg(long)]
    pub no_scheduler: bool,
    /// The range of Service addresses
    #[arg(
        long,
        value_name = "CIDR",
        default_value = "10.43.0.0/16",
        overrides_with = "service_cidr"
    )]
    pub service_cidr: String,
    /// The range of Pod addresses
    #[arg(
        long,
        value_name = "CIDR",
        default_value = "10.42.0.0/16",
        overrides_with = "cluster_cidr"
    )]
    pub cluster_cidr: String,
    /// The length of each node's part of the range of Pod addresses
    #[arg(long, value_name = "BITS", default_value_t = 24, overrides_with = "node_cidr_mask_size")]
    pub node_cidr_mask_size: u8,
}

/// Settings of the node.
#[derive(Debug, Clone, Args)]
pub(crate) struct Node {
    /// The node's name; the host's by default
    #[arg(long, value_name = "NAME", overrides_with = "node_name")]
    pub node_name: Option<String>,
    /// The node's address; that of the default route by default
    #[arg(long, value_name = "ADDR", overrides_with = "node_ip")]
    pub node_ip: Option<std::net::Ipv4Addr>,
    /// The port of the node's own API
    #[arg(long, value_name = "PORT", default_value_t = 10250, overrides_with = "kubelet_port")]
    pub kubelet_port: u16,
    /// Most Pods on the node
    #[arg(long, value_name = "N", default_value_t = 250, overrides_with = "max_pods")]
    pub max_pods: u32,
    /// Pull images of a registry from another place: REGISTRY=URL, or URL for all
    #[arg(long, value_name = "[REGISTRY=]URL")]
    pub registry_mirror: Vec<String>,
    /// An image whose container holds each Pod's namespaces instead of Podo's own
    #[arg(long, value_name = "IMAGE", overrides_with = "pod_infra_container_image")]
    pub pod_infra_container_image: Option<String>,
    /// Put a container's log aside after so many hours as well, however small it is
    #[arg(long, value_name = "HOURS", overrides_with = "container_log_max_hours")]
    pub container_log_max_hours: Option<u16>,
}

/// Options of `podo up`.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub control_plane: ControlPlane,
    #[command(flatten)]
    pub node: Node,
    /// Apply these manifests and wait until what they declare is ready
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// Remove everything when the process ends
    #[arg(long)]
    pub ephemeral: bool,
}

/// Options of `podo down`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DownOptions {
    #[command(flatten)]
    pub common: Common,
    /// Remove the data as well
    #[arg(long)]
    pub purge: bool,
}

/// Options of `podo server`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub control_plane: ControlPlane,
}

/// Options of `podo image`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImageOptions {
    #[command(flatten)]
    pub common: Common,
    /// Pull images of a registry from another place: REGISTRY=URL, or URL for all
    #[arg(long, value_name = "[REGISTRY=]URL", global = true)]
    pub registry_mirror: Vec<String>,
    /// What to do
    #[command(subcommand)]
    pub command: ImageCommand,
}

/// The commands of `podo image`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ImageCommand {
    /// List images
    Ls,
    /// Pull images
    Pull {
        /// Their names
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Import archives made by `podo image export`, `docker save` or other OCI tools
    Import {
        /// The archives; `-` for standard input
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Export images to an archive
    Export {
        /// Their names
        #[arg(required = true)]
        images: Vec<String>,
        /// The archive; `-` for standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Remove images
    Rm {
        /// Their names
        #[arg(required = true)]
        images: Vec<String>,
    },
}

/// Why the settings cannot be used. All of these end the program with exit code 64.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path:?}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A setting that the command does not have.
    #[error(
        "the configuration file {path:?} has the key {key:?}, which is no setting of podo {command}"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The command.
        command: String,
    },
    /// The file is no map of settings.
    #[error("the configuration file {path:?} is not a YAML map of settings: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Whether a command has a flag of the name. Of one that there is not nothing is known: the parser says so.
fn is_setting(command: &str, key: &str) -> bool {
    let cli = Cli::command();
    let command = cli.find_subcommand(command);
    command.is_none_or(|command| command.get_arguments().any(|arg| arg.get_long() == Some(key)))
}

/// Puts the settings of the `--config` file of a command line, if it names one, in front of its flags.
pub(crate) fn with_file(args: Vec<OsString>) -> Result<Vec<OsString>, ConfigError> {
    let Some(path) = config_path(&args) else { return Ok(args) };
    let text = std::fs::read(&path)
        .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let malformed = |problem: String| ConfigError::Malformed { path: path.clone(), problem };
    let value =
        podo_api::yaml::to_json_strict(&text).map_err(|error| malformed(error.to_string()))?;
    let settings = match &value {
        podo_api::Value::Null => return Ok(args),
        podo_api::Value::Object(settings) => settings,
        _ => return Err(malformed("the document is not a map".to_owned())),
    };
    let mut flags: Vec<OsString> = Vec::new();
    let command = args.get(1).map(|command| command.to_string_lossy()).unwrap_or_default();
    for (key, value) in settings {
        if !is_setting(&command, key) {
            let (key, command) = (key.clone(), command.into_owned());
            return Err(ConfigError::Unknown { path, key, command });
        }
        flags.extend(flag(key, value).map_err(malformed)?);
    }
    // Program and command first, then the file's flags, then the command line's, which win.
    let head = args.len().min(2);
    let mut all = args[..head].to_vec();
    all.extend(flags);
    all.extend_from_slice(&args[head..]);
    Ok(all)
}

fn config_path(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    None
}

fn flag(key: &str, value: &podo_api::Value) -> Result<Vec<OsString>, String> {
    use podo_api::Value;
    let one = |text: String| OsString::from(format!("--{key}={text}"));
    Ok(match value {
        Value::Bool(true) => vec![OsString::from(format!("--{key}"))],
        Value::Bool(false) | Value::Null => Vec::new(),
        Value::String(text) => vec![one(text.clone())],
        Value::Number(number) => vec![one(number.to_string())],
        Value::Array(items) => {
            let mut flags = Vec::new();
            for item in items {
                flags.extend(flag(key, item)?);
            }
            flags
        }
        Value::Object(_) => return Err(format!("the setting {key:?} is a map")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(args)
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_unknown_keys_are_refused() {
        let folder = std::env::temp_dir().join(format!("podo-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        let path = folder.join("config.yaml");
        std::fs::write(
            &path,
            "listen: 127.0.0.1:1\nregistry-mirror: [a=http://b, http://c]\nno-scheduler: true\n",
        )
        .expect("written");
        let args =
            ["podo", "up", "--config", path.to_str().expect("UTF-8"), "--listen=127.0.0.1:2"];
        let args = with_file(args.iter().map(OsString::from).collect()).expect("readable");
        let Command::Up(up) = Cli::try_parse_from(args).expect("valid").command else {
            panic!("up")
        };
        assert_eq!(up.control_plane.listen.port(), 2);
        assert_eq!(up.node.registry_mirror, ["a=http://b", "http://c"]);
        assert!(up.control_plane.no_scheduler);
        std::fs::write(&path, "nosuch: 1\n").expect("written");
        let args = ["podo", "up", "--config", path.to_str().expect("UTF-8")];
        let refused = with_file(args.iter().map(OsString::from).collect()).expect_err("refused");
        let text = format!(
            "the configuration file {path:?} has the key \"nosuch\", which is no setting of podo up"
        );
        assert_eq!(refused.to_string(), text);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn controllers_are_chosen_with_kube_controller_managers_syntax() {
        let Command::Server(server) =
            parse(&["podo", "server", "--controllers", "*,-job-controller"])
                .expect("valid")
                .command
        else {
            panic!("server")
        };
        assert_eq!(server.control_plane.controllers, ["*", "-job-controller"]);
    }
}
