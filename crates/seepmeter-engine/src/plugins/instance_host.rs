//! What a loaded instance may ask of the host.
//!
//! Each instance has a [`Context`] of its own, which lives until exit: a plugin that calls back when it
//! should not finds it there, and is refused.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::{Pid, gettid};
use seepmeter_plugin::c_abi::{
    EINVAL, EPERM, Grows, InvalidData, abi, bytes_from_c, event_from_c, frame_from_c, image_from_c,
    metric_from_c, read_grown, result_of, slice_from_c, stack_from_c, struct_size, subject_from_c,
    text_from_c,
};
use seepmeter_plugin::{Error, SampleFacts, Stream};
use seepmeter_record::{Image, Point, Points, Stack, SubjectKind};

use super::known::KnownNumbers;
use crate::Notices;

/// No more warnings of one instance than this are shown; a terminal is not its log.
const MOST_WARNINGS: u32 = 20;

/// What the host knows of one instance.
pub(super) struct Context {
    /// The thread that all of the instance's calls come from.
    owner: Pid,
    /// It has called back from another.
    called_from_elsewhere: AtomicBool,
    name: String,
    notices: Notices,
    warnings: AtomicU32,
    /// Touched by the owner alone.
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// There for the time of a call into the instance.
    stream: Option<NonNull<dyn Stream>>,
    /// There for the time of `sample`.
    points: Option<NonNull<Points>>,
    facts: SampleFacts,
    /// The last error that the instance has reported.
    error: Option<String>,
    /// Why the first record of it that was refused was.
    refusal: Option<String>,
    known: KnownNumbers,
}

impl Context {
    /// A context for an instance that this thread owns, and the table for it. Both live until exit.
    pub(super) fn leak(name: &str, notices: &Notices) -> (&'static Self, *const abi::InstanceHost) {
        let context: &'static Self = Box::leak(Box::new(Self {
            owner: gettid(),
            called_from_elsewhere: AtomicBool::new(false),
            name: name.to_owned(),
            notices: notices.clone(),
            warnings: AtomicU32::new(0),
            state: RefCell::default(),
        }));
        let table = Box::leak(Box::new(abi::InstanceHost {
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
        }));
        (context, ptr::from_ref(table))
    }

    /// Makes a call into the instance that may write to the stream, and says how it went.
    pub(super) fn call_with_stream(
        &self,
        stream: &mut dyn Stream,
        points: Option<&mut Points>,
        name: &'static str,
        call: impl FnOnce() -> i32,
    ) -> Result<i32, Error> {
        // SAFETY: only the lifetime is changed, and both are taken back below, before it ends. The call
        // is made through the plugin ABI, which nothing unwinds across.
        let stream: NonNull<dyn Stream> = unsafe {
            std::mem::transmute::<NonNull<dyn Stream + '_>, NonNull<dyn Stream>>(NonNull::from(
                stream,
            ))
        };
        {
            let mut state = self.state.borrow_mut();
            state.stream = Some(stream);
            state.points = points.map(NonNull::from);
        }
        let code = call();
        {
            let mut state = self.state.borrow_mut();
            state.stream = None;
            state.points = None;
            state.known.forget_ended();
        }
        self.result(name, code)
    }

    /// What the result of the call of this name means. `wait` alone has a result of its own.
    pub(super) fn result(&self, name: &'static str, code: i32) -> Result<i32, Error> {
        let (error, refusal) = {
            let mut state = self.state.borrow_mut();
            (state.error.take(), state.refusal.take())
        };
        if self.called_from_elsewhere.load(Ordering::Relaxed) {
            return Err(Error::failed(
                "it called the host from a thread that is not its own; a plugin must call from the thread that it is called from",
            ));
        }
        if let Some(refusal) = refusal {
            return Err(Error::failed(format!("a record of it was refused: {refusal}")));
        }
        if name == "wait" && code == abi::PLEASE_SLEEP {
            return Ok(code);
        }
        result_of(name, code, error).map(|()| 0)
    }

    /// What the instance has said of its last sample beside the points.
    pub(super) fn take_facts(&self) -> SampleFacts {
        std::mem::take(&mut self.state.borrow_mut().facts)
    }

    /// Changes what the instance may name.
    pub(super) fn update_known(&self, change: impl FnOnce(&mut KnownNumbers)) {
        change(&mut self.state.borrow_mut().known);
    }
}

/// Enters a callback: the context, if the right thread calls.
///
/// # Safety
/// `context` is null or what the instance's table says.
unsafe fn enter<'a>(context: *mut c_void) -> Option<&'a Context> {
    // SAFETY: the caller's promise, and a context lives until exit.
    let context = unsafe { context.cast::<Context>().as_ref() }?;
    if gettid() == context.owner {
        return Some(context);
    }
    context.called_from_elsewhere.store(true, Ordering::Relaxed);
    None
}

/// Runs a callback that may be refused.
///
/// # Safety
/// As [`enter`].
unsafe fn serve(context: *mut c_void, work: impl FnOnce(&mut State) -> Result<(), String>) -> i32 {
    // SAFETY: the caller's promise.
    let Some(context) = (unsafe { enter(context) }) else { return -EPERM };
    let Ok(mut state) = context.state.try_borrow_mut() else { return -EPERM };
    match work(&mut state) {
        Ok(()) => 0,
        Err(why) => {
            state.refusal.get_or_insert(why);
            -EINVAL
        }
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
/// If `record` is not null, it is as large as it says.
unsafe fn read_of_kind<T: Grows>(record: *const T, kind: u32) -> Result<T, String> {
    // SAFETY: the caller's promise; every record begins with its size and its kind.
    let (read, is) = unsafe {
        let read = read_grown(record).map_err(|error| error.0)?;
        (read, record.cast::<abi::Record>().read_unaligned().record_kind)
    };
    if is != kind {
        return Err(format!("{} that says it is a record of kind {is}, and not {kind}", T::WHAT));
    }
    Ok(read)
}

/// What is wrong with a record, behind what it is.
fn with<T: Grows>(error: InvalidData) -> String {
    format!("{} with {error}", T::WHAT)
}

impl State {
    fn stream(&mut self, what: &str) -> Result<&mut dyn Stream, String> {
        match self.stream {
            // SAFETY: it is there only while `call_with_stream` holds it for us, on this thread.
            Some(mut stream) => Ok(unsafe { stream.as_mut() }),
            None => Err(format!("{what} outside of a sampler's calls from start to stop")),
        }
    }

    fn in_sample(&self, what: &str) -> Result<NonNull<Points>, String> {
        self.points.ok_or_else(|| format!("{what} outside of sample"))
    }
}

unsafe extern "C" fn message(context: *mut c_void, level: u32, bytes: abi::Bytes) {
    // SAFETY: the ABI's promise.
    let (context, bytes) = unsafe { (enter(context), bytes_from_c(bytes)) };
    let Some(context) = context else { return };
    let text = printable(bytes.unwrap_or(b"(text at an address where none can be)"));
    if level == abi::LEVEL_ERROR {
        if let Ok(mut state) = context.state.try_borrow_mut() {
            state.error = Some(text);
        }
    } else {
        match context.warnings.fetch_add(1, Ordering::Relaxed) {
            0..MOST_WARNINGS => (context.notices)(&format!("{}: {text}", context.name)),
            MOST_WARNINGS => {
                (context.notices)(&format!("{}: it says more, which is not shown", context.name));
            }
            _ => {}
        }
    }
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
    let Some(context) = (unsafe { enter(context) }) else { return 0 };
    let Ok(mut state) = context.state.try_borrow_mut() else { return 0 };
    state.stream("").map_or(0, |stream| stream.now())
}

unsafe extern "C" fn metric(context: *mut c_void, metric: *const abi::Metric, id: *mut u32) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: the ABI's promise.
        let metric = unsafe { read_of_kind(metric, abi::RECORD_METRIC) }?;
        // SAFETY: the ABI's promise.
        let spec = unsafe { metric_from_c(&metric) }.map_err(with::<abi::Metric>)?;
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
        let subject = unsafe { read_of_kind(subject, abi::RECORD_SUBJECT) }?;
        // SAFETY: the ABI's promise.
        let subject = unsafe { subject_from_c(&subject) }.map_err(with::<abi::Subject>)?;
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
        let image = unsafe { read_of_kind(image, abi::RECORD_IMAGE) }?;
        // SAFETY: the ABI's promise.
        let image = unsafe { image_from_c(&image) }.map_err(with::<abi::Image>)?;
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
        let frame = unsafe { read_of_kind(frame, abi::RECORD_FRAME) }?;
        // SAFETY: the ABI's promise.
        let frame = unsafe { frame_from_c(&frame) }.map_err(with::<abi::Frame>)?;
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
        let stack = unsafe { read_of_kind(stack, abi::RECORD_STACK) }?;
        // SAFETY: the ABI's promise.
        let stack = unsafe { stack_from_c(&stack) }.map_err(with::<abi::Stack>)?;
        let Stack { id: _, frames, truncated } = stack;
        state.known.stack(&frames)?;
        Ok(state.stream("a stack")?.stack(frames, truncated).0)
    };
    // SAFETY: the ABI's promise.
    unsafe { define(context, "a stack", id, work) }
}

unsafe extern "C" fn points(context: *mut c_void, points: *const abi::Point, count: u64) -> i32 {
    let work = |state: &mut State| {
        let mut collected = state.in_sample("points")?;
        // SAFETY: the ABI's promise; a point of the ABI is a point.
        let given = unsafe { slice_from_c(points.cast::<Point>(), count) }
            .ok_or_else(|| format!("{count} points at an address where so many can't be"))?;
        given.iter().try_for_each(|point| state.known.point(point))?;
        // SAFETY: it is there only while `call_with_stream` holds it for us, on this thread.
        unsafe { collected.as_mut() }.extend_from_slice(given);
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn partial(context: *mut c_void) -> i32 {
    let work = |state: &mut State| {
        state.in_sample("that the sample is partial was said")?;
        state.facts.partial = true;
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn paused(context: *mut c_void, nanoseconds: u64) -> i32 {
    let work = |state: &mut State| {
        state.in_sample("a time for which the target was paused")?;
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
        let event = unsafe { read_of_kind(event, abi::RECORD_EVENT) }?;
        // SAFETY: the ABI's promise.
        let mut event = unsafe { event_from_c(&event) }.map_err(with::<abi::Event>)?;
        if event.kind.as_str().is_empty() {
            return Err("an event without a kind".to_owned());
        }
        if let Some(subject) = event.subject {
            if event.kind.ends_subject() && state.known.may_have_ended(subject) {
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
        state.stream("the wish to be kept alive")?.keep_alive(reason);
        Ok(())
    };
    // SAFETY: the ABI's promise.
    unsafe { serve(context, work) }
}
