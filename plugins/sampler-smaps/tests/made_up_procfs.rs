//! The sampler on a made-up /proc: what a kernel without PAGEMAP_SCAN would show, and nonsense.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use seepmeter_plugin::ErrorKind;
use support::Watcher;

/// A folder that goes when it is let go of.
struct Made(PathBuf);

impl Made {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("smaps-made-{}-{name}", std::process::id()));
        // Without threads, since whose stack is whose is not said here.
        fs::create_dir_all(root.join("7/task")).unwrap();
        let made = Self(root);
        made.write("statm", "100 10 5 1 0 20 0\n");
        made.write("pagemap", "");
        made.write("smaps_rollup", ROLLUP);
        made
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.join("7").join(name), text).unwrap();
    }

    fn root(&self) -> &Path {
        &self.0
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MAPS: &str = "\
1000-3000 rw-p 00000000 00:00 0                                  [heap]
8000-9000 rw-p 00000000 00:00 0                                  [anon:a name]
";

const SMAPS: &str = "\
1000-3000 rw-p 00000000 00:00 0                                  [heap]
Rss:                   8 kB
Pss:                   6 kB
Private_Dirty:         4 kB
Anonymous:             8 kB
Fancy_New:            77 kB
Swap:                 12 kB
VmFlags: rd wr
8000-9000 rw-p 00000000 00:00 0                                  [anon:a name]
Rss:                   4 kB
LazyFree:              4 kB
Locked:                4 kB
AnonHugePages:      2048 kB
VmFlags: rd wr
";

const ROLLUP: &str = "\
1000-9000 ---p 00000000 00:00 0                                  [rollup]
Rss:                  12 kB
Pss:                   7 kB
Private_Dirty:         4 kB
LazyFree:              4 kB
";

#[test]
fn without_pagemap_scan_smaps_is_read_in_pieces_and_that_is_reported_once() {
    let made = Made::new("fallback");
    made.write("maps", MAPS);
    made.write("smaps", SMAPS);
    let mut watcher = Watcher::under(made.root(), 7, &[]).unwrap();
    watcher.until("read", |memory| memory.sum("pss") == 6 << 10);
    let memory = &watcher.memory;
    let heap = memory.find("[heap]").unwrap();
    let named = memory.find("[anon:a name]").unwrap();
    let values = ["rss", "private_dirty", "anonymous", "swap"].map(|m| memory.value(heap, m));
    assert_eq!(values, [8, 4, 8, 12].map(|kib| Some(kib << 10)));
    let values = ["rss", "lazyfree", "locked", "thp"].map(|m| memory.value(named, m));
    assert_eq!(values, [4, 4, 4, 2048].map(|kib| Some(kib << 10)));
    watcher.sample().unwrap();
    let reported = watcher.memory.shortcomings();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("6.7") && reported[0].contains("0.5 %"), "{reported:?}");
}

#[test]
fn the_process_has_what_smaps_rollup_says_and_nothing_else() {
    let made = Made::new("rollup");
    made.write("maps", MAPS);
    // So much that a pass over it takes long.
    made.write("smaps", SMAPS.repeat(10_000));
    let mut watcher = Watcher::under(made.root(), 7, &[]).unwrap();
    watcher.sample().unwrap();
    let memory = &watcher.memory;
    assert_eq!(memory.value(0, "pss"), Some(7 << 10));
    assert_eq!(memory.value(0, "lazyfree"), Some(4 << 10));
    // An older kernel's file has no such line.
    assert_eq!(memory.value(0, "locked"), None);
}

#[test]
fn without_smaps_rollup_the_process_has_the_sums_of_smaps_and_that_is_reported_once() {
    let made = Made::new("no-rollup");
    made.write("maps", MAPS);
    made.write("smaps", SMAPS);
    fs::remove_file(made.root().join("7/smaps_rollup")).unwrap();
    let mut watcher = Watcher::under(made.root(), 7, &[]).unwrap();
    watcher.until("summed up", |memory| memory.value(0, "pss") == Some(6 << 10));
    assert_eq!(watcher.memory.value(0, "locked"), Some(4 << 10));
    let reported = watcher.memory.shortcomings();
    assert_eq!(reported.iter().filter(|text| text.contains("4.14")).count(), 1, "{reported:?}");
}

#[test]
fn a_huge_page_mapping_of_a_file_is_known_by_its_flag() {
    let made = Made::new("hugetlb");
    let line = "1000-3000 rw-s 00000000 00:10 5                                  /mnt/huge/x\n";
    made.write("maps", line);
    made.write("smaps", format!("{line}Rss: 0 kB\nShared_Hugetlb: 8 kB\nVmFlags: rd wr ht\n"));
    let mut watcher = Watcher::under(made.root(), 7, &[("mode", "full")]).unwrap();
    watcher.sample().unwrap();
    watcher.sample().unwrap();
    let subject = watcher.memory.find("huge pages").unwrap();
    assert_eq!(watcher.memory.value(subject, "hugetlb"), Some(8 << 10));
    assert_eq!(watcher.memory.value(subject, "rss"), Some(0));
}

#[test]
fn nonsense_does_no_harm() {
    for (number, text) in [
        &b"\xff\xfe\n\n\n"[..],
        b"Rss: 4 kB\n",
        b"1000-3000 rw-p 0 0:0 0\nRss: 99999999999999999999999 kB\nRss: -4 kB\nRss:\nSwap: x kB",
        b"3000-1000 rw-p 0 0:0 0\n1000-",
        b"1000-3000 rw-p 00000000 00:00 0 [heap]\nRss: 18446744073709551615 kB\nVmFlags:",
        b"1000-3000",
    ]
    .into_iter()
    .enumerate()
    {
        for mode in ["sweep", "full"] {
            let made = Made::new(&format!("nonsense-{number}-{mode}"));
            made.write("maps", text);
            made.write("smaps", text);
            let mut watcher = Watcher::under(made.root(), 7, &[("mode", mode)]).unwrap();
            for _ in 0..3 {
                if let Err(error) = watcher.sample() {
                    assert_eq!(error.kind(), ErrorKind::Gone);
                }
                watcher.wait(std::time::Duration::from_millis(1));
            }
        }
    }
}
