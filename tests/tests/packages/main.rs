//! What `cargo xtask dist` makes: the binary, the tar file, and the package for Debian.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
use object::{Endianness, elf};
use seepmeter_tests::plugin::{cdylib, repository};
use seepmeter_tests::{FinishedRun, long_or_not_run, not_run, run, words};

/// The newest version of glibc that anything in the binary may need.
const GLIBC: [u32; 2] = [2, 28];

/// The paths that it has made: the binary, the tar file and the package.
#[derive(Clone, Debug)]
struct Release {
    binary: PathBuf,
    tar: PathBuf,
    deb: PathBuf,
}

/// The release of this tree, made once; none, loudly, if it takes too long for now or zig can't be had.
fn release(test: &str) -> Option<Release> {
    static RELEASE: OnceLock<Option<Release>> = OnceLock::new();
    if !long_or_not_run(test) {
        return None;
    }
    let zig = Command::new(env!("CARGO")).args(["zigbuild", "--help"]).output().unwrap();
    if !zig.status.success() {
        not_run(test, "cargo-zigbuild is not installed: pip install cargo-zigbuild ziglang");
        return None;
    }
    if !on_path("dpkg-deb") {
        not_run(test, "there is no dpkg here");
        return None;
    }
    RELEASE.get_or_init(|| Some(make())).clone()
}

fn make() -> Release {
    // It takes as long as a release build does: no limit of the tests applies.
    let done = Command::new(env!("CARGO"))
        .args(["xtask", "dist"])
        .current_dir(repository("."))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{printed}\n{}", String::from_utf8_lossy(&done.stderr));
    let mut lines = printed.lines().filter(|line| line.contains(" MiB  "));
    let mut path = || PathBuf::from(lines.next().unwrap().split_once(" MiB  ").unwrap().1);
    Release { binary: path(), tar: path(), deb: path() }
}

fn on_path(program: &str) -> bool {
    run("sh", words!["-c", format!("command -v {program}")]).done().status.success()
}

/// The versions of glibc that a file needs, of all libraries together.
fn glibc_versions(file: &Path) -> BTreeSet<Vec<u32>> {
    let bytes = fs::read(file).unwrap();
    let parsed = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let (header, endian) = (parsed.elf_header(), parsed.endian());
    let sections = header.sections(endian, &*bytes).unwrap();
    let (mut needs, strings) =
        sections.gnu_verneed(endian, &*bytes).unwrap().expect("version needs");
    let strings = sections.strings(endian, &*bytes, strings).unwrap();
    let mut versions = BTreeSet::new();
    while let Some((_, mut auxiliaries)) = needs.next().unwrap() {
        while let Some(auxiliary) = auxiliaries.next().unwrap() {
            let name = auxiliary.name(endian, strings).unwrap();
            let name = std::str::from_utf8(name).unwrap();
            let number = |part: &str| part.parse().ok();
            if let Some(version) = name.strip_prefix("GLIBC_") {
                versions.insert(version.split('.').filter_map(number).collect());
            }
        }
    }
    versions
}

/// All files and links in a folder, by their paths below it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found
}

#[test]
fn the_binary_needs_no_newer_glibc_than_it_says_and_is_stripped() {
    let Some(Release { binary, .. }) = release("the version of glibc that a release needs") else {
        return;
    };
    let versions = glibc_versions(&binary);
    let newest = versions.last().expect("it is linked with glibc");
    assert!(newest[..] <= GLIBC[..], "{versions:?}");
    let bytes = fs::read(&binary).unwrap();
    let parsed = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let (header, endian) = (parsed.elf_header(), parsed.endian());
    let sections = header.sections(endian, &*bytes).unwrap();
    let kinds: Vec<_> = sections.iter().map(|section| section.sh_type(endian)).collect();
    assert!(!kinds.contains(&elf::SHT_SYMTAB), "it has a table of symbols");
    assert!(sections.section_by_name(endian, b".debug_info").is_none());
}

/// A program that is tried here must not depend on where it was built.
fn works(binary: &Path, place: &Path) -> FinishedRun {
    let done = run(binary, words!["run", "-q", "-s", "statm", "-s", "smaps", "--", "sleep", "0.2"])
        .in_folder(place)
        .env("LD_LIBRARY_PATH", "")
        .done()
        .expect(0);
    assert!(done.err().contains("verdict    inconclusive"), "{}", done.err());
    done
}

#[test]
fn the_tar_file_has_everything_and_works_wherever_it_is_unpacked() {
    let Some(Release { tar, .. }) = release("the tar file of a release") else { return };
    let place = tempfile::tempdir().unwrap();
    let _ = run("tar", words!["-xzf", tar, "--strip-components=1"])
        .in_folder(place.path())
        .done()
        .expect(0);
    let found = files(place.path());
    for file in [
        "bin/seepmeter",
        "include/seepmeter-plugin.h",
        "share/man/man1/seepmeter.1",
        "share/man/man1/seepmeter-run.1",
        "share/man/man1/seepmeter-scale.1",
        "share/bash-completion/completions/seepmeter",
        "share/zsh/vendor-completions/_seepmeter",
        "share/fish/vendor_completions.d/seepmeter.fish",
        "share/doc/seepmeter/README.md",
        "share/doc/seepmeter/CHANGELOG.md",
        "share/doc/seepmeter/LICENSE-APACHE",
        "share/doc/seepmeter/LICENSE-MIT",
        "share/doc/seepmeter/LICENSE-INTER",
        "share/doc/seepmeter/LICENSE-UPLOT",
        "share/doc/seepmeter/examples/sink-in-c/sink.c",
    ] {
        assert!(found.contains(file), "there is no {file}: {found:#?}");
    }
    let binary = place.path().join("bin/seepmeter");
    let _ = works(&binary, place.path());
    // A plugin that was built on this machine, in the folder beside.
    let plugins = place.path().join("lib/seepmeter/plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(cdylib("seepmeter-example-sampler"), plugins.join("seepmeter-open-files-sampler.so"))
        .unwrap();
    let done = run(&binary, words!["plugins"]).done().expect(0);
    for name in ["statm", "smaps", "ptrace", "open-files"] {
        assert!(done.out().contains(name), "{}", done.output());
    }
    let words =
        words!["run", "-q", "--no-summary", "-s", "open-files", "-o", "csv", "--", "sleep", "0.2"];
    let done = run(&binary, words).done().expect(0);
    assert!(done.out().contains("open_fds"), "{}", done.output());
}

/// A system with nothing but the library that the package needs.
fn scratch_system() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let architecture = run("dpkg", words!["--print-architecture"]).done().expect(0).out();
    let status = format!(
        "Package: libc6\nStatus: install ok installed\nMaintainer: nobody <n@example>\nArchitecture: {}\nVersion: 2.28-10\nDescription: the C library\n\n",
        architecture.trim()
    );
    fs::write(root.path().join("var/lib/dpkg/status"), status).unwrap();
    fs::write(root.path().join("var/lib/dpkg/available"), "").unwrap();
    symlink("/bin", root.path().join("bin")).unwrap();
    root
}

fn dpkg(root: &Path, arguments: &[&str]) -> FinishedRun {
    let root = format!("--root={}", root.display());
    let words = ["dpkg", &root, "--force-not-root", "--log=/dev/null"].into_iter();
    let words: Vec<&str> = words.chain(arguments.iter().copied()).collect();
    match nix::unistd::Uid::effective().is_root() {
        true => run(words[0], words[1..].iter().map(Into::into)),
        false => run("fakeroot", words.iter().map(Into::into)),
    }
    .done()
    .expect(0)
}

#[test]
fn the_package_installs_on_a_system_with_an_old_glibc_and_is_removed_without_a_trace() {
    let Some(Release { deb, .. }) = release("the package for Debian") else { return };
    if !nix::unistd::Uid::effective().is_root() && !on_path("fakeroot") {
        not_run("the package for Debian", "it needs root, or fakeroot");
        return;
    }
    let root = scratch_system();
    let ours = |root: &Path| -> BTreeSet<String> {
        files(root).into_iter().filter(|file| !file.starts_with("var/lib/dpkg/")).collect()
    };
    let before = ours(root.path());
    let _ = dpkg(root.path(), &["-i", deb.to_str().unwrap()]);
    let installed = ours(root.path());
    for file in [
        "usr/bin/seepmeter",
        "usr/include/seepmeter-plugin.h",
        "usr/share/man/man1/seepmeter-run.1.gz",
        "usr/share/doc/seepmeter/copyright",
        "usr/share/doc/seepmeter/changelog.gz",
        "usr/share/bash-completion/completions/seepmeter",
    ] {
        assert!(installed.contains(file), "there is no {file}: {installed:#?}");
    }
    let binary = root.path().join("usr/bin/seepmeter");
    let _ = works(&binary, root.path());
    let plugins = root.path().join("usr/lib/seepmeter/plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(cdylib("seepmeter-example-sampler"), plugins.join("seepmeter-open-files-sampler.so"))
        .unwrap();
    assert!(run(&binary, words!["plugins"]).done().expect(0).out().contains("open-files"));
    fs::remove_dir_all(root.path().join("usr/lib")).unwrap();
    let _ = dpkg(root.path(), &["-P", "seepmeter"]);
    assert_eq!(ours(root.path()), before);
    assert!(!root.path().join("usr/share/doc/seepmeter").exists());
}

#[test]
fn the_package_describes_itself_as_debian_asks_for() {
    let Some(Release { deb, .. }) = release("what the package says of itself") else { return };
    let done = run("dpkg-deb", words!["--info", deb]).done().expect(0);
    for line in ["Package: seepmeter", "Depends: libc6 (>= 2.28)", "Section: utils", "Maintainer: "]
    {
        assert!(done.out().contains(line), "{line}: {}", done.out());
    }
    let contents = run("dpkg-deb", words!["--contents", deb]).done().expect(0).out();
    assert!(contents.lines().all(|line| line.contains(" root/root ")), "{contents}");
    if !on_path("lintian") {
        not_run("lintian on the package", "it is not installed here");
        return;
    }
    let done = run("lintian", words!["--fail-on", "error", "--allow-root", deb]).done();
    assert!(done.status.success(), "{}", done.output());
}
