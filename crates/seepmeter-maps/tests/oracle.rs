//! The parser against the crate procfs, on real texts and on made-up ones.

use std::io::BufReader;

use procfs::FromBufRead;
use procfs::process::MemoryMaps;
use proptest::collection::vec;
use proptest::prelude::*;
use seepmeter_maps::smaps::{Parser, SmapsFigures};

type Found = Vec<(u64, u64, String, SmapsFigures, bool)>;

/// Our parser, with the text handed over in pieces of some length.
fn ours(text: &[u8], piece: usize) -> Found {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    let mut take = |entry: seepmeter_maps::smaps::Entry<'_>| {
        let header = entry.header;
        found.push((
            header.start,
            header.end,
            header.perms.to_string(),
            entry.figures,
            entry.hugetlb,
        ));
    };
    for piece in text.chunks(piece.max(1)) {
        parser.push(piece, &mut take);
    }
    parser.finish(&mut take);
    found
}

fn theirs(text: &[u8]) -> Found {
    let maps = MemoryMaps::from_buf_read(BufReader::new(text)).expect("procfs reads it");
    let figures = |map: &procfs::process::MemoryMap| {
        let value = |key: &str| map.extension.map.get(key).copied().unwrap_or(0);
        SmapsFigures {
            rss: value("Rss"),
            pss: value("Pss"),
            private_dirty: value("Private_Dirty"),
            anonymous: value("Anonymous"),
            swap: value("Swap"),
            swap_pss: value("SwapPss"),
            lazyfree: value("LazyFree"),
            thp: value("AnonHugePages") + value("ShmemPmdMapped") + value("FilePmdMapped"),
            locked: value("Locked"),
            hugetlb: value("Shared_Hugetlb") + value("Private_Hugetlb"),
        }
    };
    maps.0
        .iter()
        .map(|map| {
            let hugetlb = map.extension.vm_flags.contains(procfs::process::VmFlags::HT);
            let perms = map.perms.as_str().to_owned();
            (map.address.0, map.address.1, perms, figures(map), hugetlb)
        })
        .collect()
}

#[test]
fn real_texts_are_read_as_procfs_reads_them() {
    // These few, and not all that run: reading smaps would hold them all up.
    let parent = std::os::unix::process::parent_id();
    let mut read = 0;
    for process in ["self".to_owned(), "1".to_owned(), parent.to_string()] {
        let Ok(text) = std::fs::read(format!("/proc/{process}/smaps")) else { continue };
        assert_eq!(ours(&text, 4096), theirs(&text), "process {process}");
        read += 1;
    }
    assert!(read > 0);
}

const KEYS: [&str; 22] = [
    "Size",
    "KernelPageSize",
    "Rss",
    "Pss",
    "Pss_Dirty",
    "Shared_Clean",
    "Private_Clean",
    "Private_Dirty",
    "Referenced",
    "Anonymous",
    "KSM",
    "LazyFree",
    "AnonHugePages",
    "ShmemPmdMapped",
    "FilePmdMapped",
    "Shared_Hugetlb",
    "Private_Hugetlb",
    "Swap",
    "SwapPss",
    "Locked",
    "ProtectionKey",
    "FutureFigure",
];

fn mapping() -> impl Strategy<Value = String> {
    let path = prop_oneof![
        Just(String::new()),
        Just("[heap]".to_owned()),
        Just("[stack]".to_owned()),
        Just("/anon_hugepage (deleted)".to_owned()),
        Just("/memfd:a (deleted)".to_owned()),
        "/[a-z ]{1,9}/[ -~]{0,9}[a-z]",
        "/[a-z]{1,5}\\\\012[a-z]{1,5}",
        "/[a-zé]{1,9} \\(deleted\\)",
        "\\[anon:[a-zA-Z :]{1,12}\\]",
    ];
    let flags = vec(prop_oneof![Just("rd"), Just("wr"), Just("ht"), Just("lo"), Just("zz")], 0..5);
    let values =
        proptest::sample::subsequence(KEYS.to_vec(), 0..KEYS.len()).prop_flat_map(|keys| {
            let count = keys.len();
            (Just(keys), vec(0u64..1 << 40, count))
        });
    let places = (0u64..1 << 35, 1u64..1 << 10, "[r-][w-][x-][ps]", any::<u32>());
    (places, path, values, flags).prop_map(
        |((start, pages, perms, inode), path, figures, flags)| {
            let (start, end) = (start << 12, (start + pages) << 12);
            let line = format!("{start:08x}-{end:08x} {perms} 00001000 fe:01 {inode} ");
            let mut text = format!("{line:<73}{path}\n");
            for (key, value) in figures.0.iter().zip(figures.1) {
                let unit = if *key == "ProtectionKey" { "" } else { " kB" };
                text.push_str(&format!("{:<15} {value:>8}{unit}\n", format!("{key}:")));
            }
            text + "VmFlags: " + &flags.join(" ") + "\n"
        },
    )
}

proptest! {
    #[test]
    fn made_up_texts_are_read_as_procfs_reads_them(
        mappings in vec(mapping(), 0..6),
        piece in 1usize..700,
    ) {
        let text = mappings.concat();
        prop_assert_eq!(ours(text.as_bytes(), piece), theirs(text.as_bytes()));
    }

    #[test]
    fn a_text_that_is_cut_off_gives_all_mappings_before_the_cut(
        mappings in vec(mapping(), 1..5),
        cut in any::<proptest::sample::Index>(),
    ) {
        let text = mappings.concat();
        let whole = ours(text.as_bytes(), 4096);
        let found = ours(&text.as_bytes()[..cut.index(text.len())], 512);
        let sure = found.len().saturating_sub(1);
        prop_assert_eq!(&found[..sure], &whole[..sure]);
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(text: Vec<u8>, piece in 1usize..64) {
        ours(&text, piece);
    }

    #[test]
    fn lines_that_are_almost_right_do_no_harm(text in "[0-9a-f -]{0,30}[rwxp-]{0,4}[ -~\n]{0,60}") {
        ours(text.as_bytes(), 7);
    }
}
