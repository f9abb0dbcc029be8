//! /proc/PID/smaps_rollup: the sums of all mappings.

use std::path::Path;

use super::ProcError;
use super::text::{keyed_lines, kibibytes};

/// What smaps_rollup says, in bytes; none if this kernel has no such line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmapsRollup {
    /// Resident.
    pub rss: Option<u64>,
    /// Resident, each page divided by how many map it: the only sum that is right over processes that
    /// share memory.
    pub pss: Option<u64>,
    /// Written, and mapped by nobody else.
    pub private_dirty: Option<u64>,
    /// Resident pages that belong to no file.
    pub anonymous: Option<u64>,
    /// Swapped out.
    pub swap: Option<u64>,
    /// Swapped out, each page divided by how many have it.
    pub swap_pss: Option<u64>,
    /// Given back by MADV_FREE, and not yet taken by the kernel.
    pub lazyfree: Option<u64>,
    /// Locked into memory.
    pub locked: Option<u64>,
}

impl SmapsRollup {
    /// Reads the lines of the kernel (fs/proc/task_mmu.c, `show_smaps_rollup`); the first names the
    /// range of addresses:
    ///
    /// ```text
    /// 55d2f6a00000-7ffd1e5ff000 ---p 00000000 00:00 0                          [rollup]
    /// Rss:                1884 kB
    /// Pss:                 420 kB
    /// ```
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, ProcError> {
        let mut rollup = Self::default();
        for (line, key, value) in keyed_lines(text) {
            let (item, place) = match key {
                b"Rss" => ("Rss", &mut rollup.rss),
                b"Pss" => ("Pss", &mut rollup.pss),
                b"Private_Dirty" => ("Private_Dirty", &mut rollup.private_dirty),
                b"Anonymous" => ("Anonymous", &mut rollup.anonymous),
                b"Swap" => ("Swap", &mut rollup.swap),
                b"SwapPss" => ("SwapPss", &mut rollup.swap_pss),
                b"LazyFree" => ("LazyFree", &mut rollup.lazyfree),
                b"Locked" => ("Locked", &mut rollup.locked),
                _ => continue,
            };
            let bytes = kibibytes(value);
            *place = Some(bytes.ok_or_else(|| ProcError::parse(path, line, item, value))?);
        }
        Ok(rollup)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proc::ProcRoot;

    #[test]
    fn the_sums_of_this_process_are_those_of_its_smaps() {
        let folder = ProcRoot::default().own();
        let rollup = folder.smaps_rollup().unwrap();
        let maps = procfs::process::Process::myself().unwrap().smaps().unwrap();
        let sum = |key: &str| maps.iter().filter_map(|map| map.extension.map.get(key)).sum::<u64>();
        // Other tests run meanwhile, and pss moves with whoever maps the same libraries.
        let close = |a: u64, b: u64| a.abs_diff(b) <= 8 << 20;
        assert!(close(rollup.rss.unwrap(), sum("Rss")), "{rollup:?}");
        assert!(close(rollup.anonymous.unwrap(), sum("Anonymous")), "{rollup:?}");
        assert!(rollup.pss > Some(0) && rollup.pss <= rollup.rss, "{rollup:?}");
        assert!(rollup.lazyfree.is_some() && rollup.locked.is_some(), "{rollup:?}");
        assert!(rollup.private_dirty > Some(0) && rollup.private_dirty <= rollup.rss);
    }

    #[test]
    fn a_line_that_an_older_kernel_does_not_write_is_not_known_and_not_zero() {
        let text = b"1000-2000 ---p 00000000 00:00 0 [rollup]\nRss:    8 kB\n";
        let rollup = SmapsRollup::parse(text, Path::new("smaps_rollup")).unwrap();
        assert_eq!((rollup.rss, rollup.swap_pss, rollup.locked), (Some(8 << 10), None, None));
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_the_parser_panic(text: Vec<u8>) {
            let _ = SmapsRollup::parse(&text, Path::new("smaps_rollup"));
        }
    }
}
