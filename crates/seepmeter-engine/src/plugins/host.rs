//! What a loaded instance may ask of the host.
//!
//! Each instance has a [`Context`] of its own, which lives until exit: a plugin that calls back when it
//! should not finds it there, and is refused.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::{Pid, gettid};
use seepmeter_plugin::face::{
    EINVAL, EPERM, abi, event_from_c, from_c, read_grown, result_of, slice, subject_from_c, text,
    unit_from_c,
};
use seepmeter_plugin::{Error, Stream};
use seepmeter_record::{Point, Points, SubjectId};

use crate::Notices;

/// No more warnings of one instance than this are shown; a terminal is not its log.
const MOST_WARNINGS: u32 = 20;

/// What the host knows of one instance.
pub(crate) struct Context {
    /// The thread that all of the instance's calls come from.
    owner: Pid,
    /// It has called back from another.
    strayed: AtomicBool,
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
    points: Option<NonNull<Points>>,
    /// How long this look has held the target up, so far as the instance says.
    held: Option<Duration>,
    /// The last error that the instance has told.
    said: Option<String>,
    /// The first record of it that was refused.
    refused: Option<String>,
    metrics: HashSet<u32>,
    subjects: HashSet<u32>,
}

impl Context {
    /// A context for an instance that this thread owns, and the table for it. Both live until exit.
    pub(crate) fn leak(name: &str, notices: &Notices) -> (&'static Self, *const abi::InstanceHost) {
        let context: &'static Self = Box::leak(Box::new(Self {
            owner: gettid(),
            strayed: AtomicBool::new(false),
            name: name.to_owned(),
            notices: notices.clone(),
            warnings: AtomicU32::new(0),
            state: RefCell::default(),
        }));
        let table = Box::leak(Box::new(abi::InstanceHost {
            struct_size: u32::try_from(size_of::<abi::InstanceHost>()).unwrap_or(u32::MAX),
            reserved: 0,
            context: ptr::from_ref(context).cast_mut().cast(),
            message: Some(message),
            get_extension: Some(get_extension),
            now: Some(now),
            metric: Some(metric),
            subject: Some(subject),
            points: Some(points),
            event: Some(event),
            held: Some(held),
        }));
        (context, ptr::from_ref(table))
    }

    /// Makes a call into the instance that may write to the stream, and judges how it went.
    pub(crate) fn with_stream(
        &self,
        stream: &mut dyn Stream,
        points: Option<&mut Points>,
        name: &'static str,
        call: impl FnOnce() -> i32,
    ) -> Result<i32, Error> {
        // SAFETY: only the lifetime is changed, and both are taken back below, before it ends. The call
        // is made through the C face, which nothing unwinds across.
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
        }
        self.judge(name, code)
    }

    /// What the result of the call of this name means. `wait` alone has a result of its own.
    pub(crate) fn judge(&self, name: &'static str, code: i32) -> Result<i32, Error> {
        let (said, refused) = {
            let mut state = self.state.borrow_mut();
            (state.said.take(), state.refused.take())
        };
        if self.strayed.load(Ordering::Relaxed) {
            return Err(Error::failed(
                "it called the host from a thread that is not its own; a plugin must call from the thread that it is called from",
            ));
        }
        if let Some(refused) = refused {
            return Err(Error::failed(format!("a record of it was refused: {refused}")));
        }
        if name == "wait" && code == abi::PLEASE_SLEEP {
            return Ok(code);
        }
        result_of(name, code, said).map(|()| 0)
    }

    /// How long the last look has held the target up, where the instance has said so.
    pub(crate) fn take_held(&self) -> Option<Duration> {
        self.state.borrow_mut().held.take()
    }

    /// The instance may speak of this subject.
    pub(crate) fn knows(&self, subject: SubjectId) {
        self.state.borrow_mut().subjects.insert(subject.0);
    }
}

/// Enters a callback: the context, where the right thread calls.
///
/// # Safety
/// `context` is null or what the instance's table says.
unsafe fn enter<'a>(context: *mut c_void) -> Option<&'a Context> {
    // SAFETY: the caller's promise, and a context lives until exit.
    let context = unsafe { context.cast::<Context>().as_ref() }?;
    if gettid() == context.owner {
        return Some(context);
    }
    context.strayed.store(true, Ordering::Relaxed);
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
            state.refused.get_or_insert(why);
            -EINVAL
        }
    }
}

impl State {
    fn stream(&mut self, what: &str) -> Result<&mut dyn Stream, String> {
        match self.stream {
            // SAFETY: it is there only while `with_stream` holds it for us, on this thread.
            Some(mut stream) => Ok(unsafe { stream.as_mut() }),
            None => Err(format!("{what} outside of a sampler's start, sample, wait and stop")),
        }
    }
}

unsafe extern "C" fn message(context: *mut c_void, level: u32, bytes: abi::Bytes) {
    // SAFETY: the face's promise.
    let (context, bytes) = unsafe { (enter(context), from_c(bytes)) };
    let Some(context) = context else { return };
    let said = shown(bytes.unwrap_or(b"(text at an address where none can be)"));
    if level == abi::LEVEL_ERROR {
        if let Ok(mut state) = context.state.try_borrow_mut() {
            state.said = Some(said);
        }
    } else {
        match context.warnings.fetch_add(1, Ordering::Relaxed) {
            0..MOST_WARNINGS => (context.notices)(&format!("{}: {said}", context.name)),
            MOST_WARNINGS => {
                (context.notices)(&format!("{}: it says more, which is not shown", context.name));
            }
            _ => {}
        }
    }
}

/// A plugin's words as they are shown: no control characters, which could play with a terminal, no more
/// than a screenful, and whatever is not UTF-8 mended.
fn shown(said: &[u8]) -> String {
    const LONGEST: usize = 2000;
    let (said, more) = match said.split_at_checked(LONGEST) {
        Some((said, rest)) if !rest.is_empty() => (said, "…"),
        _ => (said, ""),
    };
    let said = String::from_utf8_lossy(said).into_owned();
    seepmeter_record::Bytes::from(said).to_string() + more
}

unsafe extern "C" fn get_extension(_context: *mut c_void, _id: *const c_char) -> *const c_void {
    ptr::null()
}

unsafe extern "C" fn now(context: *mut c_void) -> u64 {
    // SAFETY: the face's promise.
    let Some(context) = (unsafe { enter(context) }) else { return 0 };
    let Ok(mut state) = context.state.try_borrow_mut() else { return 0 };
    state.stream("").map_or(0, |stream| stream.now())
}

unsafe extern "C" fn metric(
    context: *mut c_void,
    name: abi::Bytes,
    unit: u32,
    help: abi::Bytes,
    id: *mut u32,
) -> i32 {
    let work = |state: &mut State| {
        let refused = |error| format!("a metric with {error}");
        // SAFETY: the face's promise.
        let (name, help) = unsafe { (text(name).map_err(refused)?, text(help).map_err(refused)?) };
        let unit = unit_from_c(unit).map_err(|error| format!("the metric `{name}`: {error}"))?;
        if name.is_empty() {
            return Err("a metric without a name".to_owned());
        }
        place("a metric", id)?;
        let number = state.stream("a metric")?.metric(name, unit, help).0;
        state.metrics.insert(number);
        // SAFETY: a place for it, and the face promises that it can be written.
        unsafe { id.write(number) };
        Ok(())
    };
    // SAFETY: the face's promise.
    unsafe { serve(context, work) }
}

/// Makes sure that there is a place for a number.
fn place(what: &str, id: *mut u32) -> Result<(), String> {
    if id.is_null() || !id.is_aligned() {
        return Err(format!("{what} with no place for its number"));
    }
    Ok(())
}

/// Makes sure that a record says it is of the kind that it was handed over as.
fn kind(what: &str, is: u32, wanted: u32) -> Result<(), String> {
    if is != wanted {
        return Err(format!("{what} that says it is a record of kind {is}, and not {wanted}"));
    }
    Ok(())
}

unsafe extern "C" fn subject(
    context: *mut c_void,
    subject: *const abi::Subject,
    id: *mut u32,
) -> i32 {
    let work = |state: &mut State| {
        place("a subject", id)?;
        // SAFETY: a record begins with its size and may be read as far as that.
        let subject = unsafe { read_grown(subject) }.map_err(|error| error.0)?;
        kind("a subject", subject.kind, abi::RECORD_SUBJECT)?;
        // SAFETY: the face's promise.
        let subject = unsafe { subject_from_c(&subject) }
            .map_err(|error| format!("a subject with {error}"))?;
        if let Some(parent) = subject.parent
            && !state.subjects.contains(&parent.0)
        {
            return Err(format!("a subject whose parent {} it has not defined", parent.0));
        }
        let number = state.stream("a subject")?.subject(subject).0;
        state.subjects.insert(number);
        // SAFETY: a place for it, and the face promises that it can be written.
        unsafe { id.write(number) };
        Ok(())
    };
    // SAFETY: the face's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn points(context: *mut c_void, points: *const abi::Point, count: u64) -> i32 {
    let work = |state: &mut State| {
        let Some(mut taken) = state.points else {
            return Err("points outside of sample".to_owned());
        };
        // SAFETY: the face's promise; a point of the face is a point.
        let given = unsafe { slice(points.cast::<Point>(), count) }
            .ok_or_else(|| format!("{count} points at an address where so many can't be"))?;
        for point in given {
            if !state.metrics.contains(&point.metric.0) {
                return Err(format!(
                    "a point of metric {}, which it has not defined",
                    point.metric.0
                ));
            }
            if !state.subjects.contains(&point.subject.0) {
                return Err(format!(
                    "a point of subject {}, which it has not defined",
                    point.subject.0
                ));
            }
        }
        // SAFETY: it is there only while `with_stream` holds it for us, on this thread.
        unsafe { taken.as_mut() }.extend_from_slice(given);
        Ok(())
    };
    // SAFETY: the face's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn event(context: *mut c_void, event: *const abi::Event) -> i32 {
    let work = |state: &mut State| {
        // SAFETY: a record begins with its size and may be read as far as that.
        let event = unsafe { read_grown(event) }.map_err(|error| error.0)?;
        kind("an event", event.kind, abi::RECORD_EVENT)?;
        // SAFETY: the face's promise.
        let mut event =
            unsafe { event_from_c(&event) }.map_err(|error| format!("an event with {error}"))?;
        if let Some(subject) = event.subject
            && !state.subjects.contains(&subject.0)
        {
            return Err(format!("an event of subject {}, which it has not defined", subject.0));
        }
        // Which sampler tells it, the host knows better.
        event.sampler = None;
        let stream = state.stream("an event")?;
        if event.t > stream.now() {
            return Err(format!("an event at {} ns, which has yet to come", event.t));
        }
        stream.event(event);
        Ok(())
    };
    // SAFETY: the face's promise.
    unsafe { serve(context, work) }
}

unsafe extern "C" fn held(context: *mut c_void, nanoseconds: u64) -> i32 {
    let work = |state: &mut State| {
        if state.points.is_none() {
            return Err("a time for which the target was held up, outside of sample".to_owned());
        }
        let time = Duration::from_nanos(nanoseconds);
        state.held = Some(state.held.unwrap_or_default().saturating_add(time));
        Ok(())
    };
    // SAFETY: the face's promise.
    unsafe { serve(context, work) }
}
