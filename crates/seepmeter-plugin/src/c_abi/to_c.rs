//! Records in C's terms.

use seepmeter_record::{
    AttributeValue, Attributes, Bytes, Dropped, End, Event, FieldValue, Footer, Frame, FrameId,
    Header, Image, InlinedCall, Metric, MetricSpec, Point, Record, Sample, SamplerInfo, Stack,
    Subject, SubjectId, SubjectKind, TargetEnd, TargetInfo, TargetOrigin,
};

use super::bytes::known_bytes_to_c;
use super::numbers::{metric_kind_to_c, unit_to_c};
use super::{abi, bytes_to_c, no_bytes, struct_size};
use crate::{NewFrame, NewSubject};

// Points and the numbers of frames are handed over as they lie.
const _: () = assert!(
    size_of::<Point>() == size_of::<abi::Point>()
        && std::mem::offset_of!(Point, subject) == std::mem::offset_of!(abi::Point, subject)
        && std::mem::offset_of!(Point, metric) == std::mem::offset_of!(abi::Point, metric)
        && std::mem::offset_of!(Point, value) == std::mem::offset_of!(abi::Point, value)
        && size_of::<FrameId>() == size_of::<u32>()
);

/// What every record begins with.
fn head<T>(record: &T) -> *const abi::Record {
    std::ptr::from_ref(record).cast()
}

/// Hands `call` a record in C's terms; it is good for the time of the call.
pub fn with_record<R>(record: &Record, call: impl FnOnce(*const abi::Record) -> R) -> R {
    match record {
        Record::Header(header) => with_header(header, |c| call(head(c))),
        Record::Metric(metric) => {
            let Metric { id, name, unit, kind, subject_kind, sampler, help } = &**metric;
            let subject_kind = subject_kind.clone();
            let spec = MetricSpec { name, unit: *unit, kind: *kind, subject_kind, help };
            let sampler = sampler.0.into();
            with_metric(&spec, |c| call(head(&abi::Metric { id: id.0, sampler, ..*c })))
        }
        Record::Subject(subject) => {
            let Subject { id, parent, kind, name, attributes } = &**subject;
            let attributes = attributes_to_c(attributes);
            let c = subject_to_c(*parent, kind, name, &attributes);
            call(head(&abi::Subject { id: id.0, ..c }))
        }
        Record::Image(image) => with_image(image, |c| call(head(c))),
        Record::Frame(frame) => {
            let Frame { id, image, address, function, file, line, inlined } = (**frame).clone();
            let frame = NewFrame { image, address, function, file, line, inlined };
            with_new_frame(&frame, |c| call(head(&abi::Frame { id: id.0, ..*c })))
        }
        Record::Stack(stack) => with_stack(stack, |c| call(head(c))),
        Record::Sample(sample) => call(head(&sample_to_c(sample))),
        Record::Event(event) => with_event(event, |c| call(head(c))),
        Record::Footer(footer) => with_footer(footer, |c| call(head(c))),
    }
}

fn with_header<R>(header: &Header, call: impl FnOnce(&abi::Header) -> R) -> R {
    let Header { format, seepmeter, start, host, kernel, boot_id, page_size, targets, samplers } =
        header;
    let words: Vec<Vec<abi::Bytes>> = targets.iter().map(words_to_c).collect();
    let targets: Vec<abi::TargetInfo> =
        targets.iter().zip(&words).map(|(target, words)| target_to_c(target, words)).collect();
    let options: Vec<Vec<abi::OptionPair>> = samplers.iter().map(options_to_c).collect();
    let samplers: Vec<abi::SamplerInfo> = samplers
        .iter()
        .zip(&options)
        .map(|(SamplerInfo { name, interval, .. }, options)| abi::SamplerInfo {
            name: bytes_to_c(name.as_bytes()),
            interval: *interval,
            options: options.as_ptr(),
            option_count: options.len() as u64,
        })
        .collect();
    call(&abi::Header {
        struct_size: struct_size::<abi::Header>(),
        record_kind: abi::RECORD_HEADER,
        format: *format,
        reserved: 0,
        page_size: *page_size,
        seepmeter: bytes_to_c(seepmeter.as_bytes()),
        start: bytes_to_c(start.as_bytes()),
        host: bytes_to_c(host.as_bytes()),
        kernel: bytes_to_c(kernel.as_bytes()),
        boot_id: known_bytes_to_c(boot_id.as_deref().map(str::as_bytes)),
        targets: targets.as_ptr(),
        target_count: targets.len() as u64,
        target_size: size_of::<abi::TargetInfo>() as u64,
        samplers: samplers.as_ptr(),
        sampler_count: samplers.len() as u64,
        sampler_size: size_of::<abi::SamplerInfo>() as u64,
    })
}

fn words_to_c(target: &TargetInfo) -> Vec<abi::Bytes> {
    match &target.origin {
        TargetOrigin::Command(words) => words.iter().map(|w| bytes_to_c(w.as_bytes())).collect(),
        TargetOrigin::Pid(_) | TargetOrigin::Cgroup(_) => Vec::new(),
    }
}

fn target_to_c(target: &TargetInfo, words: &[abi::Bytes]) -> abi::TargetInfo {
    let TargetInfo { subject, origin } = target;
    let (origin, pid, cgroup) = match origin {
        TargetOrigin::Command(_) => (abi::TARGET_COMMAND, 0, no_bytes()),
        TargetOrigin::Pid(pid) => (abi::TARGET_PID, *pid, no_bytes()),
        TargetOrigin::Cgroup(path) => (abi::TARGET_CGROUP, 0, bytes_to_c(path.as_bytes())),
    };
    abi::TargetInfo {
        subject: subject.0,
        origin,
        pid,
        reserved: 0,
        cgroup,
        command: words.as_ptr(),
        command_count: words.len() as u64,
    }
}

fn options_to_c(sampler: &SamplerInfo) -> Vec<abi::OptionPair> {
    let pair = |(key, value): &(String, String)| abi::OptionPair {
        key: bytes_to_c(key.as_bytes()),
        value: bytes_to_c(value.as_bytes()),
    };
    sampler.options.iter().map(pair).collect()
}

/// Hands `call` a metric that has no number yet, in C's terms.
pub fn with_metric<R>(spec: &MetricSpec<'_>, call: impl FnOnce(&abi::Metric) -> R) -> R {
    let MetricSpec { name, unit, kind, subject_kind, help } = spec;
    call(&abi::Metric {
        struct_size: struct_size::<abi::Metric>(),
        record_kind: abi::RECORD_METRIC,
        id: abi::NONE,
        sampler: abi::NONE,
        unit: unit_to_c(*unit),
        kind: metric_kind_to_c(*kind),
        name: bytes_to_c(name.as_bytes()),
        subject_kind: bytes_to_c(subject_kind.as_str().as_bytes()),
        help: bytes_to_c(help.as_bytes()),
    })
}

/// Hands `call` a subject that has no number yet, in C's terms.
pub fn with_new_subject<R>(subject: &NewSubject, call: impl FnOnce(&abi::Subject) -> R) -> R {
    let NewSubject { parent, kind, name, attributes } = subject;
    let attributes = attributes_to_c(attributes);
    call(&subject_to_c(*parent, kind, name, &attributes))
}

fn attributes_to_c(attributes: &Attributes) -> Vec<abi::Attribute> {
    let attribute = |(key, value): (&str, &AttributeValue)| {
        let (text, number, is_number) = match value {
            AttributeValue::Int(number) => (no_bytes(), *number, 1),
            AttributeValue::Text(text) => (bytes_to_c(text.as_bytes()), 0, 0),
        };
        abi::Attribute { key: bytes_to_c(key.as_bytes()), text, number, is_number }
    };
    attributes.iter().map(attribute).collect()
}

fn subject_to_c(
    parent: Option<SubjectId>,
    kind: &SubjectKind,
    name: &Bytes,
    attributes: &[abi::Attribute],
) -> abi::Subject {
    abi::Subject {
        struct_size: struct_size::<abi::Subject>(),
        record_kind: abi::RECORD_SUBJECT,
        id: abi::NONE,
        parent: parent.map_or(abi::NONE, |parent| parent.0),
        kind: bytes_to_c(kind.as_str().as_bytes()),
        name: bytes_to_c(name.as_bytes()),
        attributes: attributes.as_ptr(),
        attribute_count: attributes.len() as u64,
    }
}

/// Hands `call` an image in C's terms.
pub fn with_image<R>(image: &Image, call: impl FnOnce(&abi::Image) -> R) -> R {
    let Image { id, path, build_id } = image;
    call(&abi::Image {
        struct_size: struct_size::<abi::Image>(),
        record_kind: abi::RECORD_IMAGE,
        id: id.0,
        reserved: 0,
        path: bytes_to_c(path.as_bytes()),
        build_id: known_bytes_to_c(build_id.as_deref().map(str::as_bytes)),
    })
}

/// Hands `call` a frame that has no number yet, in C's terms.
pub fn with_new_frame<R>(frame: &NewFrame, call: impl FnOnce(&abi::Frame) -> R) -> R {
    let NewFrame { image, address, function, file, line, inlined } = frame;
    let known = |bytes: &Option<Bytes>| known_bytes_to_c(bytes.as_ref().map(Bytes::as_bytes));
    let inlined: Vec<abi::InlinedCall> = inlined
        .iter()
        .map(|InlinedCall { function, file, line }| abi::InlinedCall {
            function: bytes_to_c(function.as_bytes()),
            file: known(file),
            line: line.unwrap_or(0),
            reserved: 0,
        })
        .collect();
    call(&abi::Frame {
        struct_size: struct_size::<abi::Frame>(),
        record_kind: abi::RECORD_FRAME,
        id: abi::NONE,
        image: image.map_or(abi::NONE, |image| image.0),
        address: *address,
        function: known(function),
        file: known(file),
        line: line.unwrap_or(0),
        reserved: 0,
        inlined: inlined.as_ptr(),
        inlined_count: inlined.len() as u64,
    })
}

/// Hands `call` a stack in C's terms.
pub fn with_stack<R>(stack: &Stack, call: impl FnOnce(&abi::Stack) -> R) -> R {
    let Stack { id, frames, truncated } = stack;
    call(&abi::Stack {
        struct_size: struct_size::<abi::Stack>(),
        record_kind: abi::RECORD_STACK,
        id: id.0,
        reserved: 0,
        frames: frames.as_ptr().cast(),
        frame_count: frames.len() as u64,
        truncated: known_bytes_to_c(truncated.as_ref().map(Bytes::as_bytes)),
    })
}

fn sample_to_c(sample: &Sample) -> abi::Sample {
    let Sample { t, sampler, duration, partial, points } = sample;
    abi::Sample {
        struct_size: struct_size::<abi::Sample>(),
        record_kind: abi::RECORD_SAMPLE,
        t: *t,
        duration: *duration,
        sampler: sampler.0.into(),
        partial: (*partial).into(),
        points: points.as_ptr().cast(),
        point_count: points.len() as u64,
    }
}

/// Hands `call` an event in C's terms.
pub fn with_event<R>(event: &Event, call: impl FnOnce(&abi::Event) -> R) -> R {
    let Event { t, subject, sampler, kind } = event;
    let (mut number, mut text) = (None, no_bytes());
    // A kind has one number and one text at most.
    for (_, value) in kind.fields() {
        match value {
            FieldValue::Int(value) => number = Some(value),
            FieldValue::Text(value) => text = bytes_to_c(value.as_bytes()),
        }
    }
    call(&abi::Event {
        struct_size: struct_size::<abi::Event>(),
        record_kind: abi::RECORD_EVENT,
        t: *t,
        kind: bytes_to_c(kind.as_str().as_bytes()),
        subject: subject.map_or(abi::NONE, |subject| subject.0),
        sampler: sampler.map_or(abi::NONE, |sampler| sampler.0.into()),
        number: number.unwrap_or(0),
        has_number: number.is_some().into(),
        text,
    })
}

fn with_footer<R>(footer: &Footer, call: impl FnOnce(&abi::Footer) -> R) -> R {
    let Footer { t, ends, samples, late, missed, dropped, cost } = footer;
    let ends: Vec<abi::TargetEnd> = ends.iter().map(end_to_c).collect();
    let dropped: Vec<abi::Dropped> = dropped
        .iter()
        .map(|Dropped { sink, samples }| abi::Dropped {
            sink: bytes_to_c(sink.as_bytes()),
            samples: *samples,
        })
        .collect();
    call(&abi::Footer {
        struct_size: struct_size::<abi::Footer>(),
        record_kind: abi::RECORD_FOOTER,
        t: *t,
        ends: ends.as_ptr(),
        end_count: ends.len() as u64,
        samples: *samples,
        late: *late,
        missed: *missed,
        dropped: dropped.as_ptr(),
        dropped_count: dropped.len() as u64,
        cpu: cost.cpu.unwrap_or(0),
        peak_rss: cost.peak_rss.unwrap_or(0),
        has_cpu: cost.cpu.is_some().into(),
        has_peak_rss: cost.peak_rss.is_some().into(),
    })
}

fn end_to_c(end: &TargetEnd) -> abi::TargetEnd {
    let TargetEnd { subject, end } = end;
    let (end, value) = match *end {
        End::Exited(status) => (abi::END_EXITED, status),
        End::Killed(signal) => (abi::END_KILLED, signal),
        End::Gone => (abi::END_GONE, 0),
        End::Left => (abi::END_LEFT, 0),
        End::NotStarted(errno) => (abi::END_NOT_STARTED, errno),
    };
    abi::TargetEnd { subject: subject.0, end, value, reserved: 0 }
}
