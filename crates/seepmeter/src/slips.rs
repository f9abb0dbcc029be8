//! What people mean when they type something else: the next step for common slips.
//!
//! Each function takes what was typed and returns the words that would have done it, or none. For
//! instance `-o out.csv` means `-o csv,path=out.csv`.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use nix::unistd::{AccessFlags, access};
use seepmeter_plugin::Info;

use crate::builtin;
use crate::flags::Flags;
use crate::output_files::OutputRoom;

/// Which sink writes a file with this ending.
const ENDINGS: [(&str, &str); 6] = [
    ("csv", "csv"),
    ("json", "jsonl"),
    ("jsonl", "jsonl"),
    ("zst", "jsonl"),
    ("folded", "stacks"),
    ("txt", "text"),
];

/// Programs whose first argument is a script: what comes behind it is the script's.
const INTERPRETERS: [&str; 8] = ["python", "node", "perl", "ruby", "php", "bash", "sh", "lua"];

/// For a sink that does not exist: `out.csv`, `csv:out.csv` and `csv=out.csv`, whose file was meant.
pub(crate) fn file_for_sink(typed: &str, names: &[String]) -> Option<String> {
    let is_sink = |name: &str| names.iter().any(|known| known == name);
    let (name, path) = match typed.split_once([':', '=']) {
        Some((name, path)) => (name, path),
        None => {
            let (_, ending) = typed.rsplit_once('.')?;
            (ENDINGS.iter().find(|(known, _)| *known == ending)?.1, typed)
        }
    };
    // A path that has to be quoted, is quoted with all of the word; a comma or `=` alone needs no quotes.
    let quoted = shlex::try_quote(path).ok().filter(|_| is_sink(name) && !path.is_empty())?;
    let sink = format!("{name},path={path}");
    let sink = if quoted == path { sink.into() } else { shlex::try_quote(&sink).ok()? };
    Some(format!("-o {sink}"))
}

/// For a word that is no subcommand: the pid of `attach`, or the command of `run`.
fn subcommand(typed: &str, others: &[String]) -> Option<String> {
    if typed.parse::<i32>().is_ok_and(|pid| pid > 0) {
        return Some(format!("seepmeter attach {typed}"));
    }
    let words = std::iter::once(typed).chain(others.iter().map(String::as_str));
    // What a shell has taken away it needs again. No word of a command line has a NUL.
    let words = shlex::try_join(words).ok().filter(|_| is_program(typed))?;
    Some(format!("seepmeter run -- {words}"))
}

/// True of a file that can be executed, looked for along PATH as execvp(3) does.
fn is_program(name: &str) -> bool {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if name.contains('/') {
        return executable(Path::new(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| executable(&folder.join(name)))
}

/// An error, and if it is about a subcommand what was probably meant; `words` are the command line.
pub(crate) fn explained(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) {
        let others = words.iter().skip_while(|word| *word != typed.as_str()).skip(1);
        let others: Vec<String> = others.map(|word| word.to_string_lossy().into_owned()).collect();
        if let Some(meant) = subcommand(typed, &others) {
            let tip = format!("did you mean `{meant}`?").into();
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
    }
    error
}

/// A flag of `seepmeter run` that stands behind the script of an interpreter, which therefore gets it.
pub(crate) fn flag_behind_script(command: &[OsString]) -> Option<String> {
    let [program, script, others @ ..] = command else { return None };
    let program = Path::new(program).file_name()?.to_str()?;
    let is_interpreter = INTERPRETERS.iter().any(|name| {
        let version = program.strip_prefix(name);
        version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
    });
    if !is_interpreter || script.as_encoded_bytes().starts_with(b"-") {
        return None;
    }
    let flags = Flags::command();
    let run = flags.find_subcommand("run")?;
    let is_long = |word: &str| {
        let Some(name) = word.strip_prefix("--") else { return false };
        let name = name.split('=').next().unwrap_or(name);
        run.get_arguments().any(|flag| flag.get_long() == Some(name))
    };
    let words: Vec<&str> = others.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let value = words.get(at + 1).copied().unwrap_or_default();
        match *word {
            "-s" if is_sampler(value) => Some(format!("-s {value}")),
            "-o" if is_sink_with_option(value) => Some(format!("-o {value}")),
            word => is_long(word).then(|| word.to_owned()),
        }
    })
}

/// True of what `-s` of a script is hardly given: a built-in sampler, alone or with one of its options.
fn is_sampler(value: &str) -> bool {
    let (name, option) = value.split_once(',').unwrap_or((value, ""));
    builtin::samplers().iter().any(|sampler| {
        let info = sampler.info();
        let known = option.is_empty() || option.starts_with("every=") || has_option(info, option);
        info.name == name && known
    })
}

/// True of a built-in sink with one of its options. A sink alone may be a script's: many know `-o csv`.
fn is_sink_with_option(value: &str) -> bool {
    let Some((name, option)) = value.split_once(',') else { return false };
    let sinks = builtin::sinks(&OutputRoom::new());
    sinks.iter().any(|sink| sink.info().name == name && has_option(sink.info(), option))
}

/// True if `KEY=VALUE` begins with a key of this plugin.
fn has_option(info: &Info, option: &str) -> bool {
    let key = option.split_once('=').map(|(key, _)| key);
    info.options.iter().any(|known| Some(known.key.as_str()) == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_file_in_place_of_a_sink_is_the_path_of_the_sink_that_writes_such_files() {
        let sinks = words("text csv jsonl stacks");
        let meant = |typed| file_for_sink(typed, &sinks);
        assert_eq!(meant("out.csv").as_deref(), Some("-o csv,path=out.csv"));
        assert_eq!(meant("csv:out.csv").as_deref(), Some("-o csv,path=out.csv"));
        assert_eq!(meant("jsonl=a.jsonl.zst").as_deref(), Some("-o jsonl,path=a.jsonl.zst"));
        assert_eq!(meant("a.jsonl.zst").as_deref(), Some("-o jsonl,path=a.jsonl.zst"));
        assert_eq!(meant("my out.csv").as_deref(), Some("-o 'csv,path=my out.csv'"));
        assert_eq!(meant("report.pdf"), None);
        assert_eq!(meant("parquet:x"), None);
    }

    #[test]
    fn a_pid_or_a_program_in_place_of_a_subcommand_is_recognized() {
        assert_eq!(subcommand("1234", &[]).as_deref(), Some("seepmeter attach 1234"));
        let others = words("-c true");
        assert_eq!(subcommand("sh", &others).as_deref(), Some("seepmeter run -- sh -c true"));
        let others = ["-c".to_owned(), "echo a; it's".to_owned()];
        let quoted = "seepmeter run -- sh -c \"echo a; it's\"";
        assert_eq!(subcommand("sh", &others).as_deref(), Some(quoted));
        assert_eq!(subcommand("no-such-program-anywhere", &[]), None);
    }

    #[test]
    fn a_flag_behind_a_script_is_found_and_one_of_any_other_program_is_not() {
        let found = |text: &str| {
            let command: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            flag_behind_script(&command)
        };
        assert_eq!(found("python3 x.py --fail-on growing").as_deref(), Some("--fail-on"));
        assert_eq!(found("/usr/bin/node x.js --interval=1s").as_deref(), Some("--interval=1s"));
        assert_eq!(found("python3 x.py --size 3"), None);
        assert_eq!(found("python3 -c pass --quiet"), None);
        assert_eq!(found("pytest x.py --duration 3"), None);
    }

    #[test]
    fn a_short_flag_behind_a_script_is_found_if_only_seepmeter_takes_its_value() {
        let found = |others: &str| {
            let command = format!("python3 x.py {others}");
            let command: Vec<OsString> = command.split(' ').map(OsString::from).collect();
            flag_behind_script(&command)
        };
        let flags =
            ["-s statm", "-s statm,every=1s", "-o jsonl,path=a.jsonl", "-o verdict,json=yes"];
        for flag in flags {
            assert_eq!(found(flag).as_deref(), Some(flag));
            assert_eq!(found(&format!("-v 3 {flag} more")).as_deref(), Some(flag));
        }
        let of_a_script = [
            "-s",
            "-o",
            "-s 3",
            "-s statmap",
            "-s statm,x",
            "-s statm,colour=red",
            "-o csv",
            "-o text",
            "-o out.csv",
            "-o csv,tsv",
            "-o csv,colour=red",
            "-i 1s",
            "-d 3s",
            "-q",
            "-x statm",
            "-s jsonl,path=a.jsonl",
            "-o statm",
        ];
        for others in of_a_script {
            assert_eq!(found(others), None, "{others}");
        }
    }
}
