//! The subjects, and what was last told of each, so that only what changed is told again.

use std::collections::HashMap;

use seepmeter_plugin::record::{Attr, Event, EventKind, MetricId, SubjectId, subject_kind};
use seepmeter_plugin::{Look, NewSubject, Stream};

use crate::metrics::{self, METRICS, RSS, Sums};
use crate::options::Detail;
use crate::table::{Mapping, Table};
use seepmeter_maps::class::MappingClass;
use seepmeter_maps::{group_title, mapping_title};

/// What mappings have in common that are one subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Group(MappingClass),
    Lineage(u32),
}

#[derive(Debug)]
struct Account {
    key: Key,
    subject: Option<SubjectId>,
    /// The look at maps in which it was first there.
    since: u32,
    /// In this publication:
    there: bool,
    unscanned: bool,
    sums: Sums,
    told: [Option<i64>; METRICS],
}

pub(crate) struct Book {
    metrics: [MetricId; METRICS],
    process: SubjectId,
    detail: Detail,
    slots: HashMap<Key, u32>,
    accounts: Vec<Option<Account>>,
    free: Vec<u32>,
}

/// What a publication is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edition {
    /// How many looks at maps there were.
    pub(crate) looks: u32,
    /// The whole read that has just ended.
    pub(crate) read: Option<u32>,
    /// A whole sweep was completed since the beginning: what is not scanned yet is new, and small.
    pub(crate) swept: bool,
}

impl Book {
    pub(crate) fn new(process: SubjectId, detail: Detail, stream: &mut dyn Stream) -> Self {
        Self {
            metrics: metrics::define(stream),
            process,
            detail,
            slots: HashMap::new(),
            accounts: Vec::new(),
            free: Vec::new(),
        }
    }

    /// True while something waits to be there at a second look.
    pub(crate) fn is_waiting(&self) -> bool {
        self.accounts.iter().flatten().any(|account| account.subject.is_none())
    }

    /// Tells what changed.
    pub(crate) fn publish(&mut self, table: &mut Table, edition: Edition, look: &mut Look<'_>) {
        for account in self.accounts.iter_mut().flatten() {
            account.there = false;
            account.unscanned = false;
            account.sums = Sums::default();
        }
        for mapping in &mut table.mappings {
            self.sum_up(mapping, edition);
        }
        for mapping in &table.mappings {
            self.introduce(mapping, edition, look.stream());
        }
        self.bury(look.stream());
        for account in self.accounts.iter_mut().flatten() {
            account.tell(&self.metrics, edition, look);
        }
    }

    fn sum_up(&mut self, mapping: &mut Mapping, edition: Edition) {
        let slot = match mapping.slot {
            Some(slot) => slot,
            None => self.slot(mapping_key(self.detail, mapping), edition.looks),
        };
        mapping.slot = Some(slot);
        let Some(Some(account)) = self.accounts.get_mut(slot as usize) else { return };
        account.there = true;
        match mapping.counts {
            Some(counts) => account.sums.count(counts),
            None => account.unscanned = true,
        }
        match mapping.figures {
            Some((number, figures)) if edition.read == Some(number) => account.sums.read(figures),
            _ => {}
        }
    }

    /// The slot of a key, old or new.
    fn slot(&mut self, key: Key, looks: u32) -> u32 {
        if let Some(slot) = self.slots.get(&key) {
            return *slot;
        }
        let account = Account {
            key: key.clone(),
            subject: None,
            since: looks,
            there: false,
            unscanned: false,
            sums: Sums::default(),
            told: [None; METRICS],
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.accounts.push(None);
            u32::try_from(self.accounts.len() - 1).unwrap_or(u32::MAX)
        });
        self.accounts[slot as usize] = Some(account);
        self.slots.insert(key, slot);
        slot
    }

    /// Defines the subject of a mapping that has none yet. One that came after the first look must
    /// be there at a second one: a target at work makes and drops thousands that nobody will miss.
    fn introduce(&mut self, mapping: &Mapping, edition: Edition, stream: &mut dyn Stream) {
        let slot = mapping.slot.map_or(usize::MAX, |slot| slot as usize);
        let Some(Some(account)) = self.accounts.get_mut(slot) else { return };
        let settled = account.since <= 1 || account.since < edition.looks;
        let known = edition.swept || !account.unscanned;
        if account.subject.is_none() && settled && known {
            account.subject = Some(stream.subject(describe(mapping, self.detail, self.process)));
        }
    }

    /// Ends the subjects that have no mapping any more.
    fn bury(&mut self, stream: &mut dyn Stream) {
        for (slot, place) in self.accounts.iter_mut().enumerate() {
            let Some(account) = place.take_if(|account| !account.there) else { continue };
            self.slots.remove(&account.key);
            self.free.push(u32::try_from(slot).unwrap_or(u32::MAX));
            if let Some(subject) = account.subject {
                stream.event(Event::new(stream.now(), EventKind::Gone).of(subject));
            }
        }
    }
}

impl Account {
    fn tell(&mut self, metrics: &[MetricId; METRICS], edition: Edition, look: &mut Look<'_>) {
        let Some(subject) = self.subject else { return };
        // What was told once stands until it is scanned anew.
        if self.unscanned && !edition.swept && self.told[RSS].is_some() {
            return;
        }
        let values = self.sums.values(edition.read.is_some());
        for ((value, told), metric) in values.into_iter().zip(&mut self.told).zip(metrics) {
            match value {
                Some(value) if *told != Some(value) => {
                    *told = Some(value);
                    look.point(subject, *metric, value);
                }
                _ => {}
            }
        }
    }
}

fn mapping_key(detail: Detail, mapping: &Mapping) -> Key {
    match detail {
        Detail::Group => Key::Group(mapping.class.clone()),
        Detail::Mapping => Key::Lineage(mapping.lineage),
    }
}

fn describe(mapping: &Mapping, detail: Detail, process: SubjectId) -> NewSubject {
    let class = &mapping.class;
    let text = |text: &[u8]| Attr::Text(text.into());
    let mut attrs = vec![("class".to_owned(), text(class.kind().as_str().as_bytes()))];
    if let Some(name) = class.name() {
        attrs.push(("name".to_owned(), text(name)));
    }
    if let Some(tid) = class.tid() {
        attrs.push(("tid".to_owned(), Attr::Int(tid.into())));
    }
    let perms = mapping.perms.to_string();
    if detail == Detail::Mapping || class.file().is_some() {
        attrs.push(("perms".to_owned(), text(perms.as_bytes())));
    }
    let mut name = match detail {
        Detail::Group => group_title(class),
        Detail::Mapping => mapping_title(class),
    };
    // One mapping may grow out of the class of its size; a group of them is what that class says.
    if let (Detail::Group, Some(size)) = (detail, class.size()) {
        attrs.push(("size".to_owned(), text(size.as_str().as_bytes())));
    }
    if detail == Detail::Mapping {
        // Where it was first seen; it may grow from here either way.
        let range = format!("{:x}-{:x}", mapping.start, mapping.end);
        name.extend_from_slice(format!(" at {:x}", mapping.start).as_bytes());
        attrs.push(("range".to_owned(), text(range.as_bytes())));
    }
    NewSubject {
        parent: Some(process),
        kind: subject_kind::MAPPING.into(),
        name: name.into(),
        attrs,
    }
}
