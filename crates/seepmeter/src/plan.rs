//! What will be done: every plugin found, every duration read, before anything runs.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_engine::{SamplerPlan, SinkPlan};
use seepmeter_plugin::{ConfiguredSampler, Info, Sink};
use seepmeter_verdict::ReportFormat;

use crate::flags::{FormatSpec, SinkFlags, WatchFlags, parse_interval};
use crate::output_files::OutputRoom;
use crate::registry::{PluginDescription, PluginOrigin, RegisteredPlugin, Registry};
use crate::sinks::{HtmlSink, OutputSink, Summary, Text, drawing};
use crate::spec::Spec;
use crate::terminal::When;

/// The option that every sampler has: an interval of its own.
pub(crate) const EVERY: &str = "every";

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
            sinks: NamedPlugin::find(&sink_specs(sinks)?, |name| registry.sink(name))?,
        })
    }

    /// The first plugin of which the flags ask for help (`NAME,help`) instead of work.
    pub(crate) fn help(&self) -> Option<&PluginDescription> {
        let samplers = self.samplers.iter().map(|named| (&named.spec, &named.plugin.description));
        let sinks = self.sinks.iter().map(|named| (&named.spec, &named.plugin.description));
        let mut all = samplers.chain(sinks);
        all.find(|(spec, _)| spec.help).map(|(_, description)| description)
    }

    /// Plans what is to be made of them.
    ///
    /// # Errors
    /// An option that a sampler does not have, an `every=` that is no duration, or a sink in a file that would
    /// write to what is another's in this room.
    pub(crate) fn plan(
        self,
        watch: Option<&WatchFlags>,
        room: &OutputRoom,
    ) -> Result<(Vec<SamplerPlan>, Vec<SinkPlan>)> {
        let samplers = self.samplers.iter().map(|named| &named.plugin.description);
        let sinks = self.sinks.iter().map(|named| &named.plugin.description);
        samplers.chain(sinks).for_each(|description| protect_plugin(description, room));
        let mut samplers = Vec::new();
        for (named, watch) in self.samplers.into_iter().zip(std::iter::repeat(watch).flatten()) {
            samplers.push(sampler_plan(named, watch)?);
        }
        let sinks = self.sinks.into_iter().map(|named| sink_plan(named, room));
        let sinks = sinks.collect::<Result<Vec<_>>>()?;
        Ok((samplers, sinks))
    }
}

fn sink_specs(flags: &SinkFlags) -> Result<Vec<Spec>> {
    let mut specs = flags.sinks.clone();
    if specs.is_empty() && !flags.quiet {
        specs.push(Spec::plain(Text::NAME));
    }
    if !flags.no_summary && !specs.iter().any(|spec| spec.name == Summary::NAME) {
        specs.push(Spec::plain(Summary::NAME));
    }
    chart_as_asked(&mut specs, flags.chart);
    show_what_is_judged(&mut specs, &flags.metrics);
    let of_formats = flags.format.formats.iter().map(verdict_spec);
    specs.extend(of_formats.collect::<Result<Vec<_>>>()?);
    Ok(specs)
}

/// The summary has its chart as the flag says, unless its own option does.
fn chart_as_asked(specs: &mut [Spec], when: When) {
    let when = match when {
        When::Auto => return,
        When::Always => "always",
        When::Never => "never",
    };
    for spec in specs.iter_mut().filter(|spec| spec.name == Summary::NAME) {
        if !spec.options.iter().any(|(key, _)| key == Summary::CHART) {
            spec.options.push((Summary::CHART.to_owned(), when.to_owned()));
        }
    }
}

/// The lines of `text` and a report are of what is judged, unless they are asked for something else.
fn show_what_is_judged(specs: &mut [Spec], metrics: &[String]) {
    let Some(main) = metrics.first() else { return };
    // A report collects the parts of what it shows, so it has to know from the start what that is.
    let shown = [
        (Text::NAME, Text::METRIC, metrics.join(",")),
        (HtmlSink::NAME, drawing::METRIC, main.clone()),
    ];
    for (sink, option, value) in shown {
        for spec in specs.iter_mut().filter(|spec| spec.name == sink) {
            if !spec.options.iter().any(|(key, _)| key == option) {
                spec.options.push((option.to_owned(), value.clone()));
            }
        }
    }
}

/// The sink that `--format` stands for.
fn verdict_spec(FormatSpec { format, file }: &FormatSpec) -> Result<Spec> {
    if matches!(format, ReportFormat::Json | ReportFormat::Junit | ReportFormat::Markdown)
        && file.is_none()
    {
        bail!(
            "--format {format}: give it a file, --format {format}=FILE: the standard streams have lines of the command and of seepmeter too"
        );
    }
    let path = file.as_ref().map(|file| {
        let path = file.to_str().context("--format: the name of the file is not UTF-8")?;
        Ok::<_, anyhow::Error>(("path".to_owned(), path.to_owned()))
    });
    let format = ("format".to_owned(), format.to_string());
    let options = [format].into_iter().map(Ok).chain(path).collect::<Result<Vec<_>>>()?;
    Ok(Spec { options, text: "verdict".to_owned(), ..Spec::plain("verdict") })
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

/// The code of a plugin is mapped while it runs.
fn protect_plugin(description: &PluginDescription, room: &OutputRoom) {
    if let PluginOrigin::File(file, _) = &description.origin {
        room.protect(file, "the file of a plugin");
    }
}

fn sink_plan(mut named: NamedPlugin<dyn Sink>, room: &OutputRoom) -> Result<SinkPlan> {
    named.join_lists("sink")?;
    // One that is built in asks the room itself.
    if named.plugin.description.origin != PluginOrigin::BuiltIn
        && let Some(path) = output_path(&named)
    {
        let user = format!("the sink {}", named.spec.name);
        let checked = room.check(Path::new(&path), &user);
        checked.map_err(|why| anyhow!("sink {}: {why}", named.spec.text))?;
    }
    let NamedPlugin { spec: Spec { text: label, options, .. }, plugin } = named;
    Ok(SinkPlan { label, factory: plugin.factory, options })
}

/// Where a sink will write to, as far as its options say.
fn output_path(named: &NamedPlugin<dyn Sink>) -> Option<String> {
    let given = named.spec.options.iter().find(|(key, _)| key == "path");
    let default =
        || named.info().options.iter().find(|option| option.key == "path")?.default.clone();
    given.map(|(_, path)| path.clone()).or_else(default)
}
