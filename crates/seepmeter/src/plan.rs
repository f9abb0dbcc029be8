//! What will be done: every plugin found, every duration read, before anything runs.

use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_engine::{SamplerPlan, SinkPlan};
use seepmeter_plugin::{ConfiguredSampler, Info, Sink};

use crate::flags::{SinkFlags, WatchFlags, parse_interval};
use crate::registry::{PluginDescription, PluginOrigin, RegisteredPlugin, Registry};
use crate::spec::Spec;

/// The option that every sampler has: an interval of its own.
const EVERY: &str = "every";

/// A plugin as the user named it, found in the registry.
struct NamedPlugin<T: ?Sized> {
    spec: Spec,
    plugin: RegisteredPlugin<T>,
}

impl<T: ?Sized> NamedPlugin<T> {
    fn find(
        specs: &[Spec],
        find: impl Fn(&str) -> Result<RegisteredPlugin<T>>,
    ) -> Result<Vec<Self>> {
        let named = |spec: &Spec| Ok(Self { spec: spec.clone(), plugin: find(&spec.name)? });
        specs.iter().map(named).collect()
    }

    fn info(&self) -> &Info {
        self.plugin.factory.info()
    }

    /// `kind` is the word for what it is.
    fn join_lists(&mut self, kind: &str) -> Result<()> {
        let options = &self.plugin.factory.info().options;
        self.spec.join_lists(options).map_err(|why| anyhow!("{kind} {}: {why}", self.spec.text))
    }
}

/// The plugins that the flags name.
pub(crate) struct NamedPlugins {
    samplers: Vec<NamedPlugin<dyn ConfiguredSampler>>,
    sinks: Vec<NamedPlugin<dyn Sink>>,
}

impl NamedPlugins {
    /// Finds them: statm if no sampler is named; text if no sink is, and the summary.
    ///
    /// # Errors
    /// A plugin that there is not.
    pub(crate) fn find(
        registry: &Registry,
        watch: Option<&WatchFlags>,
        sinks: &SinkFlags,
    ) -> Result<Self> {
        let statm = [Spec::plain("statm")];
        let samplers = match watch {
            None => &[],
            Some(watch) if watch.samplers.is_empty() => &statm[..],
            Some(watch) => &watch.samplers,
        };
        Ok(Self {
            samplers: NamedPlugin::find(samplers, |name| registry.sampler(name))?,
            sinks: NamedPlugin::find(&sink_specs(sinks), |name| registry.sink(name))?,
        })
    }

    /// The first plugin of which the flags ask for help (`NAME,help`) instead of work.
    pub(crate) fn help(&self) -> Option<&PluginDescription> {
        let samplers = self.samplers.iter().map(|named| (&named.spec, &named.plugin.description));
        let sinks = self.sinks.iter().map(|named| (&named.spec, &named.plugin.description));
        let mut all = samplers.chain(sinks);
        all.find(|(spec, _)| spec.help).map(|(_, description)| description)
    }

    /// Plans what is to be made of them. `replayed` is written to by no sink.
    ///
    /// # Errors
    /// An option that a sampler does not have, an `every=` that is no duration, or two sinks that would
    /// write to one file.
    pub(crate) fn plan(
        self,
        watch: Option<&WatchFlags>,
        replayed: Option<&Path>,
    ) -> Result<(Vec<SamplerPlan>, Vec<SinkPlan>)> {
        let mut samplers = Vec::new();
        for (named, watch) in self.samplers.into_iter().zip(std::iter::repeat(watch).flatten()) {
            samplers.push(sampler_plan(named, watch)?);
        }
        let sinks = self.sinks.into_iter().map(sink_plan).collect::<Result<Vec<_>>>()?;
        check_paths(&sinks, replayed)?;
        Ok((samplers, sinks))
    }
}

fn sink_specs(flags: &SinkFlags) -> Vec<Spec> {
    let mut specs = flags.sinks.clone();
    if specs.is_empty() && !flags.quiet {
        specs.push(Spec::plain("text"));
    }
    if !flags.no_summary && !specs.iter().any(|spec| spec.name == "summary") {
        specs.push(Spec::plain("summary"));
    }
    specs
}

fn sampler_plan(
    mut named: NamedPlugin<dyn ConfiguredSampler>,
    flags: &WatchFlags,
) -> Result<SamplerPlan> {
    named.join_lists("sampler")?;
    let interval = match named.spec.take(EVERY) {
        Some(every) => parse_interval(&every)
            .map_err(|why| anyhow!(why))
            .with_context(|| format!("sampler {}: option `{EVERY}`", named.spec.text))?,
        None => flags.interval,
    };
    // One in a file is asked itself: what it says of its options is for help, and may leave some out.
    if named.plugin.description.origin == PluginOrigin::BuiltIn {
        check_keys(&named.spec, named.info())?;
    }
    let NamedPlugin { spec: Spec { text: label, options, .. }, plugin } = named;
    let budget = flags.budget;
    Ok(SamplerPlan { label, factory: plugin.factory, interval, budget, options })
}

/// The sampler itself does not know [`EVERY`], so that a message of its own would not list it.
fn check_keys(spec: &Spec, info: &Info) -> Result<()> {
    let known: Vec<&str> =
        [EVERY].into_iter().chain(info.options.iter().map(|o| &*o.key)).collect();
    match spec.options.iter().find(|(key, _)| !known.contains(&&**key)) {
        Some((key, _)) => {
            let known = known.join(", ");
            Err(anyhow!("sampler {}: no option `{key}`; there are: {known}", spec.text))
        }
        None => Ok(()),
    }
}

fn sink_plan(mut named: NamedPlugin<dyn Sink>) -> Result<SinkPlan> {
    named.join_lists("sink")?;
    let NamedPlugin { spec: Spec { text: label, options, .. }, plugin } = named;
    Ok(SinkPlan { label, factory: plugin.factory, options })
}

/// Two sinks that write to one file would garble it, and so would one that writes to what is replayed.
fn check_paths(plans: &[SinkPlan], replayed: Option<&Path>) -> Result<()> {
    let path = |plan: &SinkPlan| {
        let given =
            plan.options.iter().find(|(key, _)| key == "path").map(|(_, path)| path.clone());
        let options = &plan.factory.info().options;
        given.or_else(|| options.iter().find(|option| option.key == "path")?.default.clone())
    };
    let mut seen: Vec<(FileId, &str)> = replayed
        .filter(|path| *path != Path::new("-"))
        .and_then(|path| Some((FileId::of(path)?, "the replay")))
        .into_iter()
        .collect();
    for plan in plans {
        let Some(own) = path(plan) else { continue };
        let Some(id) = FileId::of(Path::new(&own)) else { continue };
        if let Some((_, other)) = seen.iter().find(|(other, _)| *other == id) {
            let name = if own == "-" { "standard output" } else { &own };
            bail!(
                "the sink {} would write to {name}, which {other} uses too; give it another path=",
                plan.label
            );
        }
        seen.push((id, &plan.label));
    }
    Ok(())
}

/// Which file a path leads to, by whichever name.
#[derive(PartialEq, Eq)]
enum FileId {
    /// One that is there: its device and inode.
    There(u64, u64),
    /// One that is not there yet: its folder's device and inode, and its name in it.
    New(u64, u64, OsString),
}

impl FileId {
    /// None for a device named as such (/dev/null takes anything from anybody), and for one whose folder
    /// can't be found: opening it will say why.
    fn of(path: &Path) -> Option<Self> {
        let stdout = path == Path::new("-");
        let path = if stdout { Path::new("/dev/stdout") } else { path };
        if let Ok(file) = path.metadata() {
            let device = file.file_type().is_char_device() && !stdout;
            return (!device).then(|| Self::There(file.dev(), file.ino()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).metadata().ok()?;
        Some(Self::New(folder.dev(), folder.ino(), path.file_name()?.to_owned()))
    }
}
