//! The user's editor, and the file that it is given.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::super::fault::{Fault, Outcome, quoted};

/// The variables that may name an editor, the first first.
const VARIABLES: [&str; 2] = ["KUBE_EDITOR", "EDITOR"];
/// The shell that reads an editor's arguments when `$SHELL` names none, as kubectl's.
const SHELL: &str = "/bin/bash";

/// What is started: a program with arguments, or a shell that is told to start one.
#[derive(Debug, PartialEq, Eq)]
struct Editor {
    args: Vec<String>,
    /// Whether the last argument is a line of the shell's.
    is_shell: bool,
}

impl Editor {
    /// Only quotes make a shell necessary: spaces alone part arguments.
    fn new(text: &str, shell: &str) -> Self {
        if text.contains(' ') && text.contains(['"', '\'', '\\']) {
            return Self { args: vec![shell.into(), "-c".into(), text.into()], is_shell: true };
        }
        Self { args: text.split(' ').map(str::to_owned).collect(), is_shell: false }
    }

    fn of_environment() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let text = VARIABLES.into_iter().find_map(set).unwrap_or_else(|| "vi".into());
        Self::new(&text, &set("SHELL").unwrap_or_else(|| SHELL.into()))
    }

    fn launch(&self, path: &str) -> Outcome {
        let mut args = self.args.clone();
        match args.last_mut().filter(|_| self.is_shell) {
            Some(line) => *line = format!("{line} {}", quoted(path)),
            None => args.push(path.to_owned()),
        }
        let mut words = args.iter();
        let program = words.next().map(String::as_str).unwrap_or_default();
        let named = quoted(&self.args.join(" "));
        match Command::new(program).args(words).status() {
            Ok(status) if status.success() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !program.contains('/') => {
                Err(Fault::refused(format!("unable to launch the editor {named}")))
            }
            _ => Err(Fault::refused(format!("there was a problem with the editor {named}"))),
        }
    }
}

/// Lets the user edit a text; what it is afterwards, and the file that holds it.
pub(super) fn open(text: &str, extension: &str) -> Result<(String, PathBuf), Fault> {
    let name = format!("kubectl-edit-{}{extension}", podo_base::name_suffix(10));
    let path = std::env::temp_dir().join(name);
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())
    };
    let shown = path.display().to_string();
    write().map_err(Fault::io(format!("open {shown}")))?;
    Editor::of_environment().launch(&shown)?;
    let edited = fs::read(&path).map_err(Fault::io(format!("open {shown}")))?;
    Ok((String::from_utf8_lossy(&edited).into_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_quotes_only() {
        let cases: [(&str, &[&str], bool); 4] = [
            ("vi", &["vi"], false),
            ("code --wait", &["code", "--wait"], false),
            ("sed -i 's/a/b/'", &["sh", "-c", "sed -i 's/a/b/'"], true),
            ("\"vi\"", &["\"vi\""], false),
        ];
        for (text, args, is_shell) in cases {
            let args = args.iter().map(ToString::to_string).collect();
            assert_eq!(Editor::new(text, "sh"), Editor { args, is_shell }, "{text}");
        }
    }
}
