//! A sampler and a sink that panic where they are told to, in one library: each entry symbol carries a
//! name, and the library is loaded under a file name that fits.

use seepmeter_plugin::record::{MetricId, MetricKind, MetricSpec, Record, SubjectId, Unit};
use seepmeter_plugin::verdict::Conclusion;
use seepmeter_plugin::{
    Error, OptionError, OptionSpec, Options, Plugin, RunningSampler, SampleBuilder, Sampler, Sink,
    Stream, Target, Until, Waited, options,
};

options! {
    /// Where to panic.
    pub struct Where {
        /// The call.
        at: String = "nowhere",
    }
}

/// What the panic carries panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panic's panic");
    }
}

impl Where {
    fn reach(&self, call: &str) {
        assert!(self.at != call, "told to, in {call} \u{1b}[31m");
        if self.at.strip_prefix("bomb-") == Some(call) {
            std::panic::panic_any(Bomb);
        }
    }
}

const PANICS: MetricSpec<'static> =
    MetricSpec::new("panics", Unit::Count, MetricKind::Counter, "panics so far");

/// The sampler.
pub struct Panicky {
    at: Where,
}

impl Plugin for Panicky {
    const NAME: &'static str = "panicky";
    const ABOUT: &'static str = "panics where it is told to";
    type Options = Where;

    fn new(at: Where) -> Result<Self, Error> {
        at.reach("new");
        Ok(Self { at })
    }
}

impl Sampler for Panicky {
    type Running = RunningPanicky;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningPanicky, Error> {
        self.at.reach("start");
        let panics = stream.metric(&PANICS);
        Ok(RunningPanicky { at: self.at, panics, targets: Vec::new() })
    }
}

/// The sampler while the run lasts.
pub struct RunningPanicky {
    at: Where,
    panics: MetricId,
    targets: Vec<SubjectId>,
}

impl RunningSampler for RunningPanicky {
    fn add_target(&mut self, target: &Target, _: &mut dyn Stream) -> Result<(), Error> {
        self.at.reach("add-target");
        self.targets.push(target.subject);
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _: &mut dyn Stream) -> Result<(), Error> {
        self.at.reach("remove-target");
        self.targets.retain(|target| *target != subject);
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        self.at.reach("sample");
        for target in &self.targets {
            sample.point(*target, self.panics, 0);
        }
        Ok(())
    }

    fn wait(&mut self, _: Until<'_>, _: &mut dyn Stream) -> Result<Waited, Error> {
        self.at.reach("wait");
        Ok(Waited::PleaseSleep)
    }

    fn stop(&mut self, _: &mut dyn Stream) -> Result<(), Error> {
        self.at.reach("stop");
        Ok(())
    }
}

impl Drop for RunningPanicky {
    fn drop(&mut self) {
        self.at.reach("drop");
    }
}

/// The sink.
pub struct PanickySink {
    at: Where,
}

impl Plugin for PanickySink {
    const NAME: &'static str = "alarmist";
    const ABOUT: &'static str = "panics where it is told to";
    type Options = Where;

    fn new(at: Where) -> Result<Self, Error> {
        at.reach("new");
        Ok(Self { at })
    }
}

impl Sink for PanickySink {
    fn write(&mut self, _: &Record) -> Result<(), Error> {
        self.at.reach("write");
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.at.reach("flush");
        Ok(())
    }

    fn conclude(&mut self, _: &Conclusion) -> Result<(), Error> {
        self.at.reach("conclude");
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.at.reach("stop");
        Ok(())
    }
}

impl Drop for PanickySink {
    fn drop(&mut self) {
        self.at.reach("drop");
    }
}

/// Options that panic while the table is made.
pub struct NoOptions;

impl Options for NoOptions {
    fn specs() -> Vec<OptionSpec> {
        panic!("told to, while the table is made")
    }

    fn from_pairs(_: &[(String, String)]) -> Result<Self, OptionError> {
        Ok(Self)
    }
}

/// A sink that has no table.
pub struct Tableless;

impl Plugin for Tableless {
    const NAME: &'static str = "tableless";
    const ABOUT: &'static str = "panics at once";
    type Options = NoOptions;

    fn new(_: NoOptions) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Sink for Tableless {
    fn write(&mut self, _: &Record) -> Result<(), Error> {
        Ok(())
    }
}

seepmeter_plugin::export_sampler!(Panicky as panicky);
seepmeter_plugin::export_sink!(PanickySink as alarmist);
seepmeter_plugin::export_sink!(Tableless as tableless);
