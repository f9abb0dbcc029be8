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
        // Without threads, since whose stack is whose is not told here.
        fs::create_dir_all(root.join("7/task")).unwrap();
        let made = Self(root);
        made.write("statm", "100 10 5 1 0 20 0\n");
        made.write("pagemap", "");
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

#[test]
fn without_pagemap_scan_smaps_is_read_in_pieces_and_that_is_told_once() {
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
    watcher.look().unwrap();
    let told = watcher.memory.told("smaps-fallback");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("6.7") && told[0].contains("0.5 %"), "{told:?}");
}

#[test]
fn a_huge_page_mapping_of_a_file_is_known_by_its_flag() {
    let made = Made::new("hugetlb");
    let line = "1000-3000 rw-s 00000000 00:10 5                                  /mnt/huge/x\n";
    made.write("maps", line);
    made.write("smaps", format!("{line}Rss: 0 kB\nShared_Hugetlb: 8 kB\nVmFlags: rd wr ht\n"));
    let mut watcher = Watcher::under(made.root(), 7, &[("mode", "full")]).unwrap();
    watcher.look().unwrap();
    watcher.look().unwrap();
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
                if let Err(error) = watcher.look() {
                    assert_eq!(error.kind(), ErrorKind::Gone);
                }
                watcher.wait(std::time::Duration::from_millis(1));
            }
        }
    }
}
