//! What the kernel writes in the files of a cgroup.

use crate::files::Form;

/// A limit from this on is none: version 1 says "unlimited" by the largest number of pages
/// (mm/page_counter.c).
const UNLIMITED: u64 = 1 << 62;

/// A value in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    /// There is no such limit.
    Unlimited,
}

impl Form {
    /// The value in the text of a file; none if it is not there.
    pub(crate) fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Number => number(text),
            Self::Limit if text.trim_end() == "max" => Some(Value::Unlimited),
            Self::Limit => number(text).map(|value| match value {
                Value::Number(UNLIMITED..) => Value::Unlimited,
                value => value,
            }),
            // One name and one number a line.
            Self::Named(name) => {
                text.lines().find_map(|line| number(line.strip_prefix(name)?.strip_prefix(' ')?))
            }
            // some avg10=0.00 avg60=0.00 avg300=0.00 total=4711
            Self::Pressure(word) => {
                let line = text.lines().find(|line| line.split(' ').next() == Some(word))?;
                let micros = line.split(' ').find_map(|item| item.strip_prefix("total="))?;
                micros.parse::<u64>().ok()?.checked_mul(1_000).map(Value::Number)
            }
        }
    }
}

fn number(text: &str) -> Option<Value> {
    text.trim_end().parse().ok().map(Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seepmeter_process::CgroupVersion;

    use super::*;
    use crate::files::{self, FileValues, PRESSURE};

    /// What is found of the files of a cgroup, by the names of the metrics.
    fn found(files: &[FileValues], texts: &[(&str, &str)]) -> Vec<(&'static str, Value)> {
        let of_file = |file: &FileValues| {
            let text = texts.iter().find(|(name, _)| *name == file.file).map(|(_, text)| *text);
            let value = |(spec, form): &(_, Form)| read_one(spec, *form, text?);
            file.values.iter().filter_map(value).collect::<Vec<_>>()
        };
        files.iter().flat_map(of_file).collect()
    }

    fn read_one(
        spec: &seepmeter_plugin::record::MetricSpec<'static>,
        form: Form,
        text: &str,
    ) -> Option<(&'static str, Value)> {
        Some((spec.name, form.read(text)?))
    }

    const N: fn(u64) -> Value = Value::Number;

    /// Of a service of systemd's on Debian 12 (Linux 6.1), shortened.
    const V2_6_1: &[(&str, &str)] = &[
        ("memory.current", "1769472\n"),
        ("memory.peak", "5120000\n"),
        (
            "memory.stat",
            "anon 253952\nfile 983040\nkernel 516096\nkernel_stack 16384\npagetables 77824\nsec_pagetables 0\n\
             percpu 2048\nsock 0\nvmalloc 0\nshmem 4096\nzswap 0\nzswapped 0\nfile_mapped 778240\nfile_dirty 0\n\
             file_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 249856\n\
             active_anon 8192\ninactive_file 520192\nactive_file 462848\nunevictable 0\nslab_reclaimable 216808\n\
             slab_unreclaimable 189528\nslab 406336\nworkingset_refault_anon 0\npgfault 2387\n",
        ),
        ("memory.swap.current", "0\n"),
        ("memory.max", "max\n"),
        ("memory.high", "536870912\n"),
        ("memory.swap.max", "max\n"),
        ("memory.events", "low 0\nhigh 12\nmax 0\noom 3\noom_kill 1\noom_group_kill 0\n"),
    ];

    /// The same of Linux 5.10, which has no memory.peak and no `kernel`.
    const V2_5_10: &[(&str, &str)] = &[
        ("memory.current", "6541312\n"),
        (
            "memory.stat",
            "anon 540672\nfile 4325376\nkernel_stack 49152\npercpu 2560\nsock 0\nshmem 0\nfile_mapped 2703360\n\
             file_dirty 0\nfile_writeback 0\nanon_thp 0\ninactive_anon 405504\nactive_anon 0\nslab_reclaimable 929544\n\
             slab_unreclaimable 369560\nslab 1299104\npgfault 26235\n",
        ),
        ("memory.max", "1073741824\n"),
        ("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
    ];

    /// Of version 1 (Linux 6.18), shortened.
    const V1: &[(&str, &str)] = &[
        ("memory.usage_in_bytes", "120586240\n"),
        ("memory.max_usage_in_bytes", "125829120\n"),
        (
            "memory.stat",
            "cache 4096\nrss 8192\nshmem 0\nswap 0\nhierarchical_memory_limit 268435456\n\
             hierarchical_memsw_limit 9223372036854771712\ntotal_cache 40960\ntotal_rss 119537664\n\
             total_rss_huge 0\ntotal_shmem 12288\ntotal_mapped_file 0\ntotal_swap 65536\ntotal_pgfault 77\n",
        ),
        ("memory.kmem.usage_in_bytes", "1048576\n"),
        ("memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ];

    #[test]
    fn version_2_of_linux_6_1_has_all_values() {
        let expected = [
            ("cgroup_current", N(1_769_472)),
            ("cgroup_peak", N(5_120_000)),
            ("cgroup_anon", N(253_952)),
            ("cgroup_file", N(983_040)),
            ("cgroup_kernel", N(516_096)),
            ("cgroup_shmem", N(4_096)),
            ("cgroup_slab", N(406_336)),
            ("cgroup_swap", N(0)),
            ("cgroup_limit", Value::Unlimited),
            ("cgroup_high", N(536_870_912)),
            ("cgroup_swap_limit", Value::Unlimited),
            ("cgroup_oom", N(3)),
            ("cgroup_oom_kill", N(1)),
        ];
        assert_eq!(found(files::of(CgroupVersion::V2), V2_6_1), expected);
    }

    #[test]
    fn what_version_2_of_linux_5_10_does_not_have_is_not_known() {
        let expected = [
            ("cgroup_current", N(6_541_312)),
            ("cgroup_anon", N(540_672)),
            ("cgroup_file", N(4_325_376)),
            ("cgroup_shmem", N(0)),
            ("cgroup_slab", N(1_299_104)),
            ("cgroup_limit", N(1 << 30)),
            ("cgroup_oom", N(0)),
            ("cgroup_oom_kill", N(0)),
        ];
        assert_eq!(found(files::of(CgroupVersion::V2), V2_5_10), expected);
    }

    #[test]
    fn version_1_counts_the_cgroups_below_and_its_largest_number_is_no_limit() {
        let expected = [
            ("cgroup_current", N(120_586_240)),
            ("cgroup_peak", N(125_829_120)),
            ("cgroup_anon", N(119_537_664)),
            ("cgroup_file", N(40_960)),
            ("cgroup_shmem", N(12_288)),
            ("cgroup_swap", N(65_536)),
            ("cgroup_kernel", N(1_048_576)),
            ("cgroup_limit", Value::Unlimited),
            ("cgroup_oom_kill", N(2)),
        ];
        assert_eq!(found(files::of(CgroupVersion::V1), V1), expected);
    }

    #[test]
    fn pressure_is_in_microseconds_and_the_root_has_no_full_before_linux_5_13() {
        let some = "some avg10=0.12 avg60=0.00 avg300=0.00 total=4711\n";
        let full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=18\n";
        let both = format!("{some}{full}");
        let of = |text: &str| found(&[PRESSURE], &[("memory.pressure", text)]);
        let (some_read, full_read) =
            (("cgroup_pressure_some", N(4_711_000)), ("cgroup_pressure_full", N(18_000)));
        assert_eq!(of(&both), [some_read, full_read]);
        assert_eq!(of(some), [some_read]);
    }

    #[test]
    fn a_text_that_is_something_else_has_no_value() {
        for text in ["", "\n", "-1\n", "1 2\n", "99999999999999999999999\n", "some total=x\n"] {
            for form in [Form::Number, Form::Limit, Form::Named("anon"), Form::Pressure("some")] {
                assert_eq!(form.read(text), None, "{form:?} {text:?}");
            }
        }
        assert_eq!(Form::Pressure("some").read("some total=18446744073709551615\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            for form in [Form::Number, Form::Limit, Form::Named("a"), Form::Pressure("some")] {
                let _ = form.read(&text);
            }
        }
    }
}
