//! The tools whose tables are known by their headings. They are data: a new tool is a new entry.

use super::unit::ValueUnit;

/// A tool, or one of its forms of output.
pub(super) struct KnownTool {
    pub name: &'static str,
    /// Headings that its tables have, and others do not have all of.
    pub headings: &'static [&'static str],
    pub time: &'static str,
    pub values: KnownValues,
    /// The column whose values tell processes apart, and that of their names.
    pub key: Option<&'static str>,
    pub label: Option<&'static str>,
    /// Only the rows with this value of a column are of processes.
    pub only: Option<[&'static str; 2]>,
}

/// Which columns have which metric.
pub(super) enum KnownValues {
    /// These; the first is judged if none is named.
    Listed(&'static [KnownValue]),
    /// Each metric has a column of its own name.
    OwnColumns,
    /// Each row has one value, and names its metric and unit.
    OwnRows { metric: &'static str, unit: &'static str, value: &'static str },
}

pub(super) struct KnownValue {
    pub metric: &'static str,
    pub heading: &'static str,
    pub unit: ValueUnit,
}

const fn value(metric: &'static str, heading: &'static str, unit: ValueUnit) -> KnownValue {
    KnownValue { metric, heading, unit }
}

const fn of_one_process(
    name: &'static str,
    headings: &'static [&'static str],
    time: &'static str,
    values: &'static [KnownValue],
) -> KnownTool {
    let values = KnownValues::Listed(values);
    KnownTool { name, headings, time, values, key: None, label: None, only: None }
}

/// What [`super::split`] makes of the lines of mprof, which have no headings.
pub(super) const MPROF_HEADINGS: [&str; 3] = ["process", "mib", "time"];

pub(super) const TOOLS: &[KnownTool] = &[
    // MEM is the parent, or with -C the sum; each CHLD is a child.
    KnownTool {
        key: Some("process"),
        ..of_one_process("mprof", &MPROF_HEADINGS, "time", &[value("rss", "mib", ValueUnit::MIB)])
    },
    // psrecord divides by 1024 twice and calls that MB.
    of_one_process(
        "psrecord",
        &["Elapsed time", "Real (MB)", "Virtual (MB)"],
        "Elapsed time",
        &[
            value("rss", "Real (MB)", ValueUnit::MIB),
            value("vsize", "Virtual (MB)", ValueUnit::MIB),
        ],
    ),
    of_one_process(
        "psrecord",
        &["elapsed_time", "mem_real", "mem_virtual"],
        "elapsed_time",
        &[value("rss", "mem_real", ValueUnit::MIB), value("vsize", "mem_virtual", ValueUnit::MIB)],
    ),
    of_one_process(
        "prmon",
        &["Time", "wtime", "pss", "rss", "vmem"],
        "Time",
        &[
            value("rss", "rss", ValueUnit::KIB),
            value("pss", "pss", ValueUnit::KIB),
            value("swap", "swap", ValueUnit::KIB),
            value("vsize", "vmem", ValueUnit::KIB),
        ],
    ),
    KnownTool {
        key: Some("PID"),
        label: Some("Command"),
        ..of_one_process(
            "pidstat",
            &["Time", "PID", "minflt/s", "VSZ", "RSS"],
            "Time",
            &[value("rss", "RSS", ValueUnit::KIB), value("vsize", "VSZ", ValueUnit::KIB)],
        )
    },
    KnownTool {
        key: Some("stat_pid"),
        label: Some("stat_comm"),
        ..of_one_process(
            "Procpath",
            &["ts", "stat_pid", "stat_rss"],
            "ts",
            &[
                value("rss", "stat_rss", ValueUnit::PAGES),
                value("vsize", "stat_vsize", ValueUnit::BYTES),
            ],
        )
    },
    // The sum of the process tree.
    of_one_process(
        "duct",
        &["timestamp", "totals.rss", "totals.vsz"],
        "timestamp",
        &[
            value("rss", "totals.rss", ValueUnit::BYTES),
            value("vsize", "totals.vsz", ValueUnit::BYTES),
        ],
    ),
    KnownTool {
        name: "seepmeter",
        headings: &["elapsed_s", "subject", "kind", "name", "metric", "unit", "value"],
        time: "elapsed_s",
        values: KnownValues::OwnRows { metric: "metric", unit: "unit", value: "value" },
        key: Some("subject"),
        label: Some("name"),
        only: Some(["kind", "process"]),
    },
    KnownTool {
        name: "seepmeter",
        headings: &["elapsed_s", "subject", "kind", "name"],
        time: "elapsed_s",
        values: KnownValues::OwnColumns,
        key: Some("subject"),
        label: Some("name"),
        only: Some(["kind", "process"]),
    },
];

/// Headings of columns that tell processes apart in tables of unknown tools, that which does it best first.
pub(super) const KEYS: [&str; 14] = [
    "pid",
    "stat_pid",
    "container id",
    "container_id",
    "container",
    "pod",
    "instance",
    "process",
    "name",
    "comm",
    "command",
    "cmd",
    "service",
    "host",
];

/// The names of all tools, for people.
pub(crate) fn names() -> String {
    let mut names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    names.dedup();
    names.join(", ")
}
