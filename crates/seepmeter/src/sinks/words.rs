//! What several sinks print in the same words.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use seepmeter_record::{End, EventKind};

/// `SIGTERM`; `signal 40` if it has no name.
pub(super) fn signal(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |name| name.to_string())
}

/// What became of a target.
pub(super) fn end(end: End) -> String {
    match end {
        End::Exited(status) => format!("exited with status {status}"),
        End::Killed(number) => match Signal::try_from(number) {
            Ok(name) => format!("killed by signal {number} ({name})"),
            Err(_) => format!("killed by signal {number}"),
        },
        End::Gone => "ended".to_owned(),
        End::Left => "still running".to_owned(),
        End::NotStarted(errno) => format!("not started: {}", Errno::from_raw(errno).desc()),
    }
}

/// What an event says of a target's end.
pub(super) fn end_of_event(kind: &EventKind) -> Option<End> {
    match kind {
        EventKind::Exited { status } => Some(End::Exited(*status)),
        EventKind::Killed { signal } => Some(End::Killed(*signal)),
        EventKind::Gone {} => Some(End::Gone),
        EventKind::Detached {} => Some(End::Left),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_without_a_name_is_called_by_its_number() {
        assert_eq!([signal(15), signal(40)], ["SIGTERM", "signal 40"]);
        assert_eq!(end(End::Killed(9)), "killed by signal 9 (SIGKILL)");
        assert_eq!(end(End::Killed(40)), "killed by signal 40");
    }
}
