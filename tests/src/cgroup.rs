//! Memory cgroups for tests.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A memory cgroup of its own, removed when it is dropped.
#[derive(Debug)]
pub struct TestCgroup {
    /// Its folder.
    pub folder: PathBuf,
}

impl TestCgroup {
    /// One of version 1 or 2 with this limit in bytes.
    ///
    /// # Errors
    /// Why this machine does not let one be made.
    pub fn new(version: u8, limit: u64) -> Result<Self, String> {
        let (kind, file) = match version {
            1 => ("memory", "memory.limit_in_bytes"),
            _ => ("cgroup2", "memory.max"),
        };
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|e| e.to_string())?;
        let root = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let is = match version {
                1 => fields[2] == "cgroup" && fields[3].split(',').any(|option| option == kind),
                _ => fields[2] == kind,
            };
            is.then(|| PathBuf::from(fields[1]))
        });
        let root = root.ok_or("it is not mounted")?;
        // Tests of one process may have one each.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("seepmeter-test-{}-{version}-{number}", std::process::id());
        let folder = root.join(name);
        std::fs::create_dir(&folder).map_err(|error| format!("cannot make one: {error}"))?;
        let made = Self { folder };
        std::fs::write(made.folder.join(file), limit.to_string())
            .map_err(|error| format!("{file}: {error}"))?;
        Ok(made)
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}
