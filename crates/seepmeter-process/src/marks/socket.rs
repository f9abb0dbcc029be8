//! The socket to which marks can be sent.

use std::env;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::mkdtemp;

use super::SocketPlace;

/// The name of the socket in a folder of its own.
const NAME: &str = "marks";

/// A socket that only this user can send to.
#[derive(Debug)]
pub(super) struct MarkSocket {
    socket: UnixDatagram,
    path: PathBuf,
    /// The folder that was made for it.
    folder: Option<PathBuf>,
}

/// Why there can be no marks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkSocketError {
    /// Something has that path already.
    #[error("{} exists already; if no seepmeter uses it, remove it", .0.display())]
    Exists(PathBuf),
    /// The socket can't be there.
    #[error("cannot make the socket {}", path.display())]
    Bind {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No folder can be made for it.
    #[error("cannot make a folder for the socket in any of {}; set TMPDIR to a folder that can be written to", in_words(.0))]
    NoFolder(Vec<PathBuf>),
    /// What the system calls fail with.
    #[error("cannot make a way for marks")]
    System(#[from] io::Error),
}

fn in_words(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(", ")
}

impl MarkSocket {
    pub(super) fn bind(place: &SocketPlace) -> Result<Self, MarkSocketError> {
        match place {
            SocketPlace::At(path) => Self::bind_at(path.clone(), None),
            SocketPlace::Private => {
                let folder = private_folder()?;
                Self::bind_at(folder.join(NAME), Some(folder.clone()))
                    // What was made just now, and is empty.
                    .inspect_err(|_| drop(std::fs::remove_dir(&folder)))
            }
        }
    }

    fn bind_at(path: PathBuf, folder: Option<PathBuf>) -> Result<Self, MarkSocketError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let made = socket(AddressFamily::Unix, SockType::Datagram, flags, None);
        let made = made.map_err(io::Error::from)?;
        // The file gets this mode: net/unix/af_unix.c, unix_bind_bsd.
        fchmod(&made, Mode::S_IRUSR | Mode::S_IWUSR).map_err(io::Error::from)?;
        let bound = UnixAddr::new(&path).and_then(|address| bind(made.as_raw_fd(), &address));
        bound.map_err(|errno| match errno {
            nix::errno::Errno::EADDRINUSE => MarkSocketError::Exists(path.clone()),
            errno => MarkSocketError::Bind { path: path.clone(), source: errno.into() },
        })?;
        // It may be used from another folder.
        let path = std::path::absolute(&path).unwrap_or(path);
        // SAFETY: the descriptor is this socket's, and nobody else has it.
        let socket = unsafe { UnixDatagram::from_raw_fd(OwnedFd::into_raw_fd(made)) };
        Ok(Self { socket, path, folder })
    }

    pub(super) fn as_datagram(&self) -> &UnixDatagram {
        &self.socket
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be removed at the end: the file, and the folder, if it was made for it.
    pub(super) fn files(&self) -> io::Result<SocketFiles> {
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let folder = self.folder.as_deref().map(text).transpose()?;
        Ok(SocketFiles { file: text(&self.path)?, folder })
    }
}

/// The files of a socket.
#[derive(Debug)]
pub(super) struct SocketFiles {
    file: CString,
    folder: Option<CString>,
}

impl SocketFiles {
    /// Removes them. Async-signal-safe.
    pub(super) fn remove(&self) {
        // SAFETY: strings that end with NUL. What is gone already need not be removed.
        unsafe {
            libc::unlink(self.file.as_ptr());
            if let Some(folder) = &self.folder {
                libc::rmdir(folder.as_ptr());
            }
        }
    }
}

/// A new folder that nobody else can enter (0700), where this user's short-lived files belong.
fn private_folder() -> Result<PathBuf, MarkSocketError> {
    let given = ["XDG_RUNTIME_DIR", "TMPDIR"].map(env::var_os).into_iter().flatten();
    let folders = given.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folders: Vec<PathBuf> = folders.chain([PathBuf::from("/tmp")]).collect();
    let made = folders.iter().find_map(|folder| mkdtemp(&folder.join("seepmeter-XXXXXX")).ok());
    made.ok_or(MarkSocketError::NoFolder(folders))
}
