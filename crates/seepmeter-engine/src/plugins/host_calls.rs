//! What a loaded instance may ask of the host: the calls of its table.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::Duration;

use seepmeter_plugin::c_abi::{
    Grows, InvalidData, abi, bytes_from_c, event_from_c, frame_from_c, image_from_c, metric_from_c,
    read_grown, slice_from_c, stack_from_c, struct_size, subject_from_c, text_from_c,
};
use seepmeter_record::{Image, Point, Stack, SubjectKind};

use super::context::{Context, State, enter, serve};

/// The table of an instance.
pub(super) fn table(context: &'static Context) -> abi::InstanceHost {
    abi::InstanceHost {
        struct_size: struct_size::<abi::InstanceHost>(),
        reserved: 0,
        context: ptr::from_ref(context).cast_mut().cast(),
        message: Some(message),
        get_extension: Some(get_extension),
        now: Some(now),
        metric: Some(metric),
        subject: Some(subject),
        image: Some(image),
        frame: Some(frame),
        stack: Some(stack),
        points: Some(points),
        partial: Some(partial),
        paused: Some(paused),
        event: Some(event),
        keep_alive: Some(keep_alive),
    }
}

/// Runs a callback that defines something: `work` gives its number, for which there must be a place.
///
/// # Safety
/// As [`enter`], and if `id` is no odd address, it can be written.
unsafe fn define(
    context: *mut c_void,
    what: &str,
    id: *mut u32,
    work: impl FnOnce(&mut State) -> Result<u32, String>,
) -> i32 {
    let work = |state: &mut State| {
        if id.is_null() || !id.is_aligned() {
            return Err(format!("{what} with no place for its number"));
        }
        let number = work(state)?;
        // SAFETY: there is a place for it, and the caller promises that it can be written.
        unsafe { id.write(number) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { serve(context, work) }
}

/// Reads a record that must say it is of the kind that it was handed over as.
///
/// # Safety
/// If `record` is not null, it is as large as it says, and what it points to can be read.
unsafe fn read<T: Grows, R>(
    record: *const T,
    kind: u32,
    from_c: unsafe fn(&T) -> Result<R, InvalidData>,
) -> Result<R, String> {
    // SAFETY: the caller's promise; every record begins with its size and its kind.
    let (c, is) = unsafe {
        let c = read_grown(record).map_err(|error| error.0)?;
        (c, record.cast::<abi::Record>().read_unaligned().record_kind)
    };
    if is != kind {
        return Err(format!("{} that says it is a record of kind {is}, and not {kind}", T::WHAT));
    }
    // SAFETY: the caller's promise.
    unsafe { from_c(&c) }.map_err(|error| format!("{} with {error}", T::WHAT))
}

unsafe extern "C" fn message(context: *mut c_void, level: u32, bytes: abi::Bytes) {
    // SAFETY: the ABI's promise.
    let (context, bytes) = unsafe { (enter(context), bytes_from_c(bytes)) };
    let Some(context) = context else { return };
    let text = bytes.unwrap_or(b"(text at an invalid address)");
    context.message(level, printable(text));
}

/// A plugin's text as it is shown: no control characters, which could play with a terminal, no more
/// than a screenful, and whatever is not UTF-8 replaced.
fn printable(text: &[u8]) -> String {
    const LONGEST: usize = 2000;
    let (text, more) = match text.split_at_checked(LONGEST) {
        Some((text, rest)) if !rest.is_empty() => (text, "…"),
        _ => (text, ""),
    };
    let text = String::from_utf8_lossy(text).into_owned();
    seepmeter_record::Bytes::from(text).to_string() + more
}

unsafe extern "C" fn get_extension(_context: *mut c_void, _id: *const c_char) -> *const c_void {
    ptr::null()
}

unsafe extern "C" fn now(context: *mut c_void) -> u64 {
    // SAFETY: the ABI's promise.
    unsafe { enter(context) }.map_or(0, Context::now)
}

unsafe extern "C" fn metric(context: *mut c_void, metric: *const abi::Metric, id: *mut u32) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let spec = unsafe { read(metric, abi::RECORD_METRIC, metric_from_c) }?;
        if spec.name.is_empty() {
            return Err("a metric without a name".to_owned());
        }
        if spec.subject_kind == SubjectKind::from("") {
            return Err(format!("the metric `{}` without a kind of subject", spec.name));
        }
        let number = state.stream("a metric")?.metric(&spec);
        state.known.add_metric(number);
        Ok(number.0)
    };
    // SAFETY: the ABI's promise.
    unsafe { define(context, "a metric", id, work) }
}

unsafe extern "C" fn subject(
    context: *mut c_void,
    subject: *const abi::Subject,
    id: *mut u32,
) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let subject = unsafe { read(subject, abi::RECORD_SUBJECT, subject_from_c) }?;
        let (parent, kind) = (subject.parent, subject.kind.clone());
        if kind == SubjectKind::from("") {
            return Err("a subject without a kind".to_owned());
        }
        if let Some(parent) = parent {
            state.known.subject(parent).map_err(|why| format!("a part of subject {why}"))?;
        }
        let number = state.stream("a subject")?.subject(subject);
        state.known.add_subject(number, parent, &kind);
        Ok(number.0)
    };
    // SAFETY: the ABI's promise.
    unsafe { define(context, "a subject", id, work) }
}

unsafe extern "C" fn image(context: *mut c_void, image: *const abi::Image, id: *mut u32) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let image = unsafe { read(image, abi::RECORD_IMAGE, image_from_c) }?;
        let Image { id: _, path, build_id } = image;
        if build_id.as_ref().is_some_and(|id| !id.bytes().all(|c| c.is_ascii_hexdigit())) {
            return Err("an image with a build-id that is not hexadecimal digits".to_owned());
        }
        let number = state.stream("an image")?.image(path, build_id);
        state.known.add_image(number);
        Ok(number.0)
    };
    // SAFETY: the ABI's promise.
    unsafe { define(context, "an image", id, work) }
}

unsafe extern "C" fn frame(context: *mut c_void, frame: *const abi::Frame, id: *mut u32) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let frame = unsafe { read(frame, abi::RECORD_FRAME, frame_from_c) }?;
        state.known.frame(&frame)?;
        let number = state.stream("a frame")?.frame(frame);
        state.known.add_frame(number);
        Ok(number.0)
    };
    // SAFETY: the ABI's promise.
    unsafe { define(context, "a frame", id, work) }
}

unsafe extern "C" fn stack(context: *mut c_void, stack: *const abi::Stack, id: *mut u32) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let stack = unsafe { read(stack, abi::RECORD_STACK, stack_from_c) }?;
        let Stack { id: _, frames, truncated } = stack;
        state.known.stack(&frames)?;
        Ok(state.stream("a stack")?.stack(frames, truncated).0)
    };
    // SAFETY: the ABI's promise.
    unsafe { define(context, "a stack", id, work) }
}

unsafe extern "C" fn points(context: *mut c_void, points: *const abi::Point, count: u64) -> i32 {
    let work = |state: &mut State| {
        state.in_sample("points")?;
        // SAFETY: the ABI's promise; a point of the ABI is a point.
        let given = unsafe { slice_from_c(points.cast::<Point>(), count) }
            .ok_or_else(|| format!("{count} points at an invalid address"))?;
        given.iter().try_for_each(|point| state.known.point(point))?;
        state.points()?.extend_from_slice(given);
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn partial(context: *mut c_void) -> i32 {
    let work = |state: &mut State| {
        state.in_sample("the call `partial`")?;
        state.facts.partial = true;
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn paused(context: *mut c_void, nanoseconds: u64) -> i32 {
    let work = |state: &mut State| {
        state.in_sample("the call `paused`")?;
        let time = Duration::from_nanos(nanoseconds);
        state.facts.paused = Some(state.facts.paused.unwrap_or_default().saturating_add(time));
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn event(context: *mut c_void, event: *const abi::Event) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let mut event = unsafe { read(event, abi::RECORD_EVENT, event_from_c) }?;
        if event.kind.as_str().is_empty() {
            return Err("an event without a kind".to_owned());
        }
        if let Some(subject) = event.subject {
            if event.kind.ends_subject() && state.known.has_ended(subject) {
                return Ok(());
            }
            state.known.subject(subject).map_err(|why| format!("an event of subject {why}"))?;
        }
        // Which sampler emits it, the host knows better.
        event.sampler = None;
        let ended = event.subject.filter(|_| event.kind.ends_subject());
        let stream = state.stream("an event")?;
        if event.t > stream.now() {
            return Err(format!("an event at {} ns, which is in the future", event.t));
        }
        stream.event(event);
        if let Some(subject) = ended {
            state.known.end_subject(subject);
        }
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn keep_alive(context: *mut c_void, reason: abi::Bytes) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let reason = unsafe { text_from_c(reason) }
            .map_err(|error| format!("the reason to be kept alive is {error}"))?;
        state.stream("the call `keep_alive`")?.keep_alive(reason);
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}
