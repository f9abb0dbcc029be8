//! What observes the target.

use std::fs::File;
use std::io::{Error, Read};
use std::thread;
use std::time::{Duration, Instant};

use crate::plugin::PluginAtWork;
use crate::target::Target;

/// One way to observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observer {
    Nobody,
    Smaps { hertz: u32 },
    Procfs,
    Maps,
    Statm,
    Plugin,
}

impl Observer {
    pub(crate) const ALL: [Self; 7] = [
        Self::Nobody,
        Self::Smaps { hertz: 1 },
        Self::Smaps { hertz: 10 },
        Self::Procfs,
        Self::Maps,
        Self::Statm,
        Self::Plugin,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Smaps { hertz: 1 } => "smaps at 1 Hz",
            Self::Smaps { .. } => "smaps at 10 Hz",
            Self::Procfs => "procfs' smaps at 1 Hz",
            Self::Maps => "maps at 100 Hz",
            Self::Statm => "statm at 1000 Hz",
            Self::Plugin => "plugin at defaults",
        }
    }
}

/// One observer of one target.
pub(crate) struct ActiveObserver {
    observer: Observer,
    pid: i32,
    plugin: Option<PluginAtWork>,
}

impl ActiveObserver {
    pub(crate) fn new(observer: Observer, target: &Target) -> Result<Self, Error> {
        let plugin = match observer {
            Observer::Plugin => Some(PluginAtWork::new(target)?),
            _ => None,
        };
        Ok(Self { observer, pid: target.pid(), plugin })
    }

    /// Observes until then.
    pub(crate) fn watch(&mut self, until: Instant) -> Result<(), Error> {
        let pid = self.pid;
        match self.observer {
            Observer::Nobody => thread::sleep(until.saturating_duration_since(Instant::now())),
            Observer::Smaps { hertz } => tick(until, hertz, || read(pid, "smaps"))?,
            Observer::Maps => tick(until, 100, || read(pid, "maps"))?,
            Observer::Statm => tick(until, 1000, || read(pid, "statm"))?,
            Observer::Procfs => tick(until, 1, || {
                let process = procfs::process::Process::new(pid).map_err(Error::other)?;
                process.smaps().map(drop).map_err(Error::other)
            })?,
            Observer::Plugin => {
                if let Some(plugin) = &mut self.plugin {
                    plugin.watch(until)?;
                }
            }
        }
        Ok(())
    }

    /// The longest time until 1 MiB of growth was seen.
    pub(crate) fn slowest_seen(&self) -> Option<Duration> {
        self.plugin.as_ref().and_then(PluginAtWork::slowest_seen)
    }
}

fn tick(
    until: Instant,
    hertz: u32,
    mut observe: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    let mut due = Instant::now();
    while due < until {
        observe()?;
        due = (due + Duration::from_secs(1) / hertz).max(Instant::now());
        thread::sleep(due.min(until).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn read(pid: i32, name: &str) -> Result<(), Error> {
    let mut file = File::open(format!("/proc/{pid}/{name}"))?;
    let mut piece = vec![0; 64 << 10];
    while file.read(&mut piece)? > 0 {}
    Ok(())
}
