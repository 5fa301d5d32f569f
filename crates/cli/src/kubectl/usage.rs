//! Help, and the mistakes of a command line in the words of kubectl.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};

use super::Cli;
use super::fault::quoted;
use super::normal::{self, Line};
use super::record;
use super::suggest;

/// Why there is nothing to run: help, or a mistake.
#[derive(Default)]
pub(super) struct Refusal {
    /// For standard output.
    pub(super) help: String,
    /// For standard error.
    pub(super) mistake: String,
    pub(super) exit_code: u8,
}

impl Refusal {
    fn mistake(mistake: String) -> Self {
        Self { mistake, exit_code: 1, ..Self::default() }
    }

    fn help(help: String) -> Self {
        Self { help, ..Self::default() }
    }
}

/// The commands that show their help as well when they get more words or fewer than they take.
const WORDY: [&str; 7] = [
    "kubectl config rename-context",
    "kubectl config set",
    "kubectl config set-cluster",
    "kubectl config set-context",
    "kubectl config set-credentials",
    "kubectl config unset",
    "kubectl config use-context",
];

/// Reads the command line. A word `kubectl` after the program's name is passed over.
pub(super) fn parse(mut args: Vec<OsString>) -> Result<Cli, Refusal> {
    if args.get(1).is_some_and(|first| first == "kubectl") {
        args.remove(1);
    }
    let mut command = Cli::command();
    command.build();
    match args.get(1).and_then(|first| first.to_str()) {
        Some("help") => {
            args.remove(1);
            let topic = args.get(1).and_then(|topic| topic.to_str());
            if let Some(topic) = topic.filter(|topic| command.find_subcommand(topic).is_none()) {
                let mistake = format!("Unknown help topic [`{topic}`]\n{}", command.render_help());
                return Err(Refusal { mistake, ..Refusal::default() });
            }
            args.push("--help".into());
        }
        Some("options") => return Err(Refusal::help(options(&command))),
        _ => {}
    }
    let line = match normal::read(&command, normal::subjects(args)) {
        Ok(line) => line,
        Err((line, mistake)) => {
            let path = &line.path;
            return Err(unknown_command(&line).unwrap_or_else(|| {
                Refusal::mistake(format!("error: {mistake}\nSee '{path} --help' for usage.\n"))
            }));
        }
    };
    if let Some(refusal) = unknown_command(&line) {
        return Err(refusal);
    }
    let parsed = Cli::command()
        .try_get_matches_from(&line.args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli: Cli = parsed.map_err(|error| refusal(&error, &line))?;
    let args = line.args.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let args: Vec<String> = args.collect();
    cli.globals.is_recorded = args.iter().any(|arg| arg == "--record");
    cli.globals.change_cause = record::cause(&args);
    Ok(cli)
}

/// The flags that every command takes.
fn options(command: &Command) -> String {
    let flags = command.get_arguments().filter(|flag| flag.is_global_set() && !flag.is_hide_set());
    let lines = flags.map(|flag| {
        let short =
            flag.get_short().map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        format!("    {short}--{}:\n\t{help}\n", flag.get_long().unwrap_or_default())
    });
    let lines: Vec<String> = lines.collect();
    format!("Every command takes these flags:\n\n{}", lines.join("\n"))
}

/// A word where a subcommand should be.
fn unknown_command(line: &Line<'_>) -> Option<Refusal> {
    let Line { command, path, words, .. } = line;
    let first = words.first()?;
    if !command.has_subcommands()
        || path == "kubectl cluster-info"
        || line.args.iter().any(|arg| arg == "--help")
    {
        return None;
    }
    let advice = format!("See '{path} -h' for help and examples");
    Some(Refusal::mistake(match path.as_str() {
        "kubectl" => format!(
            "error: unknown command {} for \"kubectl\"\n{}",
            quoted(first),
            suggest::suggestions(first)
        ),
        "kubectl apply" | "kubectl create" => {
            format!("error: Unexpected args: [{}]\n{advice}\n", words.join(" "))
        }
        _ => format!("error: unknown command {}\n{advice}\n", quoted(&words.join(" "))),
    }))
}

fn refusal(error: &clap::Error, line: &Line<'_>) -> Refusal {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Refusal::help(error.render().to_string())
        }
        // Help is what `kubectl` alone asks for; a group of commands without one of them is a mistake.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let text = error.render().to_string();
            if line.path == "kubectl" { Refusal::help(text) } else { Refusal::mistake(text) }
        }
        ErrorKind::UnknownArgument | ErrorKind::MissingRequiredArgument
            if line.path.starts_with("kubectl config ") =>
        {
            config_words(line)
        }
        ErrorKind::UnknownArgument => Refusal::mistake(surplus(line)),
        ErrorKind::MissingRequiredArgument => Refusal::mistake(lacking(error, line)),
        _ => {
            let text = error.render().to_string();
            let head = text.split("\n\n").next().unwrap_or(&text).trim_end();
            Refusal::mistake(format!("{head}\n"))
        }
    }
}

/// More words or fewer than a command of `config` takes.
fn config_words(line: &Line<'_>) -> Refusal {
    let Line { command, path, words, .. } = line;
    let help = || (*command).clone().render_help().to_string();
    match path.as_str() {
        path if WORDY.contains(&path) => Refusal {
            help: help(),
            mistake: format!(
                "error: {} args: [{}]\n",
                if path.ends_with("credentials") { "unexpected" } else { "Unexpected" },
                words.join(" ")
            ),
            exit_code: 1,
        },
        // These two take it for a question.
        "kubectl config delete-context" | "kubectl config delete-cluster" => Refusal::help(help()),
        "kubectl config delete-user" => Refusal::mistake(format!(
            "error: user to delete is required\nSee '{path} -h' for help and examples\n"
        )),
        _ => Refusal::mistake(surplus(line)),
    }
}

/// More words than the command takes.
fn surplus(line: &Line<'_>) -> String {
    let Line { command, path, words, .. } = line;
    let advice = format!("\nSee '{path} -h' for help and examples");
    let all = words.join(" ");
    let text = match path.as_str() {
        "kubectl explain" => "We accept only this format: explain RESOURCE".to_owned(),
        "kubectl top node" => format!("node [NAME | -l label]{advice}"),
        "kubectl top pod" => format!("pod [NAME | -l label]{advice}"),
        _ if takes_name(command) => {
            format!("exactly one NAME is required, got {}{advice}", words.len())
        }
        _ => format!("unexpected arguments: [{all}]{advice}"),
    };
    format!("error: {text}\n")
}

/// Whether a command takes one word, the name of what it makes or changes.
fn takes_name(command: &Command) -> bool {
    command.get_positionals().any(|word| word.get_id() == "name" && word.is_required_set())
}

/// Flags or words that the command cannot do without.
fn lacking(error: &clap::Error, line: &Line<'_>) -> String {
    let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let flags: Vec<&str> = missing.split(", ").filter_map(|arg| arg.strip_prefix("--")).collect();
    if !flags.is_empty() {
        let names: Vec<String> = flags
            .iter()
            .map(|flag| quoted(flag.split([' ', '=']).next().unwrap_or(flag)))
            .collect();
        return format!("error: required flag(s) {} not set\n", names.join(", "));
    }
    let Line { command, path, words, .. } = line;
    match path.as_str() {
        // This flag is looked for before the words are counted.
        "kubectl create clusterrolebinding" => {
            "error: required flag(s) \"clusterrole\" not set\n".to_owned()
        }
        _ if takes_name(command) => format!(
            "error: exactly one NAME is required, got {}\nSee '{path} -h' for help and examples\n",
            words.len()
        ),
        _ => format!("error: required argument(s) missing: {missing}\n"),
    }
}
