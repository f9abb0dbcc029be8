//! Pointers that the kernel keeps for a process: they may be the only ones to a block.

use std::fs;

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
        let folder = ProcRoot::default().process(copy);
        let links = match fs::read_dir(folder.file("fd")) {
            Ok(links) => links,
            Err(_) => {
                return Self { unknown: Some("its descriptors, which can't be read,"), ..all };
            }
        };
        for link in links.flatten() {
            let target = fs::read_link(link.path()).unwrap_or_default();
            let number = link.file_name();
            match target.to_str() {
                Some("anon_inode:[eventpoll]") => {
                    all.words.extend(epoll(&folder, &number.to_string_lossy()));
                }
                Some("anon_inode:[io_uring]") => all.unknown = Some("io_uring"),
                _ => {}
            }
        }
        if memchr::memmem::find(maps, b"/[aio]").is_some() {
            all.unknown = Some("io_submit(2)");
        }
        let timers = ProcRoot::default().process(pid).read("timers").unwrap_or_default();
        all.words.extend(timer_values(&timers));
        all
    }
}

/// `tfd:        5 events:       19 data: 55d2f6a00010  pos:0 …` (fs/eventpoll.c, `ep_show_fdinfo`).
fn epoll(folder: &ProcFolder, number: &str) -> Vec<u64> {
    let text = folder.read(&format!("fdinfo/{number}")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
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
    fn the_values_of_timers_are_read() {
        let text = b"ID: 0\nsignal: 34/00007f50f3a8a1b0\nnotify: thread/pid.7\nClockID: 1\n";
        assert_eq!(timer_values(text), [0x7f50_f3a8_a1b0]);
        assert_eq!(timer_values(b"signal: x\nsignal: 3/zz\n"), [0; 0]);
    }
}
