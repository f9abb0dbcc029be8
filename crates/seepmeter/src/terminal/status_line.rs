//! The status line: the last line of the terminal that standard error is, rewritten in place.
//!
//! There is one terminal, so there is one status line in the process. Whoever else of seepmeter's writes to a
//! terminal pauses it: it is cleared, and drawn again below what was written. Drawing never waits: neither for
//! whoever writes just now, nor for a terminal that was stopped with Ctrl-S.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{getpgrp, tcgetpgrp};
use seepmeter_process::write_until;

/// To the line's begin, and what stands there is gone (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[K";

/// How long somebody who has to write waits for somebody else who writes: two lines in one are better than none.
const TURN: Duration = Duration::from_millis(100);

/// True while there is a status line.
static IN_USE: AtomicBool = AtomicBool::new(false);

static SCREEN: Mutex<Screen> = Mutex::new(Screen { line: None, mid_line: false });

/// What is known of the terminal.
#[derive(Debug)]
struct Screen {
    /// What stands in the status line.
    line: Option<String>,
    /// Others have written a part of a line, which must not be cleared.
    mid_line: bool,
}

impl Screen {
    /// Draws the line, or clears it if there is none to draw.
    fn draw(&self) {
        if !self.mid_line && in_foreground() {
            let text = format!("{CLEAR}{}", self.line.as_deref().unwrap_or_default());
            // What can't be drawn now is drawn next time.
            let _ = write_until(io::stderr(), text.as_bytes(), Instant::now());
        }
    }

    fn clear(&self) {
        if self.line.is_some() && !self.mid_line && in_foreground() {
            let _ = write_until(io::stderr(), CLEAR.as_bytes(), Instant::now());
        }
    }
}

/// A job in the background does not draw on what others show.
fn in_foreground() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}

/// The status line while there is one. It is cleared when this is dropped.
#[derive(Debug)]
pub(crate) struct StatusLine(());

impl StatusLine {
    /// An empty one.
    pub(crate) fn new() -> Self {
        IN_USE.store(true, Ordering::Release);
        Self(())
    }

    /// Shows this from now on. It must fit into the terminal's width.
    pub(crate) fn show(&self, line: String) {
        // Whoever writes just now draws the line of before, which the next one replaces.
        if let Some(mut screen) = lock_until(Instant::now()) {
            screen.line = Some(line);
            screen.draw();
        }
    }

    /// Clears it until it is shown again.
    pub(crate) fn clear(&self) {
        if let Some(mut screen) = lock_until(Instant::now() + TURN) {
            screen.clear();
            screen.line = None;
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
        IN_USE.store(false, Ordering::Release);
    }
}

/// The status line is cleared, so that somebody can write; it is drawn again when this is dropped.
pub(crate) struct Pause(MutexGuard<'static, Screen>);

impl Pause {
    /// Makes room to write to `stream`, if there is a status line that it would mix with.
    pub(crate) fn before_writing_to(stream: &(impl AsFd + IsTerminal)) -> Option<Self> {
        if !IN_USE.load(Ordering::Acquire) || !stream.is_terminal() {
            return None;
        }
        let screen = lock_until(Instant::now() + TURN)?;
        screen.clear();
        Some(Self(screen))
    }

    /// This was written.
    pub(crate) fn wrote(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.0.mid_line = *last != b'\n';
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if self.0.line.is_some() {
            self.0.draw();
        }
    }
}

fn lock_until(deadline: Instant) -> Option<MutexGuard<'static, Screen>> {
    loop {
        match SCREEN.try_lock() {
            Ok(screen) => return Some(screen),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
}
