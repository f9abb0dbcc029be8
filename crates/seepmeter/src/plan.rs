//! What will be done: every name found, every duration read, before anything runs.

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
/// A sink that there is not.
pub fn sinks(shelf: &Shelf, flags: &SinkFlags, judging: &Judging) -> Result<Vec<SinkPlan>> {
    let default = || if flags.quiet { Vec::new() } else { vec![Spec::plain("text")] };
    let mut asked = or_default(&flags.sinks, default);
    if !flags.no_summary && !asked.iter().any(|spec| spec.name == "summary") {
        asked.push(Spec::plain("summary"));
    }
    let judges = asked.iter().any(|spec| spec.name == "summary");
    let mut plans = asked
        .into_iter()
        .map(|spec| {
            let factory = shelf.sink(&spec.name)?.factory;
            Ok(SinkPlan { label: spec.text, factory, options: spec.options })
        })
        .collect::<Result<Vec<_>>>()?;
    check_paths(&plans)?;
    if judging.has_gates() && !judges {
        let factory = Summary::factory(judging.clone(), true);
        plans.push(SinkPlan { label: "gates".to_owned(), factory, options: Vec::new() });
    }
    Ok(plans)
}

fn or_default(asked: &[Spec], default: impl FnOnce() -> Vec<Spec>) -> Vec<Spec> {
    if asked.is_empty() { default() } else { asked.to_vec() }
}

/// Two sinks that write to one file would garble it.
fn check_paths(plans: &[SinkPlan]) -> Result<()> {
    let path = |plan: &SinkPlan| {
        let given =
            plan.options.iter().find(|(key, _)| key == "path").map(|(_, path)| path.clone());
        let options = &plan.factory.info().options;
        given.or_else(|| options.iter().find(|option| option.key == "path")?.default.clone())
    };
    for (place, plan) in plans.iter().enumerate() {
        let Some(own) = path(plan) else { continue };
        if let Some(other) = plans[..place].iter().find(|other| path(other).as_ref() == Some(&own))
        {
            let name = if own == "-" { "standard output" } else { &own };
            bail!(
                "the sinks {} and {} would both write to {name}; give each a path= of its own",
                other.label,
                plan.label
            );
        }
    }
    Ok(())
}
