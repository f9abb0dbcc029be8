//! Which file of a cgroup has which value.

use seepmeter_plugin::record::MetricSpec;
use seepmeter_plugin::record::conventions::metric;
use seepmeter_process::CgroupVersion;

/// How a value stands in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// The file is one number.
    Number,
    /// It is one number, or none if there is no limit.
    Limit,
    /// A line has this name and the number.
    Named(&'static str),
    /// A line begins with this word and ends in `total=` and microseconds.
    Pressure(&'static str),
}

/// A file that is kept open, and what is read of it.
#[derive(Debug)]
pub(crate) struct FileValues {
    pub(crate) file: &'static str,
    pub(crate) values: &'static [(MetricSpec<'static>, Form)],
}

/// mm/memcontrol-v1.c, Documentation/admin-guide/cgroup-v1/memory.rst. `total_` is that of the cgroups
/// below too, as is the usage. What is swapped out has no limit of its own here, nor is it counted how
/// often memory ran out.
const V1: &[FileValues] = &[
    FileValues { file: "memory.usage_in_bytes", values: &[(metric::CGROUP_CURRENT, Form::Number)] },
    FileValues {
        file: "memory.max_usage_in_bytes",
        values: &[(metric::CGROUP_PEAK, Form::Number)],
    },
    FileValues {
        file: "memory.stat",
        values: &[
            (metric::CGROUP_ANON, Form::Named("total_rss")),
            (metric::CGROUP_FILE, Form::Named("total_cache")),
            (metric::CGROUP_SHMEM, Form::Named("total_shmem")),
            (metric::CGROUP_SWAP, Form::Named("total_swap")),
        ],
    },
    FileValues {
        file: "memory.kmem.usage_in_bytes",
        values: &[(metric::CGROUP_KERNEL, Form::Number)],
    },
    FileValues { file: "memory.limit_in_bytes", values: &[(metric::CGROUP_LIMIT, Form::Limit)] },
    FileValues {
        file: "memory.oom_control",
        values: &[(metric::CGROUP_OOM_KILL, Form::Named("oom_kill"))],
    },
];

/// mm/memcontrol.c, Documentation/admin-guide/cgroup-v2.rst. `memory.peak` came with Linux 5.19, `kernel` of
/// memory.stat with 5.18.
const V2: &[FileValues] = &[
    FileValues { file: "memory.current", values: &[(metric::CGROUP_CURRENT, Form::Number)] },
    FileValues { file: "memory.peak", values: &[(metric::CGROUP_PEAK, Form::Number)] },
    FileValues {
        file: "memory.stat",
        values: &[
            (metric::CGROUP_ANON, Form::Named("anon")),
            (metric::CGROUP_FILE, Form::Named("file")),
            (metric::CGROUP_KERNEL, Form::Named("kernel")),
            (metric::CGROUP_SHMEM, Form::Named("shmem")),
            (metric::CGROUP_SLAB, Form::Named("slab")),
        ],
    },
    FileValues { file: "memory.swap.current", values: &[(metric::CGROUP_SWAP, Form::Number)] },
    FileValues { file: "memory.max", values: &[(metric::CGROUP_LIMIT, Form::Limit)] },
    FileValues { file: "memory.high", values: &[(metric::CGROUP_HIGH, Form::Limit)] },
    FileValues { file: "memory.swap.max", values: &[(metric::CGROUP_SWAP_LIMIT, Form::Limit)] },
    FileValues {
        file: "memory.events",
        values: &[
            (metric::CGROUP_OOM, Form::Named("oom")),
            (metric::CGROUP_OOM_KILL, Form::Named("oom_kill")),
        ],
    },
];

/// Documentation/accounting/psi.rst. Only version 2 has it.
pub(crate) const PRESSURE: FileValues = FileValues {
    file: "memory.pressure",
    values: &[
        (metric::CGROUP_PRESSURE_SOME, Form::Pressure("some")),
        (metric::CGROUP_PRESSURE_FULL, Form::Pressure("full")),
    ],
};

/// The files of the memory controller.
pub(crate) fn of(version: CgroupVersion) -> &'static [FileValues] {
    match version {
        CgroupVersion::V1 => V1,
        CgroupVersion::V2 => V2,
    }
}

/// How many metrics there are.
pub(crate) const METRIC_COUNT: usize = 15;

/// All metrics, in the order of the values of a cgroup.
pub(crate) static METRICS: [MetricSpec<'static>; METRIC_COUNT] = [
    metric::CGROUP_CURRENT,
    metric::CGROUP_PEAK,
    metric::CGROUP_ANON,
    metric::CGROUP_FILE,
    metric::CGROUP_KERNEL,
    metric::CGROUP_SHMEM,
    metric::CGROUP_SLAB,
    metric::CGROUP_SWAP,
    metric::CGROUP_LIMIT,
    metric::CGROUP_HIGH,
    metric::CGROUP_SWAP_LIMIT,
    metric::CGROUP_OOM,
    metric::CGROUP_OOM_KILL,
    metric::CGROUP_PRESSURE_SOME,
    metric::CGROUP_PRESSURE_FULL,
];

/// The place of a metric among them.
pub(crate) fn place(spec: &MetricSpec<'_>) -> Option<usize> {
    METRICS.iter().position(|metric| metric.name == spec.name)
}
