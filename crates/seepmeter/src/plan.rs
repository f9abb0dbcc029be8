//! What will be done: every name found, every duration read, before anything runs.

use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_engine::{SamplerPlan, SinkPlan};
use seepmeter_plugin::{Info, parse_duration};

use crate::flags::{SinkFlags, WatchFlags};
use crate::plugins::{Found, Origin, Page, Shelf};
use crate::sinks::{Judging, Summary};
use crate::spec::Spec;

/// The first plugin of which the flags ask for help (`NAME,help`) instead of work.
///
/// # Errors
/// A plugin that there is not.
pub fn help(shelf: &Shelf, samplers: &[Spec], sinks: &[Spec]) -> Result<Option<Page>> {
    if let Some(spec) = samplers.iter().find(|spec| spec.help) {
        return shelf.sampler(&spec.name).map(|plugin| Some(plugin.page));
    }
    match sinks.iter().find(|spec| spec.help) {
        Some(spec) => shelf.sink(&spec.name).map(|plugin| Some(plugin.page)),
        None => Ok(None),
    }
}

/// The samplers that the flags ask for; statm where they ask for none.
///
/// # Errors
/// A sampler that there is not, or an `every=` that is no duration.
pub fn samplers(shelf: &Shelf, flags: &WatchFlags) -> Result<Vec<SamplerPlan>> {
    let asked = or_default(&flags.samplers, || vec![Spec::plain("statm")]);
    asked.into_iter().map(|spec| sampler(shelf, spec, flags)).collect()
}

fn sampler(shelf: &Shelf, mut spec: Spec, flags: &WatchFlags) -> Result<SamplerPlan> {
    let Found { factory, page } = shelf.sampler(&spec.name)?;
    let origin = page.origin;
    let options = &factory.info().options;
    spec.join_lists(options).map_err(|why| anyhow!("sampler {}: {why}", spec.text))?;
    let interval = match spec.take("every") {
        Some(every) => parse_duration(&every)
            .map_err(|why| anyhow!(why))
            .with_context(|| format!("sampler {}: option `every`", spec.text))?,
        None => flags.interval,
    };
    if origin == Origin::BuiltIn {
        check_keys(&spec, factory.info())?;
    }
    Ok(SamplerPlan {
        label: spec.text,
        factory,
        interval,
        budget: flags.budget,
        options: spec.options,
    })
}

/// The sampler itself knows nothing of `every`, which is there all the same. One in a file is asked
/// itself: what it says of its options is for help, and may leave some out.
fn check_keys(spec: &Spec, info: &Info) -> Result<()> {
    let known = || info.options.iter().map(|option| option.key.as_str());
    let unknown = |key: &String| !known().any(|known| known == key.replace('_', "-"));
    match spec.options.iter().map(|(key, _)| key).find(|key| unknown(key)) {
        Some(key) => {
            let known: Vec<&str> = ["every"].into_iter().chain(known()).collect();
            let known = known.join(", ");
            Err(anyhow!("sampler {}: no option `{key}`; there are: {known}", spec.text))
        }
        None => Ok(()),
    }
}

/// The sinks that the flags ask for: text where they ask for none, and the summary. Gates are held
/// against a verdict even where nobody wants to read it.
///
/// # Errors
/// A sink that there is not, or two that would write to one file; `replayed` is written to by none.
pub fn sinks(
    shelf: &Shelf,
    flags: &SinkFlags,
    judging: &Judging,
    replayed: Option<&Path>,
) -> Result<Vec<SinkPlan>> {
    let default = || if flags.quiet { Vec::new() } else { vec![Spec::plain("text")] };
    let mut asked = or_default(&flags.sinks, default);
    if !flags.no_summary && !asked.iter().any(|spec| spec.name == "summary") {
        asked.push(Spec::plain("summary"));
    }
    let judges = asked.iter().any(|spec| spec.name == "summary");
    let mut plans = asked
        .into_iter()
        .map(|mut spec| {
            let factory = shelf.sink(&spec.name)?.factory;
            let options = &factory.info().options;
            spec.join_lists(options).map_err(|why| anyhow!("sink {}: {why}", spec.text))?;
            Ok(SinkPlan { label: spec.text, factory, options: spec.options })
        })
        .collect::<Result<Vec<_>>>()?;
    check_paths(&plans, replayed)?;
    if judging.has_gates() && !judges {
        let factory = Summary::factory(judging.clone(), true);
        plans.push(SinkPlan { label: "gates".to_owned(), factory, options: Vec::new() });
    }
    Ok(plans)
}

fn or_default(asked: &[Spec], default: impl FnOnce() -> Vec<Spec>) -> Vec<Spec> {
    if asked.is_empty() { default() } else { asked.to_vec() }
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
        .and_then(|path| Some((FileId::of(path)?, "the recording")))
        .into_iter()
        .collect();
    for plan in plans {
        let Some(own) = path(plan) else { continue };
        let Some(id) = FileId::of(Path::new(&own)) else { continue };
        if let Some((_, other)) = seen.iter().find(|(other, _)| *other == id) {
            let name = if own == "-" { "standard output" } else { &own };
            bail!(
                "the sink {} would write to {name}, where {other} is or goes too; give it a path= of its own",
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
