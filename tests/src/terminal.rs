//! A terminal, as a person would sit at.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

impl Terminal {
    /// Ctrl-C.
    pub const CTRL_C: &[u8] = &[3];
    /// Ctrl-D.
    pub const CTRL_D: &[u8] = &[4];
    /// Ctrl-Z.
    pub const CTRL_Z: &[u8] = &[26];
    /// Ctrl-\.
    pub const CTRL_BACKSLASH: &[u8] = &[28];
}

/// The side of a pseudo-terminal where the person sits.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
}

impl Terminal {
    /// A new terminal, on which the command will lead a session of its own.
    pub(crate) fn new(command: &mut Command) -> Self {
        // Close-on-exec from the first, or programs that other tests start would keep it open.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let keyboard = posix_openpt(flags).expect("a pseudo-terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("a pseudo-terminal");
        let name = ptsname_r(&keyboard).expect("its name");
        let screen = open(name.as_str(), flags, Mode::empty()).expect("its other side");
        // What is typed does not come back, so that only what programs print is captured.
        let mut settings = tcgetattr(&screen).expect("its settings");
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&screen, SetArg::TCSANOW, &settings).expect("its settings");
        let other = || screen.try_clone().expect("a descriptor");
        command.stdin(other()).stdout(other()).stderr(other());
        // SAFETY: both are async-signal-safe system calls; descriptor 0 is the terminal by now.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            })
        };
        Self { keyboard: OwnedFd::from(keyboard).into() }
    }

    pub(crate) fn reader(&self) -> OwnedFd {
        self.keyboard.try_clone().expect("a descriptor").into()
    }

    pub(crate) fn type_keys(&mut self, keys: &[u8]) -> io::Result<()> {
        self.keyboard.write_all(keys)
    }
}
