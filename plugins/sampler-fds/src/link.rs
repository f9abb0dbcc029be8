//! What a link in /proc/PID/fd means.

use seepmeter_plugin::record::DescriptorKind;

/// What a descriptor is open on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    pub(crate) kind: DescriptorKind,
    /// What several of a kind may have in common; none if each has a number of its own.
    pub(crate) name: Option<&'a [u8]>,
}

impl<'a> Link<'a> {
    /// Reads a link of the kernel's (fs/d_path.c; fs/anon_inodes.c, net/socket.c, fs/pipe.c):
    ///
    /// ```text
    /// /var/log/shop.log            a path, and ` (deleted)` behind that of a file that was removed
    /// /memfd:NAME (deleted)
    /// socket:[NUMBER]
    /// pipe:[NUMBER]
    /// anon_inode:[eventfd]         without brackets of inotify and of a few others
    /// net:[NUMBER]                 a namespace
    /// (unreachable)/some/path      on a file system that is not mounted any more
    /// ```
    pub(crate) fn parse(link: &'a [u8]) -> Self {
        if let Some(name) = link.strip_prefix(b"/memfd:") {
            let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
            return Self { kind: DescriptorKind::Memfd, name: Some(name) };
        }
        if link.first().is_none_or(|first| [b'/', b'('].contains(first)) {
            return Self { kind: DescriptorKind::File, name: Some(link) };
        }
        if let Some(name) = link.strip_prefix(b"anon_inode:") {
            return Self::anonymous(name);
        }
        let colon = link.iter().position(|byte| *byte == b':').unwrap_or(link.len());
        let name = &link[..colon];
        match name {
            b"socket" => Self { kind: DescriptorKind::Socket, name: None },
            b"pipe" => Self { kind: DescriptorKind::Pipe, name: None },
            _ => Self { kind: DescriptorKind::Anonymous, name: Some(name) },
        }
    }

    fn anonymous(name: &'a [u8]) -> Self {
        let bare = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
        let kind = match bare.unwrap_or(name) {
            b"eventfd" => DescriptorKind::Eventfd,
            b"eventpoll" => DescriptorKind::Epoll,
            b"inotify" => DescriptorKind::Inotify,
            b"timerfd" => DescriptorKind::Timerfd,
            b"signalfd" => DescriptorKind::Signalfd,
            other => return Self { kind: DescriptorKind::Anonymous, name: Some(other) },
        };
        Self { kind, name: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Case = (&'static [u8], DescriptorKind, Option<&'static [u8]>);

    #[test]
    fn each_link_that_kernels_write_has_its_kind_and_its_name() {
        let cases: [Case; 17] = [
            (b"/var/log/shop.log", DescriptorKind::File, Some(b"/var/log/shop.log")),
            (b"/tmp/x (deleted)", DescriptorKind::File, Some(b"/tmp/x (deleted)")),
            (b"(unreachable)/x", DescriptorKind::File, Some(b"(unreachable)/x")),
            (b"/dev/null", DescriptorKind::File, Some(b"/dev/null")),
            (b"/memfd:pool (deleted)", DescriptorKind::Memfd, Some(b"pool")),
            (b"socket:[8412]", DescriptorKind::Socket, None),
            (b"pipe:[77]", DescriptorKind::Pipe, None),
            (b"anon_inode:[eventfd]", DescriptorKind::Eventfd, None),
            (b"anon_inode:[eventpoll]", DescriptorKind::Epoll, None),
            (b"anon_inode:inotify", DescriptorKind::Inotify, None),
            (b"anon_inode:[timerfd]", DescriptorKind::Timerfd, None),
            (b"anon_inode:[signalfd]", DescriptorKind::Signalfd, None),
            (b"anon_inode:[io_uring]", DescriptorKind::Anonymous, Some(b"io_uring")),
            (b"anon_inode:bpf-map", DescriptorKind::Anonymous, Some(b"bpf-map")),
            (b"pidfd:[4321]", DescriptorKind::Anonymous, Some(b"pidfd")),
            (b"net:[4026531840]", DescriptorKind::Anonymous, Some(b"net")),
            (b"/odd\xff\n:[7]", DescriptorKind::File, Some(b"/odd\xff\n:[7]")),
        ];
        for (link, kind, name) in cases {
            assert_eq!(Link::parse(link), Link { kind, name });
        }
    }

    proptest! {
        #[test]
        fn any_link_has_a_kind(link: Vec<u8>) {
            let parsed = Link::parse(&link);
            prop_assert!(DescriptorKind::KNOWN.contains(&parsed.kind));
        }
    }
}
