//! Where the hierarchies of cgroups are mounted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{CgroupVersion, Controller};

/// A cgroup hierarchy, as far as it is mounted here.
pub(super) struct Mount<'a> {
    pub(super) version: CgroupVersion,
    /// Of version 1: its controllers are among them.
    options: &'a [u8],
    /// The group that is mounted: not the root of the hierarchy in a container.
    pub(super) group: &'a Path,
    pub(super) at: PathBuf,
}

impl<'a> Mount<'a> {
    /// All hierarchies in the text of our own mountinfo.
    pub(super) fn all(mounts: &'a [u8]) -> impl Iterator<Item = Self> {
        mounts.split(|byte| *byte == b'\n').filter_map(Self::parse)
    }

    /// The same, those that account for memory first, version 2 before version 1.
    pub(super) fn memory_first(mounts: &'a [u8]) -> Vec<Self> {
        let mut mounts: Vec<Self> = Self::all(mounts).collect();
        mounts.sort_by_key(|mount| match mount.version {
            CgroupVersion::V2 => 0,
            CgroupVersion::V1 if mount.may_have(Controller::Memory) => 1,
            CgroupVersion::V1 => 2,
        });
        mounts
    }

    /// Reads a line of the kernel's (fs/proc_namespace.c, `show_mountinfo`), in whose paths a blank is
    /// `\040`; none if it is no hierarchy of cgroups. The fields before `-` may be more:
    ///
    /// ```text
    /// ID PARENT DEVICE ROOT PATH       OPTIONS             -  TYPE   SOURCE OPTIONS
    /// 30 23     0:26   /    /sys/fs/cg rw,nosuid shared:9  -  cgroup cgroup rw,memory
    /// ```
    fn parse(line: &'a [u8]) -> Option<Self> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = words.iter().position(|word| *word == b"-")?;
        let version = match *words.get(dash + 1)? {
            b"cgroup2" => CgroupVersion::V2,
            b"cgroup" => CgroupVersion::V1,
            _ => return None,
        };
        let options = words.get(dash + 3)?;
        let group = Path::new(OsStr::from_bytes(words.get(3)?));
        Some(Self { version, options, group, at: unescaped(words.get(4)?) })
    }

    /// True if it is known to have this controller; which ones version 2 has, its folders say.
    pub(super) fn may_have(&self, controller: Controller) -> bool {
        let mut options = self.options.split(|byte| *byte == b',');
        self.version == CgroupVersion::V2 || options.any(|option| option == controller.name())
    }

    /// The folder of a group; none if it is not under what is mounted here.
    pub(super) fn folder(&self, group: &Path) -> Option<(&Path, PathBuf)> {
        // Of a group outside of our cgroup namespace the kernel says `/../…`.
        let outside = group.components().any(|part| part == Component::ParentDir);
        let below = group.strip_prefix(self.group).ok().filter(|_| !outside)?;
        self.at.join(below).is_dir().then(|| (self.at.as_path(), below.to_owned()))
    }
}

/// A path in mountinfo, in which a blank, a tab, a newline and a backslash are octal numbers.
fn unescaped(path: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| first == b'\\' && digits.is_ascii());
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_in_a_mount_point_is_read() {
        assert_eq!(unescaped(b"/mnt/a\\040b\\134"), Path::new("/mnt/a b\\"));
        assert_eq!(unescaped(b"/mnt/a\\"), Path::new("/mnt/a\\"));
    }
}
