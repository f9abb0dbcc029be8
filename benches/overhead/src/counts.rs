//! A sample of the samplers fds and cgroup, against a read of statm.

use std::fs::File;

use anyhow::{Context, Result, anyhow};
use seepmeter_plugin::record::{Attributes, SubjectKind};
use seepmeter_plugin::{
    NewSubject, Options, Plugin, RunningSampler, Sampler, Stream, StreamBuffer, Target,
};
use seepmeter_process::proc::{ProcRoot, StatmFile};
use seepmeter_process::system::thread_cpu_time;
use seepmeter_sampler_cgroup::CgroupSampler;
use seepmeter_sampler_fds::Fds;

use crate::Bench;
use crate::statistics::median;
use crate::table::Row;

const DESCRIPTORS: usize = 1_000;
/// Statm is read so often for each sample.
const READS: u32 = 100;

/// A running sampler of this process, and its stream.
struct Sampled {
    sampler: Box<dyn RunningSampler>,
    stream: StreamBuffer,
}

impl Sampled {
    fn start<P>(options: &[(String, String)]) -> Result<Self>
    where
        P: Sampler + Plugin,
        P::Running: 'static,
    {
        let mut stream = StreamBuffer::new();
        let options = P::Options::from_pairs(options).map_err(|why| anyhow!("{why}"))?;
        let mut sampler = P::new(options)?.start(&mut stream)?;
        let (kind, name) = (SubjectKind::Process, "bench".into());
        let attributes = Attributes::new();
        let subject = stream.subject(NewSubject { parent: None, kind, name, attributes });
        let pid = i32::try_from(std::process::id())?;
        let start_time = ProcRoot::default().own().stat()?.start_time;
        let (proc_root, executable) = ("/proc".into(), None);
        let target = Target { pid, start_time, subject, spawned: false, proc_root, executable };
        sampler.add_target(&target, &mut stream)?;
        Ok(Self { sampler: Box::new(sampler), stream })
    }

    /// The CPU time of one sample in microseconds.
    fn sample(&mut self) -> Result<f64> {
        let Self { sampler, stream } = self;
        let begin = thread_cpu_time();
        stream.sample(|sample| sampler.sample(sample))?;
        Ok(thread_cpu_time().saturating_sub(begin).as_secs_f64() * 1e6)
    }
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let open = || File::open("/dev/null").context("RLIMIT_NOFILE is too low: ulimit -n 4096");
    let _open = (0..DESCRIPTORS).map(|_| open()).collect::<Result<Vec<_>>>()?;
    let options = [("budget", "100"), ("mappings", "no")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut fds = Sampled::start::<Fds>(&options)?;
    let mut cgroup = Sampled::start::<CgroupSampler>(&[]);
    let statm = StatmFile::open(&ProcRoot::default().own())?;
    let [mut of_statm, mut of_fds, mut of_cgroup] = [(); 3].map(|()| Vec::new());
    for _ in 0..bench.pick(300, 60) {
        let begin = thread_cpu_time();
        for _ in 0..READS {
            std::hint::black_box(statm.read()?);
        }
        let took = thread_cpu_time().saturating_sub(begin);
        of_statm.push(took.as_secs_f64() * 1e6 / f64::from(READS));
        of_fds.push(fds.sample()?);
        if let Ok(cgroup) = &mut cgroup {
            of_cgroup.push(cgroup.sample()?);
        }
    }
    let statm = median(&of_statm);
    let figure = |micros: f64| format!("{micros:.1} µs, {:.0} × a read of statm", micros / statm);
    let of_cgroup = match cgroup {
        Ok(_) => figure(median(&of_cgroup)),
        Err(why) => format!("NOT RUN: {why}"),
    };
    Ok(vec![
        Row::figure("fds: a sample of 1,000 descriptors", figure(median(&of_fds))),
        Row::figure("cgroup: a sample of one cgroup", of_cgroup),
    ])
}
