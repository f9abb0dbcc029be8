//! The stages of a run, from plans to a report.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use seepmeter_plugin::{NewSubject, OptionSpec, Stream, Target};
use seepmeter_record::{
    Attr, Bytes, End, Event, EventKind, Footer, Lost, Record, SamplerId, SamplerInfo, SubjectId,
    TargetInfo, subject_kind,
};

use crate::clock::nanos;
use crate::cost::own_cost;
use crate::fan_out::{FanOut, Port};
use crate::header::header;
use crate::plan::{SamplerPlan, SinkPlan, StartError};
use crate::replay::Replay;
use crate::router::route;
use crate::sampler::{Lingering, SamplerHandle, SamplerMaking, Tally};
use crate::sink::{SinkHandle, SinkMaking, turns};
use crate::stream::{Inlet, stream};
use crate::trouble::Troubles;
use crate::{Notices, Report};

/// Makes samplers and sinks.
pub struct Engine {
    notices: Notices,
}

impl Engine {
    /// An engine that tells `notices` what the user should hear at once.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        Self { notices }
    }

    /// Makes an instance of every plan, all at the same time, each on its own thread.
    ///
    /// # Errors
    /// The first instance that can't be made.
    pub fn ready(
        self,
        samplers: Vec<SamplerPlan>,
        sinks: Vec<SinkPlan>,
    ) -> Result<Ready, StartError> {
        let troubles = Arc::new(Troubles::new(self.notices));
        let infos = samplers.iter().map(sampler_info).collect();
        let fastest = samplers.iter().map(|plan| plan.interval).min().unwrap_or(Duration::MAX);
        let patience = sinks.iter().map(|plan| plan.factory.info().patience).min();
        // Where no second sample comes in that time, there is nothing to wait for.
        let patience = patience.filter(|patience| fastest < *patience).unwrap_or(Duration::ZERO);
        let making_samplers = samplers
            .into_iter()
            .map(|plan| SamplerMaking::begin(plan, &troubles))
            .collect::<io::Result<Vec<_>>>()?;
        let turns = turns(sinks.len());
        let making_sinks = sinks
            .into_iter()
            .zip(turns)
            .map(|(plan, turn)| SinkMaking::begin(plan, turn, &troubles))
            .collect::<io::Result<Vec<_>>>()?;
        let samplers =
            making_samplers.into_iter().map(SamplerMaking::finish).collect::<Result<_, _>>()?;
        let mut ready =
            Ready { infos, samplers, sinks: Vec::new(), ports: Vec::new(), patience, troubles };
        for making in making_sinks {
            let (handle, port) = making.finish()?;
            ready.sinks.push(handle);
            ready.ports.push(port);
        }
        Ok(ready)
    }
}

fn sampler_info(plan: &SamplerPlan) -> SamplerInfo {
    let info = plan.factory.info();
    let is = |key: &str, spec: &OptionSpec| key == spec.key || key.replace('_', "-") == spec.key;
    let value = |spec: &OptionSpec| {
        let given = plan.options.iter().find(|(key, _)| is(key, spec));
        given.map(|(_, value)| value).or(spec.default.as_ref()).cloned()
    };
    // A plugin in a file may take options that it does not tell of.
    let untold = |(key, _): &&(String, String)| !info.options.iter().any(|spec| is(key, spec));
    SamplerInfo {
        name: info.name.clone(),
        interval: nanos(plan.interval),
        options: info
            .options
            .iter()
            .filter_map(|spec| Some((spec.key.clone(), value(spec)?)))
            .chain(plan.options.iter().filter(untold).cloned())
            .collect(),
    }
}

/// Working instances that wait for a target.
pub struct Ready {
    infos: Vec<SamplerInfo>,
    samplers: Vec<SamplerHandle>,
    sinks: Vec<SinkHandle>,
    ports: Vec<Port>,
    patience: Duration,
    troubles: Arc<Troubles>,
}

/// Whom to watch.
#[derive(Clone, Debug)]
pub struct Watched {
    /// As the header tells it.
    pub target: TargetInfo,
    /// Its name for people.
    pub name: Bytes,
    /// Its process id.
    pub pid: i32,
    /// Field 22 of its /proc/PID/stat.
    pub start_time: u64,
    /// What else is known of it, for its subject.
    pub attrs: Vec<(String, Attr)>,
    /// Where procfs is mounted.
    pub proc_root: PathBuf,
    /// The file that a command will execute.
    pub executable: Option<PathBuf>,
}

impl Ready {
    /// Starts the stream and shows every sampler the target. Time 0 of the stream is now.
    ///
    /// # Errors
    /// A sampler that can't start with this target.
    pub fn arm(self, watched: Watched) -> Result<Armed, StartError> {
        let Self { infos, samplers, sinks, ports, patience, troubles } = self;
        let spawned = matches!(watched.target, TargetInfo::Command(_));
        let (mut inlet, outlet) = stream();
        let (routed, lost) = bounded(1);
        let fan_out = FanOut::new(ports);
        let routers_troubles = Arc::clone(&troubles);
        thread::Builder::new().name("router".to_owned()).spawn(move || {
            let fan_out = route(&outlet, fan_out, patience, &routers_troubles);
            let _ = routed.send(fan_out.lost());
            fan_out.finish();
        })?;
        inlet.send(Record::Header(header(watched.target, infos)?));
        let start = i64::try_from(watched.start_time).unwrap_or(i64::MAX);
        let key = [("pid", watched.pid.into()), ("start", start)];
        let key = key.into_iter().map(|(name, value)| (name.to_owned(), Attr::Int(value)));
        let subject = inlet.subject(NewSubject {
            parent: None,
            kind: subject_kind::PROCESS.into(),
            name: watched.name,
            attrs: key.chain(watched.attrs).collect(),
        });
        let kind = if spawned { EventKind::Spawned } else { EventKind::Attached };
        inlet.event(Event::new(inlet.now(), kind).of(subject));
        let target = Target {
            pid: watched.pid,
            start_time: watched.start_time,
            subject,
            spawned,
            proc_root: watched.proc_root,
            executable: watched.executable,
        };
        for (id, sampler) in (0..).zip(&samplers) {
            sampler.start(target.clone(), &inlet, SamplerId(id))?;
        }
        Ok(Armed { session: Session { inlet, subject, samplers, sinks, lost, troubles } })
    }

    /// Feeds the sinks from a recording instead; samplers there should be none.
    #[must_use]
    pub fn replay(self) -> Replay {
        Replay::new(FanOut::new(self.ports), self.sinks, self.troubles)
    }
}

/// Every sampler has started with the target, and none has looked yet.
pub struct Armed {
    session: Session,
}

impl Armed {
    /// Lets the samplers tick; their first tick is due now.
    #[must_use]
    pub fn go(self) -> Live {
        let now = Instant::now();
        for sampler in &self.session.samplers {
            sampler.go(now);
        }
        Live { session: self.session }
    }

    /// Ends the run before it has begun.
    pub fn call_off(self, event: EventKind, end: End) -> Report {
        let value = match end {
            End::NotStarted(errno) => Some(errno.into()),
            _ => None,
        };
        self.session.tell(event, value);
        self.session.stop(end)
    }
}

/// Samplers look and sinks take.
pub struct Live {
    session: Session,
}

impl Live {
    /// Tells the stream what happened to the target just now.
    pub fn tell(&self, kind: EventKind, value: Option<i64>) {
        self.session.tell(kind, value);
    }

    /// Stops the samplers, tells how the target ended, and waits until the sinks have it all. A
    /// sampler or a sink that does not come to its end in time is left behind, and the report says so.
    pub fn stop(self, end: End) -> Report {
        self.session.stop(end)
    }
}

/// What [`Armed`] and [`Live`] have in common.
struct Session {
    inlet: Inlet,
    subject: SubjectId,
    samplers: Vec<SamplerHandle>,
    sinks: Vec<SinkHandle>,
    /// The router's last word: what was lost.
    lost: Receiver<Vec<Lost>>,
    troubles: Arc<Troubles>,
}

impl Session {
    fn tell(&self, kind: EventKind, value: Option<i64>) {
        self.tell_at(self.inlet.now(), kind, value);
    }

    fn tell_at(&self, t: u64, kind: EventKind, value: Option<i64>) {
        let event = Event { value, ..Event::new(t, kind).of(self.subject) };
        self.inlet.send(Record::Event(event));
    }

    fn stop(mut self, end: End) -> Report {
        // The target's end is now, however long a sampler takes to come back from its last look.
        let t = self.inlet.now();
        let (tally, lingering) = stop_samplers(std::mem::take(&mut self.samplers), &self.troubles);
        match end {
            End::Exited(status) => self.tell_at(t, EventKind::Exited, Some(status.into())),
            End::Killed(signal) => self.tell_at(t, EventKind::Killed, Some(signal.into())),
            End::Gone => self.tell_at(t, EventKind::Gone, None),
            End::Left | End::NotStarted(_) => {}
        }
        let mut footer = Footer {
            t,
            end,
            samples: tally.samples,
            late: tally.late,
            missed: tally.missed,
            lost: Vec::new(),
            cost: own_cost(),
        };
        self.inlet.send(Record::Footer(footer.clone()));
        self.inlet.hurry();
        // The router never waits for a sink, so it comes to the footer soon.
        footer.lost = self.lost.recv().unwrap_or_default();
        let mut lost: Vec<(String, u64)> =
            footer.lost.iter().map(|lost| (lost.sink.clone(), lost.samples)).collect();
        let ended = Instant::now();
        for sink in self.sinks {
            let (label, given_up) = sink.join(ended, &self.troubles);
            match lost.iter_mut().find(|(sink, _)| *sink == label) {
                Some((_, samples)) => *samples += given_up,
                None if given_up > 0 => lost.push((label, given_up)),
                None => {}
            }
        }
        Report { footer: Some(footer), failures: self.troubles.all(), lost, lingering }
    }
}

fn stop_samplers(samplers: Vec<SamplerHandle>, troubles: &Troubles) -> (Tally, Vec<Lingering>) {
    let since = Instant::now();
    let stopping: Vec<_> = samplers.into_iter().map(SamplerHandle::stop).collect();
    let (mut sum, mut all) = (Tally::default(), Vec::new());
    for sampler in stopping {
        let (tally, lingering) = sampler.join(since, troubles);
        sum.samples += tally.samples;
        sum.late += tally.late;
        sum.missed += tally.missed;
        all.extend(lingering);
    }
    (sum, all)
}
