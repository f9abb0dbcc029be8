//! Records in C's terms and back.

use seepmeter_record::{
    Attr, Bytes, Cost, End, Event, EventKind, Footer, Header, Lost, Metric, MetricId, Point,
    Record, Sample, SamplerId, SamplerInfo, Subject, SubjectId, TargetInfo, Unit,
};

use super::{abi, from_c, read_first, read_grown, read_table, slice, to_c};
use crate::NewSubject;

// A point is handed over as it lies.
const _: () = assert!(
    size_of::<Point>() == size_of::<abi::Point>()
        && std::mem::offset_of!(Point, subject) == std::mem::offset_of!(abi::Point, subject)
        && std::mem::offset_of!(Point, metric) == std::mem::offset_of!(abi::Point, metric)
        && std::mem::offset_of!(Point, value) == std::mem::offset_of!(abi::Point, value)
);

/// What is wrong with something that came over the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn refused<T>(what: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(what.into()))
}

/// The size that a record says it has.
fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// What every record begins with.
fn head<T>(record: &T) -> *const abi::Record {
    std::ptr::from_ref(record).cast()
}

/// Hands `call` a record in C's terms; it is good for the time of the call.
pub fn with_record<R>(record: &Record, call: impl FnOnce(*const abi::Record) -> R) -> R {
    match record {
        Record::Header(header) => with_header(header, |c| call(head(c))),
        Record::Metric(metric) => call(head(&metric_to_c(metric))),
        Record::Subject(subject) => {
            let Subject { id, parent, kind, name, attrs } = subject;
            with_subject_parts(id.0, *parent, kind, name, attrs, |c| call(head(c)))
        }
        Record::Sample(sample) => call(head(&sample_to_c(sample))),
        Record::Event(event) => call(head(&event_to_c(event))),
        Record::Footer(footer) => with_footer(footer, |c| call(head(c))),
    }
}

/// Hands `call` a subject that has no number yet, in C's terms.
pub fn with_subject<R>(subject: &NewSubject, call: impl FnOnce(&abi::Subject) -> R) -> R {
    let NewSubject { parent, kind, name, attrs } = subject;
    with_subject_parts(abi::NONE, *parent, kind, name, attrs, call)
}

fn with_header<R>(header: &Header, call: impl FnOnce(&abi::Header) -> R) -> R {
    let Header { format, seepmeter, start, host, kernel, page_size, target, samplers } = header;
    let (pid, words) = match target {
        TargetInfo::Pid(pid) => (*pid, &[][..]),
        TargetInfo::Command(words) => (0, &words[..]),
    };
    let words: Vec<abi::Bytes> = words.iter().map(|word| to_c(word.as_bytes())).collect();
    let options: Vec<Vec<abi::OptionPair>> = samplers
        .iter()
        .map(|sampler| {
            let pairs = sampler.options.iter();
            pairs
                .map(|(key, value)| abi::OptionPair {
                    key: to_c(key.as_bytes()),
                    value: to_c(value.as_bytes()),
                })
                .collect()
        })
        .collect();
    let samplers: Vec<abi::SamplerInfo> = samplers
        .iter()
        .zip(&options)
        .map(|(SamplerInfo { name, interval, options: _ }, options)| abi::SamplerInfo {
            name: to_c(name.as_bytes()),
            interval: *interval,
            options: options.as_ptr(),
            option_count: options.len() as u64,
        })
        .collect();
    call(&abi::Header {
        size: size::<abi::Header>(),
        kind: abi::RECORD_HEADER,
        format: *format,
        pid,
        page_size: *page_size,
        seepmeter: to_c(seepmeter.as_bytes()),
        start: to_c(start.as_bytes()),
        host: to_c(host.as_bytes()),
        kernel: to_c(kernel.as_bytes()),
        command: words.as_ptr(),
        command_count: words.len() as u64,
        samplers: samplers.as_ptr(),
        sampler_count: samplers.len() as u64,
        sampler_size: size_of::<abi::SamplerInfo>() as u64,
    })
}

fn metric_to_c(metric: &Metric) -> abi::Metric {
    let Metric { id, name, unit, help } = metric;
    abi::Metric {
        size: size::<abi::Metric>(),
        kind: abi::RECORD_METRIC,
        id: id.0,
        unit: unit_to_c(*unit),
        name: to_c(name.as_bytes()),
        help: to_c(help.as_bytes()),
    }
}

/// A unit's number.
pub(crate) fn unit_to_c(unit: Unit) -> u32 {
    match unit {
        Unit::Count => abi::UNIT_COUNT,
        Unit::Nanoseconds => abi::UNIT_NANOSECONDS,
        _ => abi::UNIT_BYTES,
    }
}

/// The unit of a number.
///
/// # Errors
/// Where there is none.
pub fn unit_from_c(unit: u32) -> Result<Unit, Refused> {
    match unit {
        abi::UNIT_BYTES => Ok(Unit::Bytes),
        abi::UNIT_COUNT => Ok(Unit::Count),
        abi::UNIT_NANOSECONDS => Ok(Unit::Nanoseconds),
        other => refused(format!("there is no unit {other}")),
    }
}

fn with_subject_parts<R>(
    id: u32,
    parent: Option<SubjectId>,
    kind: &str,
    name: &Bytes,
    attrs: &[(String, Attr)],
    call: impl FnOnce(&abi::Subject) -> R,
) -> R {
    let attrs: Vec<abi::Attr> = attrs
        .iter()
        .map(|(key, value)| {
            let (text, number, is_number) = match value {
                Attr::Int(number) => (&[][..], *number, 1),
                Attr::Text(text) => (text.as_bytes(), 0, 0),
            };
            abi::Attr { key: to_c(key.as_bytes()), text: to_c(text), number, is_number }
        })
        .collect();
    call(&abi::Subject {
        size: size::<abi::Subject>(),
        kind: abi::RECORD_SUBJECT,
        id,
        parent: parent.map_or(abi::NONE, |parent| parent.0),
        what: to_c(kind.as_bytes()),
        name: to_c(name.as_bytes()),
        attrs: attrs.as_ptr(),
        attr_count: attrs.len() as u64,
    })
}

fn sample_to_c(sample: &Sample) -> abi::Sample {
    let Sample { t, sampler, took, points } = sample;
    abi::Sample {
        size: size::<abi::Sample>(),
        kind: abi::RECORD_SAMPLE,
        t: *t,
        took: *took,
        sampler: sampler.0.into(),
        reserved: 0,
        points: points.as_ptr().cast(),
        point_count: points.len() as u64,
    }
}

/// An event in C's terms, good for as long as the event is.
#[must_use]
pub(crate) fn event_to_c(event: &Event) -> abi::Event {
    let Event { t, kind, subject, sampler, value, text } = event;
    abi::Event {
        size: size::<abi::Event>(),
        kind: abi::RECORD_EVENT,
        t: *t,
        what: to_c(kind.as_str().as_bytes()),
        subject: subject.map_or(abi::NONE, |subject| subject.0),
        sampler: sampler.map_or(abi::NONE, |sampler| sampler.0.into()),
        value: value.unwrap_or(0),
        has_value: value.is_some().into(),
        text: to_c(text.as_bytes()),
    }
}

fn with_footer<R>(footer: &Footer, call: impl FnOnce(&abi::Footer) -> R) -> R {
    let Footer { t, end, samples, late, missed, lost, cost } = footer;
    let (end, end_value) = match *end {
        End::Exited(status) => (abi::END_EXITED, status),
        End::Killed(signal) => (abi::END_KILLED, signal),
        End::Gone => (abi::END_GONE, 0),
        End::Left => (abi::END_LEFT, 0),
        End::NotStarted(errno) => (abi::END_NOT_STARTED, errno),
    };
    let lost: Vec<abi::Lost> = lost
        .iter()
        .map(|Lost { sink, samples }| abi::Lost { sink: to_c(sink.as_bytes()), samples: *samples })
        .collect();
    call(&abi::Footer {
        size: size::<abi::Footer>(),
        kind: abi::RECORD_FOOTER,
        t: *t,
        end,
        end_value,
        samples: *samples,
        late: *late,
        missed: *missed,
        cpu: cost.cpu,
        peak_rss: cost.peak_rss,
        lost: lost.as_ptr(),
        lost_count: lost.len() as u64,
    })
}

/// Reads a record that the host has handed over; `None` for a kind that is not known.
///
/// # Errors
/// A record that is less than its kind asks for, or text that is not UTF-8 where it should be.
///
/// # Safety
/// `record` points to a record of the face, as large as it says, and all that it points to can be
/// read for the time of the call.
pub unsafe fn read_record(record: *const abi::Record) -> Result<Option<Record>, Refused> {
    // SAFETY: every record begins so.
    let Some(abi::Record { size: _, kind }) = (unsafe { read_first(record) }) else {
        return refused("a record at null");
    };
    // SAFETY: for all the arms, `kind` says what it is.
    unsafe {
        Ok(Some(match kind {
            abi::RECORD_HEADER => Record::Header(read_header(&read_grown(record.cast())?)?),
            abi::RECORD_METRIC => {
                let c: abi::Metric = read_grown(record.cast())?;
                Record::Metric(Metric {
                    id: MetricId(c.id),
                    name: text(c.name)?.into(),
                    unit: unit_from_c(c.unit)?,
                    help: text(c.help)?.into(),
                })
            }
            abi::RECORD_SUBJECT => {
                let c: abi::Subject = read_grown(record.cast())?;
                let NewSubject { parent, kind, name, attrs } = subject_from_c(&c)?;
                Record::Subject(Subject { id: SubjectId(c.id), parent, kind, name, attrs })
            }
            abi::RECORD_SAMPLE => Record::Sample(read_sample(&read_grown(record.cast())?)?),
            abi::RECORD_EVENT => Record::Event(event_from_c(&read_grown(record.cast())?)?),
            abi::RECORD_FOOTER => Record::Footer(read_footer(&read_grown(record.cast())?)?),
            _ => return Ok(None),
        }))
    }
}

/// # Safety
/// All that the header points to can be read.
unsafe fn read_header(c: &abi::Header) -> Result<Header, Refused> {
    // SAFETY: the caller's promise.
    unsafe {
        let words = array(c.command, c.command_count, "words")?;
        let target = match c.pid {
            0 => TargetInfo::Command(words.iter().map(|w| raw(*w)).collect::<Result<_, _>>()?),
            pid => TargetInfo::Pid(pid),
        };
        let stride = usize::try_from(c.sampler_size).unwrap_or(usize::MAX);
        let mut samplers = Vec::new();
        for place in 0..usize::try_from(c.sampler_count).unwrap_or(0) {
            let at = c.samplers.byte_add(place * stride);
            let info: abi::SamplerInfo = read_table(at, u32::try_from(stride).unwrap_or(u32::MAX));
            let options = array(info.options, info.option_count, "options")?;
            samplers.push(SamplerInfo {
                name: text(info.name)?.to_owned(),
                interval: info.interval,
                options: options
                    .iter()
                    .map(|pair| Ok((text(pair.key)?.to_owned(), text(pair.value)?.to_owned())))
                    .collect::<Result<_, Refused>>()?,
            });
        }
        Ok(Header {
            format: c.format,
            seepmeter: text(c.seepmeter)?.to_owned(),
            start: text(c.start)?.to_owned(),
            host: raw(c.host)?,
            kernel: raw(c.kernel)?,
            page_size: c.page_size,
            target,
            samplers,
        })
    }
}

/// # Safety
/// All that the sample points to can be read.
unsafe fn read_sample(c: &abi::Sample) -> Result<Sample, Refused> {
    // SAFETY: the caller's promise; a point of the face is a point.
    let points = unsafe { array(c.points.cast::<Point>(), c.point_count, "points")? };
    Ok(Sample { t: c.t, sampler: sampler_id(c.sampler)?, took: c.took, points: points.into() })
}

/// # Safety
/// All that the footer points to can be read.
unsafe fn read_footer(c: &abi::Footer) -> Result<Footer, Refused> {
    let end = match c.end {
        abi::END_EXITED => End::Exited(c.end_value),
        abi::END_KILLED => End::Killed(c.end_value),
        abi::END_LEFT => End::Left,
        abi::END_NOT_STARTED => End::NotStarted(c.end_value),
        _ => End::Gone,
    };
    // SAFETY: the caller's promise.
    let lost = unsafe { array(c.lost, c.lost_count, "losses")? };
    let lost = lost
        .iter()
        .map(|lost| {
            // SAFETY: as above.
            let sink = unsafe { text(lost.sink)? }.to_owned();
            Ok(Lost { sink, samples: lost.samples })
        })
        .collect::<Result<_, Refused>>()?;
    Ok(Footer {
        t: c.t,
        end,
        samples: c.samples,
        late: c.late,
        missed: c.missed,
        lost,
        cost: Cost { cpu: c.cpu, peak_rss: c.peak_rss },
    })
}

/// A subject that a sampler has handed over.
///
/// # Errors
/// Text that is not UTF-8 where it should be, or arrays that can't be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn subject_from_c(c: &abi::Subject) -> Result<NewSubject, Refused> {
    // SAFETY: the caller's promise.
    unsafe {
        let attrs = array(c.attrs, c.attr_count, "attributes")?
            .iter()
            .map(|attr| {
                let value = match attr.is_number {
                    0 => Attr::Text(raw(attr.text)?),
                    _ => Attr::Int(attr.number),
                };
                Ok((text(attr.key)?.to_owned(), value))
            })
            .collect::<Result<_, Refused>>()?;
        Ok(NewSubject {
            parent: (c.parent != abi::NONE).then_some(SubjectId(c.parent)),
            kind: text(c.what)?.into(),
            name: raw(c.name)?,
            attrs,
        })
    }
}

/// An event that has been handed over.
///
/// # Errors
/// Text that is not UTF-8 where it should be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn event_from_c(c: &abi::Event) -> Result<Event, Refused> {
    // SAFETY: the caller's promise.
    let (what, words) = unsafe { (text(c.what)?, raw(c.text)?) };
    Ok(Event {
        t: c.t,
        kind: EventKind::from(what),
        subject: (c.subject != abi::NONE).then_some(SubjectId(c.subject)),
        sampler: (c.sampler != abi::NONE).then(|| sampler_id(c.sampler)).transpose()?,
        value: (c.has_value != 0).then_some(c.value),
        text: words,
    })
}

fn sampler_id(id: u32) -> Result<SamplerId, Refused> {
    u16::try_from(id).map(SamplerId).or_else(|_| refused(format!("there is no sampler {id}")))
}

/// # Safety
/// As [`slice`].
unsafe fn array<'a, T>(data: *const T, count: u64, what: &str) -> Result<&'a [T], Refused> {
    // SAFETY: the caller's promise.
    unsafe { slice(data, count) }
        .map_or_else(|| refused(format!("{count} {what} at an address where none can be")), Ok)
}

/// Text that came over the line.
///
/// # Errors
/// Where it is not UTF-8, or at an address where none can be.
///
/// # Safety
/// As [`from_c`].
pub unsafe fn text<'a>(bytes: abi::Bytes) -> Result<&'a str, Refused> {
    // SAFETY: the caller's promise.
    let Some(bytes) = (unsafe { from_c(bytes) }) else {
        return refused("text at an address where none can be");
    };
    std::str::from_utf8(bytes)
        .or_else(|_| refused(format!("text that is not UTF-8: \"{}\"", bytes.escape_ascii())))
}

/// # Safety
/// As [`from_c`].
unsafe fn raw(bytes: abi::Bytes) -> Result<Bytes, Refused> {
    // SAFETY: the caller's promise.
    unsafe { from_c(bytes) }
        .map_or_else(|| refused("bytes at an address where none can be"), |bytes| Ok(bytes.into()))
}

#[cfg(test)]
mod tests;
