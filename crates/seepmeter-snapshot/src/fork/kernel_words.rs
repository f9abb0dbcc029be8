//! Pointers that the kernel keeps for a process: they may be the only ones to a block.

use std::{fs, io};

use seepmeter_process::proc::{ProcFolder, ProcRoot};

/// Words of a process that are in no memory of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelWords {
    /// What was given to epoll_ctl(2) and timer_create(2).
    pub words: Vec<u64>,
    /// Who keeps more of them, and does not say which.
    pub unknown: Option<&'static str>,
}

impl KernelWords {
    /// Those of the descriptors that a process has, and of the timers of `pid`.
    pub(super) fn read(copy: i32, pid: i32, maps: &[u8]) -> Self {
        let mut all = Self::default();
        if all.read_descriptors(&ProcRoot::default().process(copy)).is_err() {
            all.unknown = Some("its descriptors, which can't be read,");
        }
        if memchr::memmem::find(maps, b"/[aio]").is_some() {
            all.unknown = Some("io_submit(2)");
        }
        match ProcRoot::default().process(pid).read("timers") {
            Ok(timers) => all.words.extend(timer_values(&timers)),
            // A kernel without CONFIG_CHECKPOINT_RESTORE has no such file.
            Err(_) => all.unknown = Some("timers, which can't be read,"),
        }
        all
    }

    /// Those of descriptors. The copy stands still, so all of them can be read.
    fn read_descriptors(&mut self, folder: &ProcFolder) -> io::Result<()> {
        for link in fs::read_dir(folder.file("fd"))? {
            let link = link?;
            match fs::read_link(link.path())?.to_str() {
                Some("anon_inode:[eventpoll]") => {
                    let number = link.file_name();
                    let text = folder.read(&format!("fdinfo/{}", number.to_string_lossy()))?;
                    self.words.extend(epoll_data(&text));
                }
                Some("anon_inode:[io_uring]") => self.unknown = Some("io_uring"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `tfd:        5 events:       19 data: 55d2f6a00010  pos:0 …` (fs/eventpoll.c, `ep_show_fdinfo`).
fn epoll_data(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(text);
    let data = |line: &str| {
        let (_, rest) = line.strip_prefix("tfd:")?.split_once("data:")?;
        u64::from_str_radix(rest.split_whitespace().next()?, 16).ok()
    };
    text.lines().filter_map(data).collect()
}

/// `signal: 34/00007f50f3a8a1b0` (fs/proc/base.c, `show_timer`).
fn timer_values(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(text);
    let value = |line: &str| {
        let (_, value) = line.strip_prefix("signal:")?.split_once('/')?;
        u64::from_str_radix(value.trim().trim_start_matches("0x"), 16).ok()
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_unknown_and_not_nothing() {
        // Of this process, other tests open and close descriptors.
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (pid, gone) = (child.id().cast_signed(), i32::MAX);
        let unknown = [(pid, pid), (gone, pid), (pid, gone)]
            .map(|(copy, pid)| KernelWords::read(copy, pid, b"").unknown);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(unknown[0], None);
        for (unknown, what) in unknown[1..].iter().zip(["descriptors", "timers"]) {
            assert!(unknown.is_some_and(|why| why.contains(what)), "{unknown:?}");
        }
    }

    #[test]
    fn the_data_of_epoll_are_read() {
        let text = b"pos:\t0\ntfd:        5 events:       19 data:     55d2f6a00010  pos:0 ino:1\n";
        assert_eq!(epoll_data(text), [0x55d2_f6a0_0010]);
    }

    #[test]
    fn the_values_of_timers_are_read() {
        let text = b"ID: 0\nsignal: 34/00007f50f3a8a1b0\nnotify: thread/pid.7\nClockID: 1\n";
        assert_eq!(timer_values(text), [0x7f50_f3a8_a1b0]);
        assert_eq!(timer_values(b"signal: x\nsignal: 3/zz\n"), [0; 0]);
    }
}
