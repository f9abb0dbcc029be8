//! Values of `--sampler` and `--sink` that begin with what has been typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use seepmeter_engine::PluginKind;
use seepmeter_plugin::{Info, OptionSpec};

use crate::output_files::OutputRoom;
use crate::plan::EVERY;
use crate::registry::Registry;

/// The flag that the words of a command line are searched for.
const PLUGIN_DIR: &str = "--plugin-dir";

/// A value, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// All of the value, what has been typed included.
    pub(crate) value: String,
    /// One line.
    pub(crate) help: String,
}

/// What may stand in place of `typed`; `words` are those of the command line.
pub(crate) fn candidates(kind: PluginKind, typed: &str, words: &[OsString]) -> Vec<Candidate> {
    let folders: Vec<PathBuf> = plugin_folders(words);
    // What is wrong with a plugin is said when it is used.
    let registry = Registry::new(&folders, &OutputRoom::new(), Arc::new(|_: &str| ()));
    let all = match typed.split_once(',') {
        None => names(&registry, kind),
        Some((name, options)) => {
            let described = registry.describe(name).unwrap_or_default();
            let Some(plugin) = described.iter().find(|plugin| plugin.kind == kind) else {
                return Vec::new();
            };
            let behind = format!("{name},");
            of_options(&plugin.info, kind, options)
                .into_iter()
                .map(|it| Candidate { value: format!("{behind}{}", it.value), ..it })
                .collect()
        }
    };
    all.into_iter().filter(|candidate| candidate.value.starts_with(typed)).collect()
}

/// The built-in ones with what they do; of one in a file this is not known unless it is loaded.
fn names(registry: &Registry, kind: PluginKind) -> Vec<Candidate> {
    let about = |name: &str| match registry.built_in_info(kind, name) {
        Some(info) => info.about.clone(),
        None => format!("a {} in a file", kind.word()),
    };
    let names = registry.names(Some(kind)).into_iter();
    names.map(|name| Candidate { help: about(&name), value: name }).collect()
}

/// Keys, or values behind a key: what stands before the last comma stays.
fn of_options(info: &Info, kind: PluginKind, options: &str) -> Vec<Candidate> {
    let (before, last) = match options.rsplit_once(',') {
        Some((before, last)) => (format!("{before},"), last),
        None => (String::new(), options),
    };
    let found = match last.split_once('=') {
        Some((key, _)) => values(info, key),
        None => keys(info, kind, &before),
    };
    let complete = |it: Candidate| Candidate { value: format!("{before}{}", it.value), ..it };
    found.into_iter().map(complete).collect()
}

/// The keys that were not given yet.
fn keys(info: &Info, kind: PluginKind, before: &str) -> Vec<Candidate> {
    let candidate = |key: &str, help: &str| Candidate {
        value: key.to_owned(),
        help: help.split_once(". ").map_or(help, |(first, _)| first).to_owned(),
    };
    let given = |option: &&OptionSpec| {
        let key = format!("{}=", option.key);
        before.split(',').any(|piece| piece.starts_with(&key))
    };
    let keys = info.options.iter().filter(|option| !given(option));
    let mut keys: Vec<_> =
        keys.map(|option| candidate(&format!("{}=", option.key), &option.help)).collect();
    if kind == PluginKind::Sampler && !before.split(',').any(|it| it.starts_with(EVERY)) {
        keys.push(candidate(&format!("{EVERY}="), "An interval of its own"));
    }
    if before.is_empty() {
        keys.push(candidate("help", "List its options"));
    }
    keys
}

/// The choices that an option has, if it has any.
fn values(info: &Info, key: &str) -> Vec<Candidate> {
    let Some(option) = info.options.iter().find(|option| option.key == key) else {
        return Vec::new();
    };
    // A list of what can be anything is `text,…`.
    let is_choice = option.kind.contains(['|', ',']) && !option.kind.ends_with('…');
    let choices = option.kind.split(['|', ',']).filter(|_| is_choice);
    let candidate = |choice: &str| Candidate {
        value: format!("{key}={choice}"),
        help: match &option.default {
            Some(default) if default == choice => "the default".to_owned(),
            _ => String::new(),
        },
    };
    choices.map(candidate).collect()
}

/// The values of `--plugin-dir FOLDER` and `--plugin-dir=FOLDER`; bash makes three words of the latter.
fn plugin_folders(words: &[OsString]) -> Vec<PathBuf> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let behind = |at: usize| match words.get(at + 1) {
        Some(&"=") => words.get(at + 2),
        next => next,
    };
    let folder = |(at, word): (usize, &&str)| match word.strip_prefix(PLUGIN_DIR)? {
        "" => behind(at).map(PathBuf::from),
        rest => rest.strip_prefix('=').map(PathBuf::from),
    };
    words.iter().enumerate().filter_map(folder).filter(|folder| folder.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values_of(kind: PluginKind, typed: &str) -> Vec<String> {
        candidates(kind, typed, &[]).into_iter().map(|candidate| candidate.value).collect()
    }

    #[test]
    fn names_keys_and_choices_are_offered_each_in_its_place() {
        let sampler = |typed| values_of(PluginKind::Sampler, typed);
        assert!(sampler("").starts_with(&["statm".to_owned()]));
        assert_eq!(sampler("sta"), ["statm"]);
        assert_eq!(sampler("statm,"), ["statm,peak=", "statm,every=", "statm,help"]);
        assert_eq!(sampler("statm,peak=i"), ["statm,peak=interval"]);
        assert_eq!(sampler("statm,peak=off,"), ["statm,peak=off,every="]);
        assert_eq!(sampler("nothing,"), Vec::<String>::new());
        let sink = |typed| values_of(PluginKind::Sink, typed);
        assert_eq!(sink("cs"), ["csv"]);
        assert!(sink("csv,").contains(&"csv,layout=".to_owned()));
        assert_eq!(
            sink("csv,path=x,layout="),
            ["csv,path=x,layout=wide", "csv,path=x,layout=long"]
        );
        assert_eq!(sink("csv,path="), Vec::<String>::new());
    }

    #[test]
    fn folders_of_plugins_are_read_from_the_line_as_each_shell_splits_it() {
        let folders = |words: &[&str]| {
            plugin_folders(&words.iter().map(OsString::from).collect::<Vec<_>>()).len()
        };
        assert_eq!(folders(&["run", "--plugin-dir", "/"]), 1);
        assert_eq!(folders(&["run", "--plugin-dir=/"]), 1);
        assert_eq!(folders(&["run", "--plugin-dir", "=", "/"]), 1);
        assert_eq!(folders(&["run", "--plugin-dir"]), 0);
        assert_eq!(folders(&["run", "--plugin-dir", "/no/such/folder"]), 0);
    }
}
