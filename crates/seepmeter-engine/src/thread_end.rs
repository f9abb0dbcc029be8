//! Whether somebody's thread does nothing more, however that came.

use std::sync::atomic::{AtomicBool, Ordering};

use seepmeter_process::set_if_out_of_memory;

/// Set once a thread does nothing more: its work is over, a plugin has called exit(3) on it, or it has found
/// no memory. In the last two cases the thread drops nothing, and channels of it stay open: who waits for
/// it must ask here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadEndFlag(&'static AtomicBool);

impl ThreadEndFlag {
    /// One for a thread that is to be made. Its byte is never freed: a thread may set it at the very end.
    pub(crate) fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    pub(crate) fn set(self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// To be called on the thread itself, which is gone when what is returned is dropped.
    pub(crate) fn at_end_of_thread(self) -> ThreadEndGuard {
        set_if_out_of_memory(self.0);
        ThreadEndGuard(self)
    }
}

/// Sets it when it is dropped.
#[derive(Debug)]
pub(crate) struct ThreadEndGuard(ThreadEndFlag);

impl Drop for ThreadEndGuard {
    fn drop(&mut self) {
        self.0.set();
    }
}
