//! What keeps the promise of no padding: sizes and offsets, checked where this crate is compiled.

use crate::*;

/// Every field begins where the one before it ends, and nothing stands behind the last.
macro_rules! no_padding {
    ($($type:ty { $($field:ident: $size:literal),+ $(,)? } = $total:literal)+) => {$(
        const _: () = {
            let mut end = 0;
            $(
                assert!(core::mem::offset_of!($type, $field) == end);
                end += $size;
            )+
            assert!(end == $total && size_of::<$type>() == $total);
        };
    )+};
}

no_padding! {
    Bytes { data: 8, length: 8 } = 16
    Host { struct_size: 4, minor: 4, version: 16, get_extension: 8 } = 32
    Plugin {
        struct_size: 4, kind: 4, minor: 4, pauses: 4, max_batch_delay: 8, name: 16, version: 16,
        about: 16, options: 8, option_count: 8, option_size: 8, get_extension: 8, create: 8,
        configure: 8, ready: 8, start: 8, add_target: 8, remove_target: 8, sample: 8, wait: 8,
        write: 8, flush: 8, conclude: 8, stop: 8, destroy: 8,
    } = 208
    OptionSpec { key: 16, kind: 16, help: 16, default_value: 16, required: 4, reserved: 4 } = 72
    InstanceHost {
        struct_size: 4, reserved: 4, context: 8, message: 8, get_extension: 8, now: 8, metric: 8,
        subject: 8, image: 8, frame: 8, stack: 8, points: 8, partial: 8, paused: 8, event: 8,
        keep_alive: 8,
    } = 120
    Target {
        struct_size: 4, pid: 4, start_time: 8, subject: 4, spawned: 4, proc_root: 16, executable: 16,
    } = 56
    Record { struct_size: 4, record_kind: 4 } = 8
    Header {
        struct_size: 4, record_kind: 4, format: 4, reserved: 4, page_size: 8, seepmeter: 16, start: 16,
        host: 16, kernel: 16, boot_id: 16, targets: 8, target_count: 8, target_size: 8, samplers: 8,
        sampler_count: 8, sampler_size: 8,
    } = 152
    TargetInfo {
        subject: 4, origin: 4, pid: 4, reserved: 4, cgroup: 16, command: 8, command_count: 8,
    } = 48
    SamplerInfo { name: 16, interval: 8, options: 8, option_count: 8 } = 40
    OptionPair { key: 16, value: 16 } = 32
    Metric {
        struct_size: 4, record_kind: 4, id: 4, sampler: 4, unit: 4, kind: 4, name: 16,
        subject_kind: 16, help: 16,
    } = 72
    Subject {
        struct_size: 4, record_kind: 4, id: 4, parent: 4, kind: 16, name: 16, attributes: 8,
        attribute_count: 8,
    } = 64
    Attribute { key: 16, text: 16, number: 8, is_number: 8 } = 48
    Image { struct_size: 4, record_kind: 4, id: 4, reserved: 4, path: 16, build_id: 16 } = 48
    Frame {
        struct_size: 4, record_kind: 4, id: 4, image: 4, address: 8, function: 16, file: 16, line: 4,
        reserved: 4, inlined: 8, inlined_count: 8,
    } = 80
    InlinedCall { function: 16, file: 16, line: 4, reserved: 4 } = 40
    Stack {
        struct_size: 4, record_kind: 4, id: 4, reserved: 4, frames: 8, frame_count: 8, truncated: 16,
    } = 48
    Sample {
        struct_size: 4, record_kind: 4, t: 8, duration: 8, sampler: 4, partial: 4, points: 8,
        point_count: 8,
    } = 48
    Point { subject: 4, metric: 4, value: 8 } = 16
    Event {
        struct_size: 4, record_kind: 4, t: 8, kind: 16, subject: 4, sampler: 4, number: 8,
        has_number: 8, text: 16,
    } = 72
    Footer {
        struct_size: 4, record_kind: 4, t: 8, ends: 8, end_count: 8, samples: 8, late: 8, missed: 8,
        dropped: 8, dropped_count: 8, cpu: 8, peak_rss: 8, has_cpu: 4, has_peak_rss: 4,
    } = 96
    TargetEnd { subject: 4, end: 4, value: 4, reserved: 4 } = 16
    Dropped { sink: 16, samples: 8 } = 24
}
