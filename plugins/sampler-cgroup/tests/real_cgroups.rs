//! The sampler on real processes, in cgroups that the test makes where it may.

use std::path::Path;

use seepmeter_plugin::record::conventions::attribute;
use seepmeter_plugin::record::{Attributes, CurrentValues, SubjectId, SubjectKind};
use seepmeter_plugin::{
    Error, ErrorKind, NewSubject, Options, Plugin, RunningSampler, Sampler, Stream, StreamBuffer,
    Target,
};
use seepmeter_process::proc::ProcRoot;
use seepmeter_sampler_cgroup::{CgroupOptions, CgroupSampler, RunningCgroup};
use seepmeter_tests::{RunningProgram, TestCgroup, eventually, not_run, run_target, words};

const MIB: i64 = 1 << 20;

struct Watched {
    sampler: RunningCgroup,
    stream: StreamBuffer,
}

impl Watched {
    fn start() -> Self {
        let mut stream = StreamBuffer::new();
        let options = CgroupOptions::from_pairs(&[]).unwrap();
        let sampler = CgroupSampler::new(options).unwrap().start(&mut stream).unwrap();
        Self { sampler, stream }
    }

    fn add(&mut self, program: &RunningProgram) -> Result<SubjectId, Error> {
        let pid = program.pid();
        let (kind, name) = (SubjectKind::Process, "obey".into());
        let attributes = Attributes::new();
        let subject = self.stream.subject(NewSubject { parent: None, kind, name, attributes });
        let start_time = ProcRoot::default().process(pid).stat().unwrap().start_time;
        let (proc_root, executable) = ("/proc".into(), None);
        let target = Target { pid, start_time, subject, spawned: false, proc_root, executable };
        self.sampler.add_target(&target, &mut self.stream)?;
        Ok(subject)
    }

    fn remove(&mut self, target: SubjectId) {
        self.sampler.remove_target(target, &mut self.stream).unwrap();
    }

    fn sample(&mut self) -> Result<(), Error> {
        let Self { sampler, stream } = self;
        stream.sample(|sample| sampler.sample(sample))
    }

    fn values(&self) -> CurrentValues {
        let mut values = CurrentValues::default();
        self.stream.records().iter().for_each(|record| values.apply(record));
        // One more, so that what the last one has ended is forgotten.
        values.apply(&self.stream.records()[0]);
        values
    }

    fn cgroups(&self) -> Vec<SubjectId> {
        let values = self.values();
        let cgroups = values.subjects().filter(|subject| subject.kind == SubjectKind::Cgroup);
        cgroups.map(|subject| subject.id).collect()
    }

    fn value(&self, cgroup: SubjectId, metric: &str) -> Option<i64> {
        self.values().value(cgroup, metric)
    }
}

fn enter(cgroup: &TestCgroup, program: &RunningProgram) {
    std::fs::write(cgroup.folder.join("cgroup.procs"), program.pid().to_string()).unwrap();
}

/// Has a program allocate so much, and waits until it has.
fn allocate(program: &mut RunningProgram, bytes: i64) {
    program.say(&format!("anonymous {bytes}"));
    let at = eventually("an address", || program.said().lines().next().map(str::to_owned));
    program.say(&format!("touch {at} {bytes}"));
    eventually("it is touched", || (program.said().lines().count() > 1).then_some(()));
}

/// For each version that this machine lets cgroups be made of.
fn for_each_version(test: &str, run: impl Fn(u8, TestCgroup)) {
    for version in [1, 2] {
        match TestCgroup::new(version, 256 << 20) {
            Ok(cgroup) => run(version, cgroup),
            Err(why) => not_run(&format!("{test}, version {version}"), &why),
        }
    }
}

/// Where the kernel's own file is, it says the same.
fn number_in(folder: &Path, file: &str) -> Option<i64> {
    std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

#[test]
fn what_a_process_allocates_is_in_its_cgroup_with_its_limit() {
    for_each_version("the memory of a real cgroup", |version, cgroup| {
        let mut program = run_target("obey", words![]).start();
        enter(&cgroup, &program);
        let mut watched = Watched::start();
        watched.add(&program).unwrap();
        watched.sample().unwrap();
        let [group] = watched.cgroups()[..] else { panic!("{:?}", watched.cgroups()) };
        let anon = |watched: &Watched| watched.value(group, "cgroup_anon").unwrap();
        let before = anon(&watched);
        allocate(&mut program, 64 * MIB);
        // The kernel adds the counts of its CPUs up every two seconds.
        eventually("64 MiB more", || {
            watched.sample().unwrap();
            (anon(&watched) - before >= 63 * MIB).then_some(())
        });
        assert!(anon(&watched) - before <= 66 * MIB);
        assert!(watched.value(group, "cgroup_current").unwrap() >= 63 * MIB);
        assert_eq!(watched.value(group, "cgroup_limit"), Some(256 * MIB));
        assert_eq!(watched.value(group, "cgroup_oom_kill"), Some(0));
        let peak = ["memory.max_usage_in_bytes", "memory.peak"][usize::from(version) - 1];
        match number_in(&cgroup.folder, peak) {
            Some(_) => assert!(watched.value(group, "cgroup_peak") >= Some(63 * MIB)),
            None => assert_eq!(watched.value(group, "cgroup_peak"), None),
        }
        let values = watched.values();
        let subject = values.subject(group).unwrap();
        assert_eq!(subject.get(attribute::CGROUP_LIMIT), Some(256 << 20));
        let folder = cgroup.folder.file_name().unwrap().to_str().unwrap();
        assert!(subject.name.to_string().ends_with(folder), "{}", subject.name);
        let _ = program.finish();
    });
}

#[test]
fn the_cgroup_of_a_target_that_was_reaped_is_sampled_once_more() {
    for_each_version("a cgroup after the end of its target", |_, cgroup| {
        let mut program = run_target("obey", words![]).start();
        enter(&cgroup, &program);
        allocate(&mut program, 64 * MIB);
        let mut watched = Watched::start();
        watched.add(&program).unwrap();
        watched.sample().unwrap();
        let [group] = watched.cgroups()[..] else { panic!("{:?}", watched.cgroups()) };
        assert!(watched.value(group, "cgroup_current").unwrap() >= 63 * MIB);
        let _ = program.finish();
        watched.sample().unwrap();
        assert!(watched.value(group, "cgroup_current").unwrap() < 63 * MIB);
        let error = watched.sample().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
    });
}

#[test]
fn a_cgroup_of_several_targets_is_one_subject_until_the_last_of_them_leaves() {
    for_each_version("a cgroup of two targets", |_, cgroup| {
        let programs = [(); 2].map(|()| run_target("obey", words![]).start());
        programs.iter().for_each(|program| enter(&cgroup, program));
        let mut watched = Watched::start();
        let [first, second] = [0, 1].map(|at: usize| watched.add(&programs[at]).unwrap());
        watched.sample().unwrap();
        let shared = watched.cgroups();
        assert_eq!(shared.len(), 1);
        watched.remove(first);
        watched.sample().unwrap();
        assert_eq!(watched.cgroups(), shared);
        // It goes elsewhere, and the values are those of where it is.
        let root = cgroup.folder.parent().unwrap();
        std::fs::write(root.join("cgroup.procs"), programs[1].pid().to_string()).unwrap();
        watched.sample().unwrap();
        let after = watched.cgroups();
        assert!(after.len() == 1 && after != shared, "{after:?}");
        watched.remove(second);
        assert!(watched.sample().is_err());
        for program in programs {
            let _ = program.finish();
        }
    });
}

#[test]
fn this_machines_own_cgroup_is_found_or_the_reason_is_named() {
    let program = run_target("obey", words![]).start();
    let mut watched = Watched::start();
    match watched.add(&program) {
        Ok(_) => {
            watched.sample().unwrap();
            let [group] = watched.cgroups()[..] else { panic!("{:?}", watched.cgroups()) };
            assert!(watched.value(group, "cgroup_anon") > Some(0));
        }
        Err(why) => assert!(why.to_string().contains("is mounted here"), "{why}"),
    }
    let _ = program.finish();
}
