//! One cgroup: its open files, and their values.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use seepmeter_plugin::record::Attributes;

use crate::files::{self, FileValues, Form, METRIC_COUNT, PRESSURE};
use crate::parse::Value;
use crate::place::Place;

/// Larger than any of the files; a read that fills it is not used.
const LONGEST: usize = 32 << 10;

/// A value of each metric; none if it is not known.
pub(crate) type Values = [Option<i64>; METRIC_COUNT];

/// A cgroup that some target is in.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) place: Place,
    /// What was known of its limits when it was first seen.
    pub(crate) attributes: Attributes,
    /// Those that this kernel has.
    files: Vec<(File, &'static FileValues)>,
    /// The limits that there were.
    had_limit: [bool; METRIC_COUNT],
}

impl Group {
    pub(crate) fn open(place: Place, attributes: Attributes, reads_pressure: bool) -> Self {
        let open = |folder: &Path, values: &'static FileValues| {
            Some((File::open(folder.join(values.file)).ok()?, values))
        };
        let folder = place.memory.folder();
        let of_memory = files::of(place.memory.version).iter();
        let mut files: Vec<_> = of_memory.filter_map(|values| open(&folder, values)).collect();
        if reads_pressure && let Some(folder) = &place.pressure {
            files.extend(open(folder, &PRESSURE));
        }
        Self { place, attributes, files, had_limit: [false; METRIC_COUNT] }
    }

    /// Reads all values. What can't be read is not known.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>) -> Values {
        let mut all = [None; METRIC_COUNT];
        buffer.resize(LONGEST, 0);
        for (file, values) in &self.files {
            // The kernel makes the text anew for each read from the begin.
            let Ok(length) = file.read_at(buffer, 0) else { continue };
            let text = buffer.get(..length).filter(|text| text.len() < LONGEST);
            let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else { continue };
            for (spec, form) in values.values {
                let Some(place) = files::place(spec) else { continue };
                all[place] = value(*form, text, &mut self.had_limit[place]);
            }
        }
        all
    }
}

/// The value for the stream: a limit that there never was is not there.
fn value(form: Form, text: &str, had_limit: &mut bool) -> Option<i64> {
    match form.read(text)? {
        Value::Number(number) => {
            *had_limit = true;
            Some(i64::try_from(number).unwrap_or(i64::MAX))
        }
        Value::Unlimited => had_limit.then_some(i64::MAX),
    }
}
