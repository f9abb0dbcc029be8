//! Records from C's terms.

use std::sync::Arc;

use seepmeter_record::{
    AttributeValue, Cost, Dropped, End, Event, EventKind, Footer, FrameId, Header, Image, ImageId,
    InlinedCall, Metric, MetricId, MetricSpec, Point, Record, Sample, SamplerId, SamplerInfo,
    Stack, StackId, SubjectId, SubjectKind, TargetEnd, TargetInfo, TargetOrigin,
};

use super::bytes::{array, known_raw, known_text, raw};
use super::numbers::{metric_kind_from_c, unit_from_c};
use super::{InvalidData, abi, invalid, read_array, read_grown, text_from_c};
use crate::{NewFrame, NewSubject};

/// A record that the host has handed over.
#[derive(Clone, Debug, PartialEq)]
pub enum HostRecord {
    /// One that this version knows.
    Known(Record),
    /// One of a kind that this version does not know, which is to be passed over.
    UnknownKind,
    /// A metric of a unit or a kind that this version does not know, and which it is. Its values are not
    /// known either.
    UnknownMetric(String),
}

/// Reads a record that the host has handed over.
///
/// # Errors
/// A record that is less than its kind asks for, or text that is not UTF-8 though it should be.
///
/// # Safety
/// `record` points to a record of the ABI, as large as it says, and all that it points to can be
/// read for the time of the call.
pub unsafe fn read_record(record: *const abi::Record) -> Result<HostRecord, InvalidData> {
    if record.is_null() {
        return invalid("a record at null");
    }
    // SAFETY: every record begins so, and for all the arms, `record_kind` says what it is.
    unsafe {
        Ok(HostRecord::Known(match record.read_unaligned().record_kind {
            abi::RECORD_HEADER => {
                Record::Header(Arc::new(read_header(&read_grown(record.cast())?)?))
            }
            abi::RECORD_METRIC => {
                let c: abi::Metric = read_grown(record.cast())?;
                match what_is_unknown(&c) {
                    Some(what) => {
                        let name = text_from_c(c.name)?;
                        return Ok(HostRecord::UnknownMetric(format!("`{name}` has {what}")));
                    }
                    None => Record::Metric(Arc::new(read_metric(&c)?)),
                }
            }
            abi::RECORD_SUBJECT => {
                let c: abi::Subject = read_grown(record.cast())?;
                Record::Subject(Arc::new(subject_from_c(&c)?.numbered(SubjectId(c.id))))
            }
            abi::RECORD_IMAGE => {
                Record::Image(Arc::new(image_from_c(&read_grown(record.cast())?)?))
            }
            abi::RECORD_FRAME => {
                let c: abi::Frame = read_grown(record.cast())?;
                Record::Frame(Arc::new(frame_from_c(&c)?.numbered(FrameId(c.id))))
            }
            abi::RECORD_STACK => {
                Record::Stack(Arc::new(stack_from_c(&read_grown(record.cast())?)?))
            }
            abi::RECORD_SAMPLE => Record::Sample(read_sample(&read_grown(record.cast())?)?),
            abi::RECORD_EVENT => Record::Event(event_from_c(&read_grown(record.cast())?)?),
            abi::RECORD_FOOTER => Record::Footer(read_footer(&read_grown(record.cast())?)?),
            _ => return Ok(HostRecord::UnknownKind),
        }))
    }
}

/// # Safety
/// All that the header points to can be read.
unsafe fn read_header(c: &abi::Header) -> Result<Header, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe {
        let targets = read_array(c.targets, c.target_count, c.target_size)?;
        let samplers = read_array(c.samplers, c.sampler_count, c.sampler_size)?;
        Ok(Header {
            format: c.format,
            seepmeter: text_from_c(c.seepmeter)?.to_owned(),
            start: text_from_c(c.start)?.to_owned(),
            host: raw(c.host)?,
            kernel: raw(c.kernel)?,
            boot_id: known_text(c.boot_id)?.map(str::to_owned),
            page_size: c.page_size,
            targets: targets.iter().map(|target| read_target(target)).collect::<Result<_, _>>()?,
            samplers: samplers
                .iter()
                .map(|sampler| read_sampler(sampler))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// # Safety
/// All that the target points to can be read.
unsafe fn read_target(c: &abi::TargetInfo) -> Result<TargetInfo, InvalidData> {
    // SAFETY: the caller's promise.
    let origin = unsafe {
        match c.origin {
            abi::TARGET_COMMAND => {
                let words = array(c.command, c.command_count, "words")?;
                TargetOrigin::Command(
                    words.iter().map(|word| raw(*word)).collect::<Result<_, _>>()?,
                )
            }
            abi::TARGET_PID => TargetOrigin::Pid(c.pid),
            abi::TARGET_CGROUP => TargetOrigin::Cgroup(raw(c.cgroup)?),
            other => return invalid(format!("the unknown origin {other} of a target")),
        }
    };
    Ok(TargetInfo { subject: SubjectId(c.subject), origin })
}

/// # Safety
/// All that the sampler points to can be read.
unsafe fn read_sampler(c: &abi::SamplerInfo) -> Result<SamplerInfo, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe {
        let options = array(c.options, c.option_count, "options")?
            .iter()
            .map(|pair| {
                Ok((text_from_c(pair.key)?.to_owned(), text_from_c(pair.value)?.to_owned()))
            })
            .collect::<Result<_, InvalidData>>()?;
        let name = text_from_c(c.name)?.to_owned();
        Ok(SamplerInfo { name, interval: c.interval, first_interval: None, options })
    }
}

/// # Safety
/// All that the metric points to can be read.
unsafe fn read_metric(c: &abi::Metric) -> Result<Metric, InvalidData> {
    // SAFETY: the caller's promise.
    let MetricSpec { name, unit, kind, subject_kind, help } = unsafe { metric_from_c(c)? };
    Ok(Metric {
        id: MetricId(c.id),
        name: name.into(),
        unit,
        kind,
        subject_kind,
        sampler: sampler_id(c.sampler)?,
        help: help.into(),
    })
}

/// A metric that a sampler has handed over.
///
/// # Errors
/// Text that is not UTF-8, a unit or a kind that there is not.
///
/// # Safety
/// All that it points to can be read for as long as `'a` lasts.
pub unsafe fn metric_from_c<'a>(c: &abi::Metric) -> Result<MetricSpec<'a>, InvalidData> {
    // SAFETY: the caller's promise.
    let (name, subject_kind, help) = unsafe {
        (text_from_c(c.name)?, text_from_c(c.subject_kind)?.into(), text_from_c(c.help)?)
    };
    match (unit_from_c(c.unit), metric_kind_from_c(c.kind)) {
        (Some(unit), Some(kind)) => Ok(MetricSpec { name, unit, kind, subject_kind, help }),
        _ => invalid(format!(
            "{}, which version {}.{} of the plugin ABI does not have",
            what_is_unknown(c).unwrap_or_default(),
            abi::MAJOR,
            abi::MINOR
        )),
    }
}

/// What of a metric this version does not know. It is never taken for something else: a value in the wrong
/// unit is a wrong value.
fn what_is_unknown(c: &abi::Metric) -> Option<String> {
    let (what, number) = match (unit_from_c(c.unit), metric_kind_from_c(c.kind)) {
        (None, _) => ("unit", c.unit),
        (_, None) => ("kind", c.kind),
        _ => return None,
    };
    Some(format!("the unknown {what} {number}"))
}

/// A subject that a sampler has handed over.
///
/// # Errors
/// Text that is not UTF-8 though it should be, or arrays that can't be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn subject_from_c(c: &abi::Subject) -> Result<NewSubject, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe {
        let attributes = array(c.attributes, c.attribute_count, "attributes")?
            .iter()
            .map(|attribute| {
                let value = match attribute.is_number {
                    0 => AttributeValue::Text(raw(attribute.text)?),
                    _ => AttributeValue::Int(attribute.number),
                };
                Ok((text_from_c(attribute.key)?.to_owned(), value))
            })
            .collect::<Result<_, InvalidData>>()?;
        Ok(NewSubject {
            parent: known_id(c.parent).map(SubjectId),
            kind: SubjectKind::from(text_from_c(c.kind)?),
            name: raw(c.name)?,
            attributes,
        })
    }
}

/// An image that was handed over.
///
/// # Errors
/// Text that is not UTF-8 though it should be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn image_from_c(c: &abi::Image) -> Result<Image, InvalidData> {
    // SAFETY: the caller's promise.
    let (path, build_id) = unsafe { (raw(c.path)?, known_text(c.build_id)?) };
    Ok(Image { id: ImageId(c.id), path, build_id: build_id.map(Into::into) })
}

/// A frame that was handed over.
///
/// # Errors
/// Bytes or arrays that can't be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn frame_from_c(c: &abi::Frame) -> Result<NewFrame, InvalidData> {
    let known_line = |line| (line != 0).then_some(line);
    // SAFETY: the caller's promise.
    unsafe {
        let inlined = array(c.inlined, c.inlined_count, "inlined calls")?
            .iter()
            .map(|call| {
                let (function, file) = (raw(call.function)?, known_raw(call.file)?);
                Ok(InlinedCall { function, file, line: known_line(call.line) })
            })
            .collect::<Result<_, InvalidData>>()?;
        Ok(NewFrame {
            image: known_id(c.image).map(ImageId),
            address: c.address,
            function: known_raw(c.function)?,
            file: known_raw(c.file)?,
            line: known_line(c.line),
            inlined,
        })
    }
}

/// A stack that was handed over.
///
/// # Errors
/// Bytes or arrays that can't be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn stack_from_c(c: &abi::Stack) -> Result<Stack, InvalidData> {
    // SAFETY: the caller's promise; the number of a frame is a number.
    let (frames, truncated) = unsafe {
        (array(c.frames.cast::<FrameId>(), c.frame_count, "frames")?, known_raw(c.truncated)?)
    };
    Ok(Stack { id: StackId(c.id), frames: frames.to_vec(), truncated })
}

/// # Safety
/// All that the sample points to can be read.
unsafe fn read_sample(c: &abi::Sample) -> Result<Sample, InvalidData> {
    // SAFETY: the caller's promise; a point of the ABI is a point.
    let points = unsafe { array(c.points.cast::<Point>(), c.point_count, "points")? };
    let sampler = sampler_id(c.sampler)?;
    let (duration, partial) = (c.duration, c.partial != 0);
    Ok(Sample { t: c.t, sampler, duration, partial, points: points.into() })
}

/// An event that was handed over.
///
/// # Errors
/// A field that its kind needs and that is not there, or text that is not UTF-8 though it should be.
///
/// # Safety
/// All that it points to can be read.
pub unsafe fn event_from_c(c: &abi::Event) -> Result<Event, InvalidData> {
    // SAFETY: the caller's promise.
    let (kind, text) = unsafe { (text_from_c(c.kind)?, known_raw(c.text)?) };
    let field = |_: &str, is_text| match is_text {
        true => text.clone().map(AttributeValue::Text),
        false => (c.has_number != 0).then_some(AttributeValue::Int(c.number)),
    };
    let kind = EventKind::from_fields(kind, field).map_err(|e| InvalidData(e.to_string()))?;
    let sampler = known_id(c.sampler).map(sampler_id).transpose()?;
    Ok(Event { t: c.t, subject: known_id(c.subject).map(SubjectId), sampler, kind })
}

/// # Safety
/// All that the footer points to can be read.
unsafe fn read_footer(c: &abi::Footer) -> Result<Footer, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe {
        let dropped = array(c.dropped, c.dropped_count, "sinks")?
            .iter()
            .map(|dropped| {
                Ok(Dropped {
                    sink: text_from_c(dropped.sink)?.to_owned(),
                    samples: dropped.samples,
                })
            })
            .collect::<Result<_, InvalidData>>()?;
        Ok(Footer {
            t: c.t,
            ends: array(c.ends, c.end_count, "ends")?.iter().map(end_from_c).collect(),
            samples: c.samples,
            late: c.late,
            missed: c.missed,
            dropped,
            cost: Cost {
                cpu: (c.has_cpu != 0).then_some(c.cpu),
                peak_rss: (c.has_peak_rss != 0).then_some(c.peak_rss),
            },
        })
    }
}

fn end_from_c(c: &abi::TargetEnd) -> TargetEnd {
    let end = match c.end {
        abi::END_EXITED => End::Exited(c.value),
        abi::END_KILLED => End::Killed(c.value),
        abi::END_LEFT => End::Left,
        abi::END_NOT_STARTED => End::NotStarted(c.value),
        // How it ended is not known, and neither is an end that a later version knows.
        _ => End::Gone,
    };
    TargetEnd { subject: SubjectId(c.subject), end }
}

fn known_id(id: u32) -> Option<u32> {
    (id != abi::NONE).then_some(id)
}

fn sampler_id(id: u32) -> Result<SamplerId, InvalidData> {
    u16::try_from(id).map(SamplerId).or_else(|_| invalid(format!("there is no sampler {id}")))
}
