//! All the plugins that can be had: built in, or in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use seepmeter_engine::{
    FolderOrigin, LoadError, Notices, PluginFactory, PluginFolders, PluginLibrary, TableLayout,
};
use seepmeter_plugin::{ConfiguredSampler, Factory, Info, SamplerFactory, Sink, SinkFactory};

use crate::builtin;
use crate::slips::file_for_sink;

/// Sampler or sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// Observes processes.
    Sampler,
    /// Consumes records.
    Sink,
}

impl PluginKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sampler => "sampler",
            Self::Sink => "sink",
        }
    }
}

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
    /// The built-in plugins, and those in files; `folders` are searched first.
    #[must_use]
    pub fn new(folders: &[PathBuf], notices: Notices) -> Self {
        Self {
            samplers: builtin::samplers(),
            sinks: builtin::sinks(),
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

    /// The description of every plugin that can be found, and why the others can't be used.
    #[must_use]
    pub fn describe_all(&self) -> (Vec<PluginDescription>, Vec<LoadError>) {
        let samplers =
            self.samplers.iter().map(|factory| built_in(PluginKind::Sampler, factory.info()));
        let sinks = self.sinks.iter().map(|factory| built_in(PluginKind::Sink, factory.info()));
        let mut descriptions: Vec<PluginDescription> = samplers.chain(sinks).collect();
        let mut errors = Vec::new();
        for (file, origin) in self.folders.all() {
            match PluginLibrary::load(&file, &self.notices) {
                Ok(library) => descriptions.push(describe_file(&library, Some(origin))),
                Err(error) => errors.push(error),
            }
        }
        (descriptions, errors)
    }

    /// The descriptions of the plugins of one name: there may be a sampler and a sink.
    ///
    /// # Errors
    /// There is none.
    pub fn describe(&self, name: &str) -> Result<Vec<PluginDescription>> {
        if name.contains('/') && !PluginFolders::privileged() {
            return Ok(vec![describe_file(
                &PluginLibrary::load(Path::new(name), &self.notices)?,
                None,
            )]);
        }
        let found =
            [self.sampler(name).map(|f| f.description), self.sink(name).map(|f| f.description)];
        let mut errors = Vec::new();
        let mut descriptions = Vec::new();
        for description in found {
            match description {
                Ok(description) => descriptions.push(description),
                Err(error) => errors.push(error),
            }
        }
        // A file that is there and can't be used says more than that there is none.
        match descriptions
            .is_empty()
            .then(|| errors.into_iter().max_by_key(|e| e.is::<LoadError>()))
        {
            Some(Some(error)) if error.is::<LoadError>() => Err(error),
            Some(_) => Err(no_such("plugin", name, &self.names(None))),
            None => Ok(descriptions),
        }
    }

    fn names(&self, kind: Option<PluginKind>) -> Vec<String> {
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
        true if PluginFolders::privileged() => {
            bail!(
                "{name} is not loaded: seepmeter runs with raised rights (setuid or file capabilities), and then loads plugins only from the folders of the system"
            );
        }
        true => Some(PathBuf::from(name)),
        false => registry.folders.find(name, kind.word()),
    };
    let file = file.ok_or_else(|| no_such(kind.word(), name, &registry.names(Some(kind))))?;
    let library = PluginLibrary::load(&file, &registry.notices)?;
    let description = describe_file(&library, None);
    let factory = of_this_kind(&library.factory).ok_or_else(|| {
        let is = description.kind.word();
        anyhow!("{} is a {is}, not a {}; use it with --{is}", file.display(), kind.word())
    })?;
    Ok(RegisteredPlugin { factory, description })
}

fn built_in(kind: PluginKind, info: &Info) -> PluginDescription {
    PluginDescription { kind, info: info.clone(), origin: PluginOrigin::BuiltIn, layout: None }
}

fn describe_file(library: &PluginLibrary, origin: Option<FolderOrigin>) -> PluginDescription {
    PluginDescription {
        kind: match library.factory {
            PluginFactory::Sampler(_) => PluginKind::Sampler,
            PluginFactory::Sink(_) => PluginKind::Sink,
        },
        info: library.info.clone(),
        origin: PluginOrigin::File(library.path.clone(), origin),
        layout: Some(library.layout.clone()),
    }
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
