//! Which plugin a thread is in, for a call that never comes back: a crash names the plugin and the call, and
//! exit(3) ends the plugin's thread instead of the process, so that the target's status still comes
//! through.

use std::cell::Cell;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use libc::{c_int, c_void, siginfo_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use nix::unistd::{getpid, gettid};
use seepmeter_process::FinalMessage;

use crate::Notices;

/// A library's file as a message shows it. Lives until exit, as the library does.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadedName(&'static str);

impl LoadedName {
    pub(super) fn of_file(path: &Path) -> Self {
        let name = seepmeter_record::Bytes::from(path.as_os_str().as_encoded_bytes()).to_string();
        Self(name.leak())
    }
}

/// A call into a library.
#[derive(Clone, Copy, Debug)]
pub(super) enum CallName {
    /// Its constructors, and its entry.
    Load,
    /// A call of its table.
    Of(&'static str),
}

impl CallName {
    /// The parts of "in its call …", so that a handler of signals can put them together.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Load => ["while it was loaded", "", ""],
            Self::Of(name) => ["in its call `", name, "`"],
        }
    }
}

type Departure = &'static dyn Fn(&str);

thread_local! {
    // Neither has a destructor or is made at its first use: a handler of signals may read them.
    static CALL: Cell<Option<(LoadedName, CallName)>> = const { Cell::new(None) };
    static DEPARTURE: Cell<Option<Departure>> = const { Cell::new(None) };
}

/// Makes a call into a library. If it does not come back, it is named.
pub(super) fn in_call<R>(library: LoadedName, name: CallName, call: impl FnOnce() -> R) -> R {
    let before = CALL.replace(Some((library, name)));
    let result = call();
    CALL.set(before);
    result
}

/// What is to be done, with the reason, if a plugin calls exit(3) on this thread, which then never goes on.
pub(crate) fn at_departure(depart: impl Fn(&str) + 'static) {
    DEPARTURE.set(Some(Box::leak(Box::new(depart))));
}

/// Where plugins that exit on a thread of their own are reported. There if a library was to be loaded.
static NOTICES: OnceLock<Notices> = OnceLock::new();

/// Before a library is loaded: its crashes are named, and its exit(3) is none.
pub(super) fn watch_over_plugins(notices: &Notices) -> io::Result<()> {
    if NOTICES.set(notices.clone()).is_ok() {
        name_crashes()?;
    }
    // What is registered last runs first, before a plugin's own handlers take apart what it still needs.
    // SAFETY: the function neither unwinds nor needs anything that an exit takes away.
    match unsafe { libc::atexit(stay) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Runs in exit(3). Seepmeter itself ends by _exit(2), and a panic of its main thread on that thread.
extern "C" fn stay() {
    if gettid() == getpid() {
        return;
    }
    match (CALL.get(), DEPARTURE.get()) {
        (Some((_, name)), Some(depart)) => {
            let call = name.words().concat();
            depart(&format!("it called exit {call}; a plugin must return an error instead"));
        }
        _ => {
            if let Some(notices) = NOTICES.get() {
                notices("a plugin called exit on a thread of its own, which was stopped");
            }
        }
    }
    loop {
        thread::park();
    }
}

/// Writes out what plugins have written to streams of C, which exit(3) would do. One that blocks is not
/// waited for.
pub fn flush_plugins() {
    const LIMIT: Duration = Duration::from_millis(500);
    if NOTICES.get().is_none() {
        return;
    }
    let (sender, flushed) = bounded::<()>(0);
    let flush = move || {
        // SAFETY: null means all streams.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        drop(sender);
    };
    if thread::Builder::new().name("flush".to_owned()).spawn(flush).is_ok() {
        let _ = flushed.recv_timeout(LIMIT);
    }
}

/// How long the message waits for somebody to read it.
const MOMENT: Duration = Duration::from_millis(100);

const CRASHES: [Signal; 5] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT];

/// What these signals did before.
static BEFORE: [OnceLock<SigAction>; CRASHES.len()] = [const { OnceLock::new() }; CRASHES.len()];

fn name_crashes() -> io::Result<()> {
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(crashed), flags, SigSet::empty());
    for (signal, before) in CRASHES.into_iter().zip(&BEFORE) {
        // SAFETY: the handler calls async-signal-safe functions only.
        let was = unsafe { sigaction(signal, &action) }?;
        if matches!(was.handler(), SigHandler::SigIgn) {
            // The target finds it ignored too.
            // SAFETY: what was set before.
            unsafe { sigaction(signal, &was) }?;
        }
        let _ = before.set(was);
    }
    Ok(())
}

/// Names the plugin, and lets the signal do what it did before: a core dump, mostly.
extern "C" fn crashed(number: c_int, info: *mut siginfo_t, _: *mut c_void) {
    let Ok(signal) = Signal::try_from(number) else { return };
    // Taken, since a handler that was there before may crash in its turn.
    if let Some((library, name)) = CALL.take() {
        let [before, call, after] = name.words();
        let mut line = FinalMessage::default();
        let signal = signal.as_str();
        // A line that is too long is cut.
        let _ = write!(
            line,
            "seepmeter: the plugin {library} crashed {before}{call}{after} ({signal}) and takes seepmeter with it; the target is left running; leave the plugin out, or ask its author",
            library = library.0,
        );
        line.print(MOMENT);
    }
    let place = CRASHES.iter().position(|crash| *crash == signal);
    let before = place.and_then(|place| BEFORE[place].get().copied());
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: what was set before, or the default.
    let _ = unsafe { sigaction(signal, &before.unwrap_or(default)) };
    // SAFETY: the kernel hands over a valid siginfo.
    let sent = unsafe { (*info).si_code } <= 0;
    if sent {
        // A fault comes again by itself; what was sent, as by abort(3), does not.
        let _ = raise(signal);
    }
}
