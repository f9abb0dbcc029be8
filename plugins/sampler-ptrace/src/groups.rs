//! The subjects of mappings: all mappings of one kind together, told where they change.

use std::collections::HashMap;

use seepmeter_maps::class::{MappingClass, ThreadStacks, classify};
use seepmeter_maps::maps::{self, Header};
use seepmeter_maps::smaps::{Figures, Parser};
use seepmeter_maps::{DeletedFiles, group_title};
use seepmeter_plugin::record::{Attr, Event, EventKind, MetricId, SubjectId, Unit, subject_kind};
use seepmeter_plugin::{Look, NewSubject, Stream};
use seepmeter_process::proc::ProcFolder;

/// How many metrics a group has.
const METRICS: usize = 6;

/// Each metric's name and help. All but the first need smaps.
const ALL: [(&str, &str); METRICS] = [
    ("vsize", "address space"),
    ("rss", "resident set"),
    ("anonymous", "resident pages that belong to no file"),
    ("swap", "swapped out"),
    ("pss", "resident set, each page divided by how many processes map it"),
    ("private_dirty", "resident pages that were written and that no other process maps"),
];

/// What the kernel told of the mappings.
#[derive(Debug)]
pub(crate) enum Text {
    /// /proc/PID/maps.
    Maps(Vec<u8>),
    /// /proc/PID/smaps.
    Smaps(Vec<u8>),
}

impl Text {
    /// The text, in which the lines that name mappings are those of maps.
    pub(crate) fn bytes(&self) -> &[u8] {
        let (Self::Maps(text) | Self::Smaps(text)) = self;
        text
    }

    /// The figures of each mapping, in their order; none of maps.
    fn figures(&self) -> Vec<Figures> {
        let mut figures = Vec::new();
        if let Self::Smaps(text) = self {
            let mut parser = Parser::default();
            parser.push(text, |entry| figures.push(entry.figures));
            parser.finish(|entry| figures.push(entry.figures));
        }
        figures
    }
}

/// The groups that there are.
#[derive(Debug)]
pub(crate) struct Groups {
    process: SubjectId,
    metrics: [MetricId; METRICS],
    accounts: HashMap<MappingClass, Account>,
    files: DeletedFiles,
}

#[derive(Debug)]
struct Account {
    subject: SubjectId,
    there: bool,
    values: [Option<i64>; METRICS],
    told: [Option<i64>; METRICS],
}

impl Groups {
    pub(crate) fn new(process: SubjectId, folder: &ProcFolder, stream: &mut dyn Stream) -> Self {
        let metrics = ALL.map(|(name, help)| stream.metric(name, Unit::Bytes, help));
        let files = DeletedFiles::seen_from(folder.file("root"));
        Self { process, metrics, accounts: HashMap::new(), files }
    }

    /// Tells what changed since the last look.
    pub(crate) fn tell(&mut self, text: &Text, stacks: &ThreadStacks<'_>, look: &mut Look<'_>) {
        for account in self.accounts.values_mut() {
            account.there = false;
            account.values = [None; METRICS];
        }
        // The lines that name mappings are the same in both texts.
        let headers = maps::parse(text.bytes());
        self.sum_up(&headers, &text.figures(), stacks, look.stream());
        self.bury(look.stream());
        for account in self.accounts.values_mut() {
            account.tell(&self.metrics, look);
        }
    }

    fn sum_up(
        &mut self,
        headers: &[Header<'_>],
        figures: &[Figures],
        stacks: &ThreadStacks<'_>,
        stream: &mut dyn Stream,
    ) {
        let classes = classify(headers, stacks, &mut self.files);
        for (at, (header, class)) in headers.iter().zip(classes).enumerate() {
            // [vsyscall] is one page of the kernel's in its own half, the same in every process.
            if header.end > 1 << 63 {
                continue;
            }
            let process = self.process;
            let account = self
                .accounts
                .entry(class)
                .or_insert_with_key(|class| Account::new(stream.subject(describe(class, process))));
            account.there = true;
            account.add(header.len(), figures.get(at));
        }
    }

    fn bury(&mut self, stream: &mut dyn Stream) {
        let now = stream.now();
        self.accounts.retain(|_, account| {
            if !account.there {
                stream.event(Event::new(now, EventKind::Gone).of(account.subject));
            }
            account.there
        });
    }
}

impl Account {
    fn new(subject: SubjectId) -> Self {
        Self { subject, there: true, values: [None; METRICS], told: [None; METRICS] }
    }

    fn add(&mut self, size: u64, figures: Option<&Figures>) {
        let mut add = |at: usize, bytes: u64| {
            let sum: &mut i64 = self.values[at].get_or_insert(0);
            *sum = sum.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        };
        add(0, size);
        if let Some(&Figures { rss, anonymous, swap, pss, private_dirty, .. }) = figures {
            let told = [rss, anonymous, swap, pss, private_dirty];
            told.into_iter().enumerate().for_each(|(at, bytes)| add(at + 1, bytes));
        }
    }

    fn tell(&mut self, metrics: &[MetricId; METRICS], look: &mut Look<'_>) {
        for ((value, told), metric) in self.values.iter().zip(&mut self.told).zip(metrics) {
            if let Some(value) = value
                && *told != Some(*value)
            {
                *told = Some(*value);
                look.point(self.subject, *metric, *value);
            }
        }
    }
}

fn describe(class: &MappingClass, process: SubjectId) -> NewSubject {
    let text = |text: &[u8]| Attr::Text(text.into());
    let mut attrs = vec![("class".to_owned(), text(class.kind().as_str().as_bytes()))];
    if let Some(name) = class.name() {
        attrs.push(("name".to_owned(), text(name)));
    }
    if let Some(tid) = class.tid() {
        attrs.push(("tid".to_owned(), Attr::Int(tid.into())));
    }
    if let Some(size) = class.size() {
        attrs.push(("size".to_owned(), text(size.as_str().as_bytes())));
    }
    NewSubject {
        parent: Some(process),
        kind: subject_kind::MAPPING.into(),
        name: group_title(class).into(),
        attrs,
    }
}
