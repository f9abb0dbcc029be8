//! What is kept is bounded, whatever comes and goes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seepmeter_symbols::{Images, MAX_IDLE_IMAGES, ProcessCode};
use tempfile::TempDir;

use crate::support::{build, source};

/// The maps of a process that has one library.
fn maps(library: &Path) -> Vec<u8> {
    let metadata = std::fs::metadata(library).unwrap();
    let (device, inode) = (metadata.dev(), metadata.ino());
    let (major, minor) = (libc::major(device), libc::minor(device));
    let path = library.display();
    let line = format!("10000-20000 r-xp 00001000 {major:x}:{minor:x} {inode} {path}\n");
    line.into_bytes()
}

fn library(build_id: &str) -> Option<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-O2", "-shared", "-fPIC", build_id];
    let library = build("cc", &source("library.c"), &folder.path().join("library.so"), &flags)?;
    Some((folder, library))
}

/// Samples a process that has `count` copies of a library, one after the other.
fn copies(library: &Path, count: usize) -> Images {
    let mut images = Images::new();
    let mut process = ProcessCode::new(i32::MAX, &mut images);
    for number in 0..count {
        let copy = library.with_extension(number.to_string());
        std::fs::copy(library, &copy).unwrap();
        let space = process.space(&maps(&copy), &mut images).unwrap();
        assert_eq!(space.unread().count(), 0, "every copy is read");
    }
    images
}

/// As Java's native libraries are: unpacked to a new file each time.
#[test]
fn copies_with_one_build_id_are_one_image() {
    let Some((_folder, library)) = library("-Wl,--build-id=sha1") else { return };
    assert_eq!(copies(&library, 300).len(), 1);
}

#[test]
fn files_that_nothing_tells_apart_are_forgotten_when_they_are_many() {
    let Some((_folder, library)) = library("-Wl,--build-id=none") else { return };
    let kept = copies(&library, 300).len();
    // The last two samples hold one each.
    assert!((MAX_IDLE_IMAGES..=MAX_IDLE_IMAGES + 2).contains(&kept), "{kept}");
}
