//! `attach --cgroup PATH`: all processes in it, those that come later too.

use std::path::PathBuf;

use seepmeter_record::TargetOrigin;
use seepmeter_tests::{
    Recording, RunningProgram, TestCgroup, eventually, not_run, run_target, seepmeter, words,
};

const LIMIT: u64 = 1 << 30;

/// A cgroup, and a folder for what is written.
struct Place {
    group: TestCgroup,
    folder: tempfile::TempDir,
}

impl Drop for Place {
    /// The cgroup itself is removed behind this.
    fn drop(&mut self) {
        let below = std::fs::read_dir(&self.group.folder).into_iter().flatten().flatten();
        for folder in below.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())) {
            let _ = std::fs::remove_dir(folder.path());
        }
    }
}

impl Place {
    /// None, loudly, if this machine does not let a cgroup be made.
    fn new(test: &str) -> Option<Self> {
        let group = TestCgroup::new(1, LIMIT).or_else(|_| TestCgroup::new(2, LIMIT));
        let group = group.inspect_err(|why| not_run(test, why)).ok()?;
        Some(Self { group, folder: tempfile::tempdir().unwrap() })
    }

    /// The path as /proc/PID/cgroup shows it.
    fn path(&self) -> String {
        format!("/{}", self.group.folder.file_name().unwrap().to_str().unwrap())
    }

    fn recording(&self) -> PathBuf {
        self.folder.path().join("r.jsonl")
    }

    /// A process that is in it, or in a cgroup below it.
    fn start(&self, below: &str) -> RunningProgram {
        let target = run_target("hold", words!["4"]).start();
        let _ = target.line("ready");
        let procs = self.group.folder.join(below).join("cgroup.procs");
        std::fs::write(procs, target.pid().to_string()).unwrap();
        target
    }

    fn attach(&self, path: &str, flags: &[&str]) -> RunningProgram {
        let sink = format!("jsonl,path={}", self.recording().display());
        let words = words!["attach", "-q", "-i", "20ms", "-o", sink, "--cgroup", path];
        seepmeter(words.into_iter().chain(flags.iter().map(Into::into))).start()
    }

    fn wait_for_attached(&self, count: usize) {
        let recording = || Recording::try_read(&self.recording()).ok();
        let attached = || Some(recording()?.events("attached").len());
        eventually("processes", || attached().filter(|attached| *attached >= count));
    }
}

#[test]
fn all_processes_of_a_cgroup_are_watched_also_nested_ones_and_those_that_come_later() {
    let Some(place) = Place::new("attach --cgroup") else { return };
    std::fs::create_dir(place.group.folder.join("inner")).unwrap();
    let (first, inner) = (place.start(""), place.start("inner"));
    let attached = place.attach(place.group.folder.to_str().unwrap(), &[]);
    place.wait_for_attached(2);
    let later = place.start("");
    place.wait_for_attached(3);
    // The watch goes on without the one that stands for all, and ends with the last.
    let _ = first.finish().expect(0);
    let _ = inner.finish().expect(0);
    // How a descendant has ended is known where there are process events.
    let recording = || Recording::try_read(&place.recording()).ok();
    let ends = |kind: &str| recording().map_or(0, |recording| recording.events(kind).len());
    eventually("ends", || (ends("gone") + ends("exited") >= 2).then_some(()));
    let _ = later.finish().expect(0);
    let done = attached.finish().expect(0);
    assert!(done.err().contains("a cgroup"), "{}", done.output());
    let recording = Recording::read(&place.recording());
    let origin = &recording.header().targets[0].origin;
    assert_eq!(*origin, TargetOrigin::Cgroup(place.path().as_str().into()));
    assert_eq!(recording.header().targets.len(), 1);
    assert_eq!(recording.events("attached").len(), 3);
}

#[test]
fn the_sampler_cgroup_alone_has_rows_of_the_cgroup_in_the_summary() {
    let Some(place) = Place::new("attach --cgroup -s cgroup") else { return };
    let target = place.start("");
    let attached = place.attach(&place.path(), &["-s", "cgroup"]);
    let sampled = || Recording::try_read(&place.recording()).ok()?.samples().nth(3).cloned();
    let _ = eventually("samples", sampled);
    let _ = target.finish().expect(0);
    let done = attached.finish().expect(0);
    let block = format!("\ncgroup     {}\ncurrent    first ", place.path());
    assert!(done.err().contains(&block), "{}", done.output());
    assert!(done.err().contains("\nanon       first "), "{}", done.output());
}

#[test]
fn an_empty_cgroup_is_an_error_unless_one_waits_and_its_path_may_be_that_of_proc() {
    let Some(place) = Place::new("attach --cgroup of an empty one") else { return };
    let path = place.path();
    let empty = format!("there is no process in cgroup {path}; --wait waits for one");
    place.attach(&path, &[]).finish().expect_complaint(125, &[&empty]);
    let none = format!("there is no cgroup {path}-none");
    place.attach(&format!("{path}-none"), &[]).finish().expect_complaint(125, &[&none]);
    let attached = place.attach(&path, &["--wait"]);
    let target = place.start("");
    place.wait_for_attached(1);
    let flags = words!["attach", "-q", "-d", "100ms", "--cgroup", &path, "--cgroup", &path];
    let twice = seepmeter(flags).done().expect(0);
    assert_eq!(twice.err().matches("target  ").count(), 1, "{}", twice.output());
    let _ = target.finish().expect(0);
    let _ = attached.finish().expect(0);
}

#[test]
fn the_watch_ends_when_the_cgroup_is_removed() {
    let Some(place) = Place::new("attach --cgroup that is removed") else { return };
    let target = place.start("");
    let attached = place.attach(&place.path(), &[]);
    place.wait_for_attached(1);
    let parent = place.group.folder.parent().unwrap().join("cgroup.procs");
    std::fs::write(parent, target.pid().to_string()).unwrap();
    std::fs::remove_dir(&place.group.folder).unwrap();
    let done = attached.finish().expect(0);
    assert!(done.err().contains("still running"), "{}", done.output());
    let _ = target.finish().expect(0);
}

#[test]
fn a_container_is_found_by_the_id_in_the_name_of_its_cgroup_and_one_that_is_not_there_says_where_it_was_searched_for()
 {
    let Some(place) = Place::new("attach --container") else { return };
    let id = format!("{:0>64x}", std::process::id());
    let scope = format!("docker-{id}.scope");
    std::fs::create_dir(place.group.folder.join(&scope)).unwrap();
    let target = place.start(&scope);
    let sink = format!("jsonl,path={}", place.recording().display());
    let words = words!["attach", "-q", "-o", sink, "--container", id];
    let attached = seepmeter(words).start();
    place.wait_for_attached(1);
    let _ = target.finish().expect(0);
    let _ = attached.finish().expect(0);
    let recording = Recording::read(&place.recording());
    let origin = &recording.header().targets[0].origin;
    let path = format!("{}/{scope}", place.path());
    assert_eq!(*origin, TargetOrigin::Cgroup(path.as_str().into()));
    // Its cgroup is still there.
    let parts = ["there is no process in container", "/var/lib/docker", "docker inspect -f"];
    seepmeter(words!["attach", "--container", id]).done().expect_complaint(125, &parts);
    let parts = ["there is no container", "/var/lib/docker", "docker inspect -f"];
    let nobody = "f".repeat(64);
    seepmeter(words!["attach", "--container", nobody]).done().expect_complaint(125, &parts);
}

#[test]
fn a_cgroup_that_has_become_empty_is_waited_for_and_what_comes_next_is_a_new_epoch() {
    let Some(place) = Place::new("attach --cgroup --follow-restarts") else { return };
    let first = place.start("");
    let attached = place.attach(&place.path(), &["--follow-restarts", "-o", "text"]);
    place.wait_for_attached(1);
    let pid = first.pid();
    let _ = first.finish().expect(0);
    eventually("its end", || {
        let recording = Recording::try_read(&place.recording()).ok()?;
        (!recording.events("gone").is_empty()).then_some(())
    });
    let second = place.start("");
    let line = attached.error_line("restarted: ");
    assert!(line.contains(&format!("(pid {pid}) → ")), "{line}");
    assert!(line.contains(&format!("(pid {}), watched again after ", second.pid())), "{line}");
    attached.signal(nix::sys::signal::Signal::SIGINT);
    let _ = attached.finish().expect(0);
    let _ = second.finish().expect(0);
}
