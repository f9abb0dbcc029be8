//! What the host knows of a loaded instance.
//!
//! Each instance has a [`Context`] of its own, which lives until exit: a plugin that calls back when it
//! should not finds it there, and is refused.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::unistd::{Pid, gettid};
use seepmeter_plugin::c_abi::{EINVAL, EPERM, abi, result_of};
use seepmeter_plugin::{Error, SampleFacts, Stream};
use seepmeter_record::Points;

use super::known::KnownNumbers;
use super::{CallName, LoadedName, host_calls, in_call};
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
    /// Its library.
    library: LoadedName,
    notices: Notices,
    warnings: AtomicU32,
    /// Touched by the owner alone.
    state: RefCell<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// There for the time of a call into the instance.
    stream: Option<NonNull<dyn Stream>>,
    /// There for the time of `sample`.
    points: Option<NonNull<Points>>,
    pub(super) facts: SampleFacts,
    /// The last error that the instance has reported.
    error: Option<String>,
    /// Why the first record of it that was refused was.
    refusal: Option<String>,
    pub(super) known: KnownNumbers,
}

impl Context {
    /// A context for an instance that this thread owns, and the table for it. Both live until exit.
    pub(super) fn leak(
        name: &str,
        library: LoadedName,
        notices: &Notices,
    ) -> (&'static Self, *const abi::InstanceHost) {
        let context: &'static Self = Box::leak(Box::new(Self {
            owner: gettid(),
            called_from_elsewhere: AtomicBool::new(false),
            name: name.to_owned(),
            library,
            notices: notices.clone(),
            warnings: AtomicU32::new(0),
            state: RefCell::default(),
        }));
        (context, Box::leak(Box::new(host_calls::table(context))))
    }

    /// The instance has said something to the user.
    pub(super) fn message(&self, level: u32, text: String) {
        if level == abi::LEVEL_ERROR {
            if let Ok(mut state) = self.state.try_borrow_mut() {
                state.error = Some(text);
            }
            return;
        }
        match self.warnings.fetch_add(1, Ordering::Relaxed) {
            0..MOST_WARNINGS => (self.notices)(&format!("{}: {text}", self.name)),
            MOST_WARNINGS => {
                (self.notices)(&format!("{}: further messages are not shown", self.name));
            }
            _ => {}
        }
    }

    /// Nanoseconds since the stream's start; 0 if no call that may write to the stream is running.
    pub(super) fn now(&self) -> u64 {
        let Ok(mut state) = self.state.try_borrow_mut() else { return 0 };
        state.stream("").map_or(0, |stream| stream.now())
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
        let code = self.in_call(name, call);
        {
            let mut state = self.state.borrow_mut();
            state.stream = None;
            state.points = None;
            state.known.forget_ended();
        }
        self.result(name, code)
    }

    /// Makes a call into the instance, and says how it went.
    pub(super) fn call(
        &self,
        name: &'static str,
        call: impl FnOnce() -> i32,
    ) -> Result<i32, Error> {
        let code = self.in_call(name, call);
        self.result(name, code)
    }

    /// Makes a call into the instance. If it does not come back, this call is named.
    pub(super) fn in_call<R>(&self, name: &'static str, call: impl FnOnce() -> R) -> R {
        in_call(self.library, CallName::Of(name), call)
    }

    /// What the result of the call of this name means. `wait` alone has a result of its own.
    pub(super) fn result(&self, name: &'static str, code: i32) -> Result<i32, Error> {
        let (error, refusal) = {
            let mut state = self.state.borrow_mut();
            (state.error.take(), state.refusal.take())
        };
        if self.called_from_elsewhere.load(Ordering::Relaxed) {
            return Err(Error::failed(
                "it called the host from another thread; a plugin must call the host from the thread that calls the plugin",
            ));
        }
        if let Some(refusal) = refusal {
            return Err(Error::failed(format!("the host refused a record: {refusal}")));
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
pub(super) unsafe fn enter<'a>(context: *mut c_void) -> Option<&'a Context> {
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
pub(super) unsafe fn serve(
    context: *mut c_void,
    work: impl FnOnce(&mut State) -> Result<(), String>,
) -> i32 {
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

impl State {
    pub(super) fn stream(&mut self, what: &str) -> Result<&mut dyn Stream, String> {
        match self.stream {
            // SAFETY: it is there only while `call_with_stream` holds it for us, on this thread.
            Some(mut stream) => Ok(unsafe { stream.as_mut() }),
            None => Err(format!("{what} outside of a sampler's calls from start to stop")),
        }
    }

    /// Makes sure that `sample` is running.
    pub(super) fn in_sample(&self, what: &str) -> Result<(), String> {
        self.points.map(drop).ok_or_else(|| format!("{what} outside of sample"))
    }

    /// The points of the sample that is running.
    pub(super) fn points(&mut self) -> Result<&mut Points, String> {
        match self.points {
            // SAFETY: it is there only while `call_with_stream` holds it for us, on this thread.
            Some(mut points) => Ok(unsafe { points.as_mut() }),
            None => Err("points outside of sample".to_owned()),
        }
    }
}
