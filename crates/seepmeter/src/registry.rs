//! All the plugins that can be had: built in, or in a file.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use seepmeter_engine::{
    FolderOrigin, LibraryDescription, LoadError, Notices, PluginFactory, PluginFolders, PluginKind,
    PluginLibrary, TableLayout, describe_apart,
};
use seepmeter_plugin::{ConfiguredSampler, Factory, Info, SamplerFactory, Sink, SinkFactory};

use crate::builtin;
use crate::output_files::OutputRoom;
use crate::slips::file_for_sink;

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginOrigin {
    /// It is part of the command.
    BuiltIn,
    /// A file that was named, or found in a folder that is searched.
    File(PathBuf, Option<FolderOrigin>),
}

/// All that there is to say of a plugin.
#[derive(Clone, Debug)]
pub struct PluginDescription {
    /// What it is.
    pub kind: PluginKind,
    /// What it says of itself.
    pub info: Info,
    /// Where it comes from.
    pub origin: PluginOrigin,
    /// How its table looks, of one in a file.
    pub layout: Option<TableLayout>,
}

/// A plugin of the registry; `T` is `dyn ConfiguredSampler` or `dyn Sink`.
pub struct RegisteredPlugin<T: ?Sized> {
    /// Who makes its instances.
    pub factory: Arc<dyn Factory<T>>,
    /// What there is to say of it.
    pub description: PluginDescription,
}

/// Where plugins are taken from.
pub struct Registry {
    samplers: Vec<Arc<SamplerFactory>>,
    sinks: Vec<Arc<SinkFactory>>,
    folders: PluginFolders,
    notices: Notices,
}

impl Registry {
    /// The built-in plugins, and those in files; `folders` are searched first. What the built-in sinks write
    /// is in this room.
    #[must_use]
    pub fn new(folders: &[PathBuf], room: &OutputRoom, notices: Notices) -> Self {
        Self {
            samplers: builtin::samplers(),
            sinks: builtin::sinks(room),
            folders: PluginFolders::new(folders),
            notices,
        }
    }

    /// Finds a sampler: a built-in one, or a file.
    ///
    /// # Errors
    /// There is none of this name, or its file can't be used.
    pub fn sampler(&self, name: &str) -> Result<RegisteredPlugin<dyn ConfiguredSampler>> {
        find(self, PluginKind::Sampler, &self.samplers, name, |factory| match factory {
            PluginFactory::Sampler(factory) => Some(Arc::clone(factory)),
            PluginFactory::Sink(_) => None,
        })
    }

    /// Finds a sink: a built-in one, or a file.
    ///
    /// # Errors
    /// There is none of this name, or its file can't be used.
    pub fn sink(&self, name: &str) -> Result<RegisteredPlugin<dyn Sink>> {
        find(self, PluginKind::Sink, &self.sinks, name, |factory| match factory {
            PluginFactory::Sink(factory) => Some(Arc::clone(factory)),
            PluginFactory::Sampler(_) => None,
        })
    }

    /// What a built-in plugin says of itself.
    pub(crate) fn built_in_info(&self, kind: PluginKind, name: &str) -> Option<&Info> {
        let mut samplers = self.samplers.iter().map(|factory| factory.info());
        let mut sinks = self.sinks.iter().map(|factory| factory.info());
        match kind {
            PluginKind::Sampler => samplers.find(|info| info.name == name),
            PluginKind::Sink => sinks.find(|info| info.name == name),
        }
    }

    /// The description of every plugin that can be found, and why the others can't be used. Runs nothing
    /// of a library in this process.
    #[must_use]
    pub fn describe_all(&self) -> (Vec<PluginDescription>, Vec<LoadError>) {
        let samplers =
            self.samplers.iter().map(|factory| built_in(PluginKind::Sampler, factory.info()));
        let sinks = self.sinks.iter().map(|factory| built_in(PluginKind::Sink, factory.info()));
        let mut descriptions: Vec<PluginDescription> = samplers.chain(sinks).collect();
        let mut errors = Vec::new();
        let (files, origins): (Vec<PathBuf>, Vec<FolderOrigin>) =
            self.folders.all().into_iter().unzip();
        let described = describe_apart(&files);
        for ((file, origin), described) in files.into_iter().zip(origins).zip(described) {
            match described {
                Ok(described) => descriptions.push(in_file(described, file, Some(origin))),
                Err(error) => errors.push(error),
            }
        }
        (descriptions, errors)
    }

    /// The descriptions of the plugins of one name: there may be a sampler and a sink. As
    /// [`Registry::describe_all`], runs nothing of a library in this process.
    ///
    /// # Errors
    /// There is none, or its file can't be used.
    pub fn describe(&self, name: &str) -> Result<Vec<PluginDescription>> {
        let (mut descriptions, mut files) = (Vec::new(), Vec::new());
        if name.contains('/') {
            files.push(PathBuf::from(name));
        } else {
            let samplers = self.samplers.iter().map(|factory| factory.info());
            let sinks = self.sinks.iter().map(|factory| factory.info());
            let samplers = samplers.map(|info| (PluginKind::Sampler, info));
            let all: Vec<_> = samplers.chain(sinks.map(|info| (PluginKind::Sink, info))).collect();
            for kind in [PluginKind::Sampler, PluginKind::Sink] {
                match all.iter().find(|(of, info)| *of == kind && info.name == name) {
                    Some((_, info)) => descriptions.push(built_in(kind, info)),
                    None => files.extend(self.folders.find(name, kind.word())),
                }
            }
        }
        let mut errors = Vec::new();
        for (file, described) in files.iter().zip(describe_apart(&files)) {
            match described {
                Ok(described) => descriptions.push(in_file(described, file.clone(), None)),
                Err(error) => errors.push(error),
            }
        }
        match (descriptions.is_empty(), errors.pop()) {
            (false, _) => Ok(descriptions),
            // A file that is there and can't be used says more than that there is none.
            (true, Some(error)) => Err(error.into()),
            (true, None) => Err(no_such("plugin", name, &self.names(None))),
        }
    }

    /// The names of all plugins, or of those of one kind. Loads none.
    pub(crate) fn names(&self, kind: Option<PluginKind>) -> Vec<String> {
        let samplers = self.samplers.iter().map(|factory| (PluginKind::Sampler, factory.info()));
        let sinks = self.sinks.iter().map(|factory| (PluginKind::Sink, factory.info()));
        let built_in = samplers.chain(sinks).map(|(of, info)| (of, info.name.clone()));
        let in_files = self.folders.all().into_iter().filter_map(|(file, _)| {
            let stem = file.file_stem()?.to_str()?.strip_prefix("seepmeter-")?.to_owned();
            let (name, of) = stem.rsplit_once('-')?;
            let of = if of == "sink" { PluginKind::Sink } else { PluginKind::Sampler };
            Some((of, name.to_owned()))
        });
        let all = built_in.chain(in_files).filter(|(of, _)| kind.is_none_or(|kind| kind == *of));
        all.map(|(_, name)| name).collect()
    }
}

/// Finds a plugin. A name with a `/` is a file; any other is looked for among the built-in ones, and
/// then as a file in the folders that are searched.
fn find<T: ?Sized>(
    registry: &Registry,
    kind: PluginKind,
    built_in_ones: &[Arc<dyn Factory<T>>],
    name: &str,
    of_this_kind: impl Fn(&PluginFactory) -> Option<Arc<dyn Factory<T>>>,
) -> Result<RegisteredPlugin<T>> {
    if let Some(factory) = built_in_ones.iter().find(|factory| factory.info().name == name) {
        return Ok(RegisteredPlugin {
            factory: Arc::clone(factory),
            description: built_in(kind, factory.info()),
        });
    }
    let file = match name.contains('/') {
        true => Some(PathBuf::from(name)),
        false => registry.folders.find(name, kind.word()),
    };
    let file = file.ok_or_else(|| no_such(kind.word(), name, &registry.names(Some(kind))))?;
    let library = PluginLibrary::load(&file, &registry.notices)?;
    let factory = of_this_kind(&library.factory).ok_or_else(|| {
        let is = library.factory.kind().word();
        anyhow!("{} is a {is}, not a {}; use it with --{is}", file.display(), kind.word())
    })?;
    let PluginLibrary { path, info, factory: made_by, layout } = library;
    let described = LibraryDescription { kind: made_by.kind(), info, layout };
    Ok(RegisteredPlugin { factory, description: in_file(described, path, None) })
}

fn built_in(kind: PluginKind, info: &Info) -> PluginDescription {
    PluginDescription { kind, info: info.clone(), origin: PluginOrigin::BuiltIn, layout: None }
}

fn in_file(
    library: LibraryDescription,
    file: PathBuf,
    folder: Option<FolderOrigin>,
) -> PluginDescription {
    let LibraryDescription { kind, info, layout } = library;
    let origin = PluginOrigin::File(file, folder);
    PluginDescription { kind, info, origin, layout: Some(layout) }
}

fn no_such(what: &str, name: &str, names: &[String]) -> anyhow::Error {
    let hint = match (file_for_sink(name, names), nearest(name, names)) {
        (Some(meant), _) => return anyhow!("there is no {what} `{name}`; did you mean `{meant}`?"),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("there are: {}", names.join(", ")),
    };
    let file = name.strip_suffix(".so").unwrap_or(name);
    anyhow!("there is no {what} `{name}`; {hint} (the name of a file contains a `/`: ./{file}.so)")
}

/// The name that is most like what was typed, if one is like it at all.
fn nearest<'a>(typed: &str, names: &'a [String]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name.as_str()))
        .filter(|(distance, name)| *distance <= name.len().max(typed.len()) / 2)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let names = ["text", "csv", "jsonl", "summary"].map(str::to_owned);
        assert_eq!(nearest("jsnol", &names), Some("jsonl"));
        assert_eq!(nearest("tex", &names), Some("text"));
        assert_eq!(nearest("parquet", &names), None);
    }
}
