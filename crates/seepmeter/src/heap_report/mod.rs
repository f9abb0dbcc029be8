//! What `seepmeter heap` shows.

mod growth;
mod json;
mod leaks;
mod paths;

use std::fmt::Write;
use std::time::Duration;

use seepmeter_heap::{
    Account, AccountItem, BlockClass, BlockName, BlockOrigin, Census, CensusError, MarkError,
    Marks, OtherAllocator,
};
use seepmeter_record::human;

pub(crate) use self::growth::{GrownClass, GrowthReport};
pub(crate) use self::leaks::LeakReport;
pub(crate) use self::paths::Answer;

/// How a snapshot has disturbed a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standstill {
    /// For how long it stood still for the copy.
    pub(crate) copy: Duration,
    /// For how long it stood still for the copy's end. None if the copy was not reaped.
    pub(crate) end: Option<Duration>,
    /// How long the copy has lived.
    pub(crate) age: Duration,
}

/// What /proc/PID/status had, and what of it is in no page table of a copy. In bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    /// VmRSS.
    pub(crate) all: Option<u64>,
    /// RssFile.
    pub(crate) files: Option<u64>,
    /// RssShmem.
    pub(crate) shared: Option<u64>,
    /// What a fork does not copy.
    pub(crate) left_out: u64,
    /// False on a kernel that counts the page of zeros too.
    pub(crate) without_zeros: bool,
}

impl Standstill {
    /// How long each time was.
    fn times(&self) -> Vec<String> {
        std::iter::once(self.copy).chain(self.end).map(time).collect()
    }
}

impl Resident {
    /// What of the resident set is not in the account. None if the kernel does not say how large the set is.
    fn unexplained(&self, account: &Account) -> Option<i64> {
        let counted = [self.shared, self.files].into_iter().flatten().sum::<u64>();
        let known = account.total() + self.left_out + counted;
        Some(self.all?.cast_signed().saturating_sub_unsigned(known))
    }
}

/// What was found in the heaps.
#[derive(Debug)]
pub(crate) struct Heap {
    classes: Vec<BlockClass>,
    blocks: u64,
    /// Why what is unreachable is not called so.
    doubt: Option<String>,
    unreachable: Option<(u64, u64)>,
    others: Vec<OtherAllocator>,
}

/// The whole report.
#[derive(Debug)]
pub(crate) struct HeapReport {
    pub(crate) name: String,
    /// None for a core file.
    pub(crate) standstill: Option<Standstill>,
    /// None for a core file, which does not say what was resident.
    pub(crate) account: Option<(Account, Resident)>,
    pub(crate) heap: Result<Heap, CensusError>,
}

impl Heap {
    pub(crate) fn of(census: &Census, marks: Option<Result<Marks, MarkError>>) -> Self {
        let (marks, doubt) = match marks {
            Some(Ok(marks)) => {
                let missing = marks.missing_roots().map(|missing| missing.to_string());
                (Some(marks), missing)
            }
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        let classes = BlockClass::all(census, marks.as_ref());
        let unreachable = classes.iter().try_fold((0, 0), |(count, bytes), class| {
            let unreachable = class.unreachable?;
            Some((count + unreachable.count, bytes + unreachable.bytes))
        });
        let others = census.other_allocators().to_vec();
        Self { classes, blocks: census.block_count(), doubt, unreachable, others }
    }
}

fn bytes(bytes: u64) -> String {
    human::bytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn time(duration: Duration) -> String {
    human::duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// What an item of the account is called.
fn words(item: AccountItem) -> &'static str {
    match item {
        AccountItem::InUse => "blocks in use",
        AccountItem::Reachable => "blocks, reachable",
        AccountItem::PossiblyReachable => "blocks, possibly reachable",
        AccountItem::Unreachable => "blocks, unreachable now",
        AccountItem::Headers => "headers and rounding of blocks",
        AccountItem::Bins => "free: in bins",
        AccountItem::Cached => "free: in thread caches and fast bins",
        AccountItem::Top => "free: at the top of arenas",
        AccountItem::Pools => "free: in CPython's pools",
        AccountItem::Images => "data of the program and its libraries",
        AccountItem::Stacks => "stacks",
        AccountItem::Anonymous => "other anonymous memory",
        _ => "other private memory",
    }
}

/// What a class is called.
pub(crate) fn class_name(name: &BlockName) -> String {
    match name {
        BlockName::PythonObject(name) => name.clone(),
        BlockName::PythonBuffer(name) => format!("{name} (buffer)"),
        BlockName::PythonFreeList => "free lists of CPython".to_owned(),
        BlockName::Size(BlockOrigin::Arena, size) => format!("{size} B of malloc"),
        BlockName::Size(BlockOrigin::Mapped, size) => {
            format!("{size} B of malloc, with a mapping of its own")
        }
        BlockName::Size(BlockOrigin::Pymalloc, size) => format!("{size} B of CPython"),
        _ => "other blocks".to_owned(),
    }
}

impl HeapReport {
    /// The report as text, with so many classes.
    pub(crate) fn text(&self, top: usize) -> String {
        let mut text = format!("{}\n", self.name);
        if let Some(standstill) = &self.standstill {
            let (times, age) = (standstill.times().join(" and "), time(standstill.age));
            text.push_str(&format!("stood still for {times}; its copy lived for {age}\n"));
        }
        if let Some((account, resident)) = &self.account {
            account_lines(account, *resident, &mut text);
        }
        if let Ok(heap) = &self.heap {
            heap.lines(top, &mut text);
        }
        text
    }
}

fn account_lines(account: &Account, resident: Resident, text: &mut String) {
    let Some(all) = resident.all else {
        text.push_str("\nthe kernel does not say how large the resident set is\n");
        return;
    };
    let mut rows: Vec<(u64, &str)> =
        AccountItem::ALL.into_iter().map(|item| (account.bytes(item), words(item))).collect();
    rows.push((resident.left_out, "memory that a fork does not copy"));
    rows.push((resident.shared.unwrap_or(0), "shared memory"));
    rows.push((resident.files.unwrap_or(0), "pages of files"));
    let percent = |bytes: f64| format!("{:.1} %", 100.0 * bytes / all.max(1) as f64);
    text.push('\n');
    let mut line = |size: String, share: String, name: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{size:>11} {share:>8}  {name}");
    };
    line(bytes(all), percent(all as f64), "resident set (VmRSS)");
    for &(size, name) in rows.iter().filter(|(size, _)| *size > 0) {
        line(bytes(size), percent(size as f64), name);
    }
    let rest = resident.unexplained(account).unwrap_or(0);
    line(human::bytes(rest), percent(rest as f64), "unexplained");
    if !resident.without_zeros {
        text.push_str(
            "this kernel does not say which pages are of zeros, so what was only read counts too (Linux 6.7 does)\n",
        );
    }
}

impl Heap {
    fn lines(&self, top: usize, text: &mut String) {
        let _ = writeln!(text, "\n{:>11} {:>9}  class", "bytes", "blocks");
        let (shown, rest) = self.classes.split_at(top.min(self.classes.len()));
        for class in shown {
            let unreachable = class.unreachable.filter(|sum| sum.count > 0);
            let note =
                unreachable.map_or(String::new(), |sum| format!(", {} unreachable", sum.count));
            let (size, count) = (bytes(class.bytes), class.count);
            let _ = writeln!(text, "{size:>11} {count:>9}  {}{note}", class_name(&class.name));
        }
        if !rest.is_empty() {
            let size = bytes(rest.iter().map(|class| class.bytes).sum());
            let count: u64 = rest.iter().map(|class| class.count).sum();
            let others = human::count(rest.len() as u64, "other class");
            let _ = writeln!(text, "{size:>11} {count:>9}  {others}");
        }
        let size = bytes(self.classes.iter().map(|class| class.bytes).sum());
        let _ = writeln!(text, "{size:>11} {:>9}  all blocks", self.blocks);
        self.notes(text);
    }

    fn notes(&self, text: &mut String) {
        match (self.unreachable, &self.doubt) {
            (Some((0, _)), _) => text.push_str("\nno block is unreachable\n"),
            (Some((count, size)), _) => {
                let (blocks, size) = (human::count(count, "block"), bytes(size));
                let _ = writeln!(
                    text,
                    "\n{blocks} ({size}) unreachable now: not called leaked, since what was just given out is in nobody's hands for a moment; --leaks takes two snapshots"
                );
            }
            (None, Some(doubt)) => {
                let _ = writeln!(text, "\nwhich blocks are unreachable is not known: {doubt}");
            }
            (None, None) => {}
        }
        text.push_str(&not_read(&self.others));
    }
}

/// Whose blocks are in no list of blocks.
fn not_read(others: &[OtherAllocator]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = others.iter().map(OtherAllocator::name).collect();
    format!(
        "\nnot read: the blocks of {}; their memory is in other lines of the account\n",
        names.join(", ")
    )
}
