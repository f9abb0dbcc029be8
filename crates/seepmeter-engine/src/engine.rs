//! Making the instances, and adding the targets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use seepmeter_plugin::{ErrorKind, OptionSpec, Target};
use seepmeter_record::{Event, EventKind, Record, SamplerId, SamplerInfo, TargetInfo};
use seepmeter_verdict::Collector;

use crate::Notices;
use crate::clock::nanos;
use crate::failures::Failures;
use crate::fan_out::FanOut;
use crate::header::header;
use crate::plan::{SamplerPlan, SinkPlan, StartError, TargetSpec};
use crate::replay::Replay;
use crate::router::Router;
use crate::sampler::{PendingSampler, SamplerHandle};
use crate::session::{Armed, Session};
use crate::sink::{PendingSink, SinkHandle, turns};
use crate::sink_queue::SinkQueue;
use crate::stream::stream;

/// Makes samplers and sinks.
pub struct Engine {
    notices: Notices,
}

impl Engine {
    /// An engine that reports to `notices` what the user should know at once.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        Self { notices }
    }

    /// Makes an instance of every plan, all at the same time, each on its own thread.
    ///
    /// # Errors
    /// The first instance that can't be made.
    pub fn prepare(
        self,
        samplers: Vec<SamplerPlan>,
        sinks: Vec<SinkPlan>,
    ) -> Result<Prepared, StartError> {
        let failures = Arc::new(Failures::new(self.notices));
        let infos = samplers.iter().map(sampler_info).collect();
        let max_batch_delay = max_batch_delay(&samplers, &sinks);
        let pending_samplers = samplers
            .into_iter()
            .map(|plan| PendingSampler::begin(plan, &failures))
            .collect::<io::Result<Vec<_>>>()?;
        let turns = turns(sinks.len());
        let pending_sinks = sinks
            .into_iter()
            .zip(turns)
            .map(|(plan, turn)| PendingSink::begin(plan, turn, &failures))
            .collect::<io::Result<Vec<_>>>()?;
        let samplers =
            pending_samplers.into_iter().map(PendingSampler::finish).collect::<Result<_, _>>()?;
        let sinks =
            pending_sinks.into_iter().map(PendingSink::finish).collect::<Result<Vec<_>, _>>()?;
        let (sinks, queues) = sinks.into_iter().unzip();
        Ok(Prepared { infos, samplers, sinks, queues, max_batch_delay, failures })
    }
}

/// How long a record may wait for others: as the most urgent sink asks, and not at all if no second
/// sample comes in that time.
fn max_batch_delay(samplers: &[SamplerPlan], sinks: &[SinkPlan]) -> Duration {
    let fastest =
        samplers.iter().map(|plan| plan.tick_interval().shortest()).min().unwrap_or(Duration::MAX);
    let delay = sinks.iter().map(|plan| plan.factory.info().max_batch_delay).min();
    delay.filter(|delay| fastest < *delay).unwrap_or(Duration::ZERO)
}

fn sampler_info(plan: &SamplerPlan) -> SamplerInfo {
    let info = plan.factory.info();
    let is = |key: &str, spec: &OptionSpec| key == spec.key || key.replace('_', "-") == spec.key;
    let value = |spec: &OptionSpec| {
        let given = plan.options.iter().find(|(key, _)| is(key, spec));
        given.map(|(_, value)| value).or(spec.default.as_ref()).cloned()
    };
    // A plugin in a file may take options that it does not list.
    let unlisted = |(key, _): &&(String, String)| !info.options.iter().any(|spec| is(key, spec));
    let interval = plan.tick_interval();
    let (first, last) = (interval.shortest(), interval.longest());
    SamplerInfo {
        name: info.name.clone(),
        interval: nanos(last),
        first_interval: (first < last).then(|| nanos(first)),
        options: info
            .options
            .iter()
            .filter_map(|spec| Some((spec.key.clone(), value(spec)?)))
            .chain(plan.options.iter().filter(unlisted).cloned())
            .collect(),
    }
}

/// Working instances that wait for targets.
pub struct Prepared {
    infos: Vec<SamplerInfo>,
    samplers: Vec<SamplerHandle>,
    sinks: Vec<SinkHandle>,
    queues: Vec<SinkQueue>,
    max_batch_delay: Duration,
    failures: Arc<Failures>,
}

impl Prepared {
    /// Starts the stream, and the samplers with these targets. Time 0 of the stream is now. `collector`
    /// observes all records and concludes at the end.
    ///
    /// # Errors
    /// A sampler that can't start, or can't take a target.
    pub fn arm(self, targets: Vec<TargetSpec>, collector: Collector) -> Result<Armed, StartError> {
        let Self { infos, samplers, sinks, queues, max_batch_delay, failures } = self;
        let (writer, reader) = stream();
        let gone = reader.router;
        let (report, router) = bounded(1);
        let open = Arc::new(AtomicBool::new(false));
        let (request_sender, requests) = unbounded();
        let routing = Router {
            open: Arc::clone(&open),
            stream: reader,
            fan_out: FanOut::new(queues),
            collector,
            max_batch_delay,
            failures: Arc::clone(&failures),
            requests,
        };
        thread::Builder::new().name("router".to_owned()).spawn(move || {
            let _gone = gone.at_end_of_thread();
            routing.run(&report);
        })?;
        let subjects = writer.reserve_subjects(targets.len());
        let origins = targets.iter().map(|target| target.origin.clone());
        let named = subjects.iter().zip(origins);
        let named =
            named.map(|(subject, origin)| TargetInfo { subject: *subject, origin }).collect();
        let header = header(named, infos)?;
        writer.send(Record::Header(header.into()));
        let session = Session {
            writer,
            targets: subjects,
            ends: Vec::new(),
            notices: Vec::new(),
            samplers,
            sinks,
            router,
            requests: request_sender,
            open,
            failures,
            marks: None,
        };
        session.begin(targets)?;
        Ok(Armed::new(session))
    }

    /// Feeds the sinks, and the collector, from a recording instead. To be prepared without samplers.
    #[must_use]
    pub fn replay(self, collector: Collector) -> Replay {
        Replay::new(FanOut::new(self.queues), self.sinks, collector, self.failures)
    }
}

impl Session {
    /// Defines the targets' subjects, and starts the samplers with them.
    fn begin(&self, targets: Vec<TargetSpec>) -> Result<(), StartError> {
        for (subject, target) in self.targets.iter().zip(&targets) {
            self.writer.define_subject(*subject, target.new_subject());
            self.emit(target.first_event(), *subject);
        }
        for (id, sampler) in (0..).zip(&self.samplers) {
            sampler.start(&self.writer, SamplerId(id))?;
        }
        let targets = self.targets.iter().zip(targets);
        let targets: Vec<Target> = targets.map(|(subject, spec)| spec.target(*subject)).collect();
        for (id, sampler) in (0..).zip(&self.samplers) {
            self.add_first_targets(sampler, SamplerId(id), &targets)?;
        }
        Ok(())
    }

    /// Adds the targets of the beginning to a sampler. One of several may end just now, or be refused to the
    /// sampler: that must not cost the others their run, unless the sampler has none then.
    fn add_first_targets(
        &self,
        sampler: &SamplerHandle,
        id: SamplerId,
        targets: &[Target],
    ) -> Result<(), StartError> {
        let several = targets.len() > 1;
        let (mut added, mut refused) = (0, None);
        for target in targets {
            match sampler.add_first_target(target.clone()) {
                Ok(()) => added += 1,
                Err(error) if several && error.kind() == ErrorKind::Gone => {}
                Err(error) if several && error.kind() == ErrorKind::Skip => {
                    let text = format!("process {}: {error}", target.pid).into();
                    let kind = EventKind::Incomplete { count: Some(1), text };
                    let event = Event::new(self.writer.now(), kind).of(target.subject).by(id);
                    self.writer.send(Record::Event(event));
                    refused = Some(error);
                }
                Err(error) => return Err(sampler.start_error(error)),
            }
        }
        match refused.filter(|_| added == 0) {
            Some(error) => Err(sampler.start_error(error)),
            None => Ok(()),
        }
    }
}
