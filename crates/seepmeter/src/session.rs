//! A run from its flags to its outcome: what `run`, `attach` and `replay` have in common.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use seepmeter_engine::{Armed, Engine, Prepared, SamplerPlan, SinkPlan, TargetSpec};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{Limits, Process};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{Attributes, Bytes, TargetOrigin};
use seepmeter_verdict::{Collector, JudgeOptions};

use crate::flags::{FolderFlags, SinkFlags, WatchFlags};
use crate::listing;
use crate::messages::{self, shown};
use crate::outcome::Outcome;
use crate::plan::NamedPlugins;
use crate::registry::Registry;

/// What was asked for.
pub(crate) enum Request {
    /// The help of a plugin (`NAME,help`), which was printed.
    Help(Outcome),
    /// A run.
    Run(RunRequest),
}

/// A run with its plugins found, before its options are read.
pub(crate) struct RunRequest {
    plugins: NamedPlugins,
    judge: JudgeOptions,
}

impl Request {
    /// Finds the plugins that the flags name; a replay has no `watch`.
    pub(crate) fn read(watch: Option<&WatchFlags>, sinks: &SinkFlags) -> Result<Self> {
        let registry = registry(&sinks.folders)?;
        let plugins = NamedPlugins::find(&registry, watch, sinks)?;
        if let Some(description) = plugins.help() {
            return messages::print(listing::page(description).as_bytes()).map(Self::Help);
        }
        let mut judge = JudgeOptions { gates: sinks.gates.fail_on.clone(), ..Default::default() };
        if !sinks.metrics.is_empty() {
            judge.metrics = sinks.metrics.clone();
        }
        Ok(Self::Run(RunRequest { plugins, judge }))
    }
}

impl RunRequest {
    /// Plans a live run.
    pub(crate) fn live(self, watch: &WatchFlags) -> Result<Session> {
        self.plan(Some(watch), None)
    }

    /// Plans a replay of a recording.
    pub(crate) fn replay(self, recording: &Path) -> Result<Session> {
        self.plan(None, Some(recording))
    }

    fn plan(self, watch: Option<&WatchFlags>, replayed: Option<&Path>) -> Result<Session> {
        let (samplers, sinks) = self.plugins.plan(watch, replayed)?;
        Ok(Session { samplers, sinks, judge: self.judge })
    }
}

/// What is to be done, before anything runs.
pub(crate) struct Session {
    samplers: Vec<SamplerPlan>,
    sinks: Vec<SinkPlan>,
    judge: JudgeOptions,
}

impl Session {
    /// Makes all instances, and the collector of the verdict.
    pub(crate) fn prepare(self) -> Result<(Prepared, Collector)> {
        let engine = Engine::new(Arc::new(messages::notice));
        let prepared = engine.prepare(self.samplers, self.sinks)?;
        Ok((prepared, Collector::new(self.judge)))
    }
}

/// Makes sure that the metrics that are to be judged can be there.
///
/// # Errors
/// A metric that no sampler defines.
pub(crate) fn check_metrics(asked: &[String], armed: &Armed) -> Result<()> {
    let defined = armed.metric_names();
    match asked.iter().find(|metric| !defined.contains(metric)) {
        Some(metric) => bail!(
            "--metric {metric}: no sampler of this run has this metric; there are: {}",
            defined.join(", ")
        ),
        None => Ok(()),
    }
}

/// The plugins that can be had.
pub(crate) fn registry(flags: &FolderFlags) -> Result<Registry> {
    if let Some(none) = flags.folders.iter().find(|folder| !folder.is_dir()) {
        bail!("--plugin-dir {}: there is no such folder", shown(none));
    }
    Ok(Registry::new(&flags.folders, Arc::new(messages::notice)))
}

/// A process as the engine takes it, with its limits as they are now.
pub(crate) fn target_spec(process: &Process, origin: TargetOrigin, name: Bytes) -> TargetSpec {
    let root = ProcRoot::default();
    let limits = Limits::of(process.pid(), &root);
    let attributes = Attributes::new()
        .with_known(attribute::CGROUP_LIMIT, limits.cgroup.map(|cgroup| cgroup.limit))
        .with_known(attribute::CGROUP_USED, limits.cgroup.and_then(|cgroup| cgroup.used))
        .with_known(attribute::ADDRESS_SPACE_LIMIT, limits.address_space)
        .with_known(attribute::MACHINE_LIMIT, limits.machine)
        .with_known(attribute::MACHINE_AVAILABLE, limits.machine_available);
    TargetSpec {
        origin,
        name,
        pid: process.pid(),
        start_time: process.start_time(),
        attributes,
        proc_root: root.path().to_owned(),
        executable: None,
    }
}
