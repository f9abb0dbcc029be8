//! A run from its flags to its outcome: what `run`, `attach` and `replay` have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use seepmeter_engine::{Armed, Engine, Prepared, SamplerPlan, SinkPlan, TargetSpec};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::{Limits, Process};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{
    Bytes, Event, EventKind, Header, Record, Subject, SubjectKind, TargetOrigin,
};
use seepmeter_verdict::{Collector, JudgeOptions};

use crate::flags::{FolderFlags, GateFlags, SinkFlags, WatchFlags};
use crate::listing;
use crate::messages::{self, shown};
use crate::outcome::Outcome;
use crate::output_files::{OutputRoom, PendingOutputs};
use crate::plan::NamedPlugins;
use crate::registry::Registry;
use crate::sinks::{HtmlSink, OutputSink, Png, Svg, Text, drawing};

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
    room: OutputRoom,
}

impl Request {
    /// Finds the plugins that the flags name; a replay has no `watch`. `room` has what its sinks
    /// write.
    pub(crate) fn read(
        watch: Option<&WatchFlags>,
        sinks: &SinkFlags,
        room: OutputRoom,
    ) -> Result<Self> {
        let registry = registry(&sinks.folders, &room)?;
        let plugins = NamedPlugins::find(&registry, watch, sinks)?;
        if let Some(description) = plugins.help() {
            return messages::print(&listing::page(description)).map(Self::Help);
        }
        let GateFlags { fail_on, strict, .. } = &sinks.gates;
        let mut judge =
            JudgeOptions { gates: fail_on.clone(), strict: *strict, ..Default::default() };
        if !sinks.metrics.is_empty() {
            judge.metrics = sinks.metrics.clone();
        }
        check_drawn_metrics(sinks, &judge)?;
        Ok(Self::Run(RunRequest { plugins, judge, room }))
    }
}

impl RunRequest {
    /// Plans a live run. These are the programs of its targets: no output may be one of them.
    pub(crate) fn live(self, watch: &WatchFlags, programs: &[PathBuf]) -> Result<Session> {
        for program in programs {
            self.room.protect(program, "the program of the target");
        }
        self.plan(Some(watch))
    }

    /// Plans a replay of a recording.
    pub(crate) fn replay(self, recording: &Path) -> Result<Session> {
        if recording != Path::new("-") {
            self.room.protect(recording, "the recording that is replayed");
        }
        self.plan(None)
    }

    fn plan(self, watch: Option<&WatchFlags>) -> Result<Session> {
        let (samplers, sinks) = self.plugins.plan(watch, &self.room)?;
        Ok(Session { samplers, sinks, judge: self.judge, outputs: self.room })
    }
}

/// What is to be done, before anything runs.
pub(crate) struct Session {
    samplers: Vec<SamplerPlan>,
    sinks: Vec<SinkPlan>,
    judge: JudgeOptions,
    /// What its sinks write.
    outputs: OutputRoom,
}

/// A run whose instances are made.
pub(crate) struct PreparedRun {
    pub(crate) engine: Prepared,
    /// The collector of the verdict.
    pub(crate) collector: Collector,
    /// To be told when the run begins.
    pub(crate) outputs: PendingOutputs,
}

impl Session {
    /// Makes all instances, and the collector of the verdict.
    pub(crate) fn prepare(self) -> Result<PreparedRun> {
        // Before the sinks: if one of them fails, the files of the others are removed.
        let outputs = PendingOutputs::of(&self.outputs);
        let engine = Engine::new(Arc::new(messages::notice));
        let engine = engine.prepare(self.samplers, self.sinks)?;
        Ok(PreparedRun { engine, collector: Collector::new(self.judge), outputs })
    }
}

/// Makes sure that the metrics that are to be judged, or shown by the sink `text`, can be there.
///
/// # Errors
/// A metric that no sampler defines.
pub(crate) fn check_metrics(flags: &SinkFlags, armed: &Armed) -> Result<()> {
    let judged = flags.metrics.iter().map(|metric| (format!("--metric {metric}"), &**metric));
    let text = flags.sinks.iter().filter(|spec| spec.name == Text::NAME);
    let shown = text
        .flat_map(|spec| spec.values_of(Text::METRIC))
        .map(|metric| (format!("sink {}, {}={metric}", Text::NAME, Text::METRIC), metric));
    let defined = armed.metric_names();
    require_metrics(judged.chain(shown), &defined, "no sampler of this run has this metric")
}

/// Makes sure that the metrics that are to be judged are in a recording, as far as `records` define its metrics.
///
/// # Errors
/// A metric that is not among them. If there is none at all, nothing was sampled, which is no slip.
pub(crate) fn check_recorded_metrics<'a>(
    asked: &[String],
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<()> {
    let mut defined: Vec<String> = Vec::new();
    for record in records {
        if let Record::Metric(metric) = record
            && !defined.iter().any(|name| **name == *metric.name)
        {
            defined.push(metric.name.to_string());
        }
    }
    match &defined[..] {
        [] => Ok(()),
        defined => {
            let asked = asked.iter().map(|metric| (format!("--metric {metric}"), &**metric));
            require_metrics(asked, defined, "the recording has no such metric")
        }
    }
}

/// Makes sure that what is to be drawn will be judged: a picture is one of a verdict.
fn check_drawn_metrics(sinks: &SinkFlags, judge: &JudgeOptions) -> Result<()> {
    let draws = |name: &str| [Svg::NAME, Png::NAME, HtmlSink::NAME].contains(&name);
    for sink in sinks.sinks.iter().filter(|spec| draws(&spec.name)) {
        let mut drawn = sink.values_of(drawing::METRIC).into_iter();
        let Some(metric) = drawn.find(|metric| !judge.metrics.iter().any(|it| it == metric)) else {
            continue;
        };
        bail!(
            "sink {}, {}={metric}: only what is judged is drawn; add --metric {metric}, or draw one of: {}",
            sink.name,
            drawing::METRIC,
            judge.metrics.join(", ")
        );
    }
    Ok(())
}

fn require_metrics<'a>(
    asked: impl IntoIterator<Item = (String, &'a str)>,
    defined: &[String],
    why: &str,
) -> Result<()> {
    match asked.into_iter().find(|(_, metric)| !defined.iter().any(|known| known == metric)) {
        Some((label, _)) => bail!("{label}: {why}; there are: {}", defined.join(", ")),
        None => Ok(()),
    }
}

/// The plugins that can be had.
pub(crate) fn registry(flags: &FolderFlags, room: &OutputRoom) -> Result<Registry> {
    if let Some(none) = flags.folders.iter().find(|folder| !folder.is_dir()) {
        bail!("--plugin-dir {}: there is no such folder", shown(none));
    }
    Ok(Registry::new(&flags.folders, room, Arc::new(messages::notice)))
}

/// A process as the engine takes it, with its limits as they are now.
pub(crate) fn target_spec(process: &Process, origin: TargetOrigin, name: Bytes) -> TargetSpec {
    let root = ProcRoot::default();
    let attributes = Limits::of(process.pid(), &root).attributes();
    TargetSpec {
        origin,
        parent: None,
        name,
        pid: process.pid(),
        start_time: process.start_time(),
        attributes,
        proc_root: root.path().to_owned(),
        executable: None,
    }
}

/// What stands for an argument that was left out.
const REDACTED: &[u8] = b"[redacted]";

/// Replaces the arguments of a command; the program's name stays.
pub(crate) fn redact(words: &mut [Bytes]) {
    words.iter_mut().skip(1).for_each(|word| *word = REDACTED.into());
}

/// A record without the arguments of the targets and of their descendants.
pub(crate) fn redacted(record: Record) -> Record {
    match record {
        Record::Header(header) => {
            let mut header = Header::clone(&header);
            for target in &mut header.targets {
                if let TargetOrigin::Command(words) = &mut target.origin {
                    redact(words);
                }
            }
            Record::Header(header.into())
        }
        Record::Subject(subject) if is_descendant(&subject) => {
            let mut subject = Subject::clone(&subject);
            subject.name = program_of(&subject.name.to_string()).into();
            let attributes = subject.attributes.iter();
            let others = attributes.filter(|(key, _)| *key != attribute::COMMAND.name());
            subject.attributes =
                others.map(|(key, value)| (key.to_owned(), value.clone())).collect();
            Record::Subject(subject.into())
        }
        Record::Event(Event {
            kind: EventKind::Exec { name: Some(name) },
            t,
            subject,
            sampler,
        }) => {
            let name = Some(program_of(&name.to_string()).into());
            Record::Event(Event { t, subject, sampler, kind: EventKind::Exec { name } })
        }
        other => other,
    }
}

fn is_descendant(subject: &Subject) -> bool {
    subject.kind == SubjectKind::Process && subject.parent.is_some()
}

/// The name of a process without its script: `python3` of `python3 worker.py`.
pub(crate) fn program_of(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}
