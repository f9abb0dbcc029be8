//! A sampler and a sink that panic where they are told to, in one library: each entry symbol carries a
//! name, and the library is loaded under a file name that fits.

use seepmeter_plugin::record::{MetricId, Record, SubjectId, Unit};
use seepmeter_plugin::{
    Error, Look, OptionError, OptionSpec, Options, Plugin, Sampler, Sink, Stream, Target, Until,
    Waited, options,
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

/// The sampler.
pub struct Panicky {
    at: Where,
    told: Option<(SubjectId, MetricId)>,
}

impl Plugin for Panicky {
    const NAME: &'static str = "panicky";
    const ABOUT: &'static str = "panics where it is told to";
    type Options = Where;

    fn new(at: Where) -> Result<Self, Error> {
        at.reach("new");
        Ok(Self { at, told: None })
    }
}

impl Sampler for Panicky {
    fn start(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error> {
        self.at.reach("start");
        self.told = Some((target.subject, stream.metric("panics", Unit::Count, "panics so far")));
        Ok(())
    }

    fn sample(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        self.at.reach("sample");
        let (subject, metric) = self.told.ok_or_else(|| Error::failed("not started"))?;
        look.point(subject, metric, 0);
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

impl Drop for Panicky {
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
