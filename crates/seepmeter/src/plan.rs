//! What will be done: every name found, every duration read, before anything runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use seepmeter_engine::{SamplerPlan, SinkPlan};
use seepmeter_plugin::{Factory, SamplerFactory, parse_duration};

use crate::builtin;
use crate::flags::{SinkFlags, WatchFlags};
use crate::spec::Spec;

/// The samplers that the flags ask for; statm where they ask for none.
///
/// # Errors
/// A sampler that there is not, or an `every=` that is no duration.
pub fn samplers(flags: &WatchFlags) -> Result<Vec<SamplerPlan>> {
    let known = builtin::samplers();
    let asked = or_default(&flags.samplers, || vec![Spec::plain("statm")]);
    asked.into_iter().map(|spec| sampler(spec, flags.interval, &known)).collect()
}

fn sampler(
    mut spec: Spec,
    interval: Duration,
    known: &[Arc<SamplerFactory>],
) -> Result<SamplerPlan> {
    let factory = find(known, "sampler", &spec.name)?;
    let interval = match spec.take("every") {
        Some(every) => parse_duration(&every)
            .map_err(|why| anyhow!(why))
            .with_context(|| format!("sampler {}: option `every`", spec.text))?,
        None => interval,
    };
    Ok(SamplerPlan { label: spec.text, factory, interval, options: spec.options })
}

/// The sinks that the flags ask for: text where they ask for none, and the summary.
///
/// # Errors
/// A sink that there is not.
pub fn sinks(flags: &SinkFlags) -> Result<Vec<SinkPlan>> {
    let known = builtin::sinks();
    let default = || if flags.quiet { Vec::new() } else { vec![Spec::plain("text")] };
    let mut asked = or_default(&flags.sinks, default);
    if !flags.no_summary && !asked.iter().any(|spec| spec.name == "summary") {
        asked.push(Spec::plain("summary"));
    }
    asked
        .into_iter()
        .map(|spec| {
            let factory = find(&known, "sink", &spec.name)?;
            Ok(SinkPlan { label: spec.text, factory, options: spec.options })
        })
        .collect()
}

fn or_default(asked: &[Spec], default: impl FnOnce() -> Vec<Spec>) -> Vec<Spec> {
    if asked.is_empty() { default() } else { asked.to_vec() }
}

/// Finds a plugin by its name.
fn find<T: ?Sized>(
    known: &[Arc<dyn Factory<T>>],
    what: &str,
    name: &str,
) -> Result<Arc<dyn Factory<T>>> {
    if let Some(factory) = known.iter().find(|factory| factory.info().name == name) {
        return Ok(Arc::clone(factory));
    }
    let names: Vec<&str> = known.iter().map(|factory| factory.info().name.as_str()).collect();
    let hint = match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.join(", ")),
    };
    Err(anyhow!("there is no {what} `{name}`; {hint}"))
}

/// The name that is most like what was typed, where one is like it at all.
fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), *name))
        .filter(|(distance, name)| *distance <= name.len().max(typed.len()) / 2)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let names = ["text", "csv", "jsonl", "summary"];
        assert_eq!(nearest("jsnol", &names), Some("jsonl"));
        assert_eq!(nearest("tex", &names), Some("text"));
        assert_eq!(nearest("parquet", &names), None);
    }
}
