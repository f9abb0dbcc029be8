//! What tests of several modules need.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::proc::ProcRoot;

/// A folder that is removed when it is dropped.
pub(crate) struct TestFolder(tempfile::TempDir);

impl TestFolder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and makes the folders that it is in.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A made-up /proc of the process 7, and a made-up cgroup file system beside it.
pub(crate) struct CgroupOfProcess {
    pub(crate) folder: TestFolder,
}

impl CgroupOfProcess {
    pub(crate) fn new(cgroup: &str, fs_type: &str, options: &str) -> Self {
        let made = Self { folder: TestFolder::new() };
        made.folder.write("proc/7/cgroup", cgroup);
        made.mount("/", fs_type, options);
        fs::create_dir_all(made.folder.path().join("cg/service/worker")).unwrap();
        fs::create_dir_all(made.folder.path().join("cg/job")).unwrap();
        made
    }

    pub(crate) fn mount(&self, group: &str, fs_type: &str, options: &str) {
        let at = self.folder.path().join("cg");
        let elsewhere = "29 23 0:25 /other /nowhere rw - cgroup2 none rw";
        let here = format!("30 23 0:26 {group} {} rw - {fs_type} none {options}", at.display());
        let own = format!("proc/{}/mountinfo", std::process::id());
        self.folder.write(&own, &format!("{elsewhere}\n{here}\n"));
    }

    pub(crate) fn root(&self) -> ProcRoot {
        ProcRoot::new(self.folder.path().join("proc"))
    }
}

/// A child that waits until its standard input is closed, which dropping it does.
pub(crate) struct WaitingChild(Child);

impl WaitingChild {
    pub(crate) fn spawn() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for WaitingChild {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
