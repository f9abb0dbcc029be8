//! The types of CPython's objects, of as many versions as this machine has.

#![allow(clippy::print_stderr, reason = "a test says which versions it has run with")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use seepmeter_heap::{BlockClass, BlockName, Census, Limits, PythonBlock, Reachability};
use seepmeter_snapshot::{Snapshot, SnapshotOptions};

use crate::support::Outcome;

/// A Python that has listed its objects.
struct Python {
    child: Child,
    /// By address.
    objects: BTreeMap<u64, String>,
}

impl Python {
    fn start(program: &PathBuf) -> Result<Self, Box<dyn Error>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/types.py");
        let mut command = Command::new(program);
        command.args(["-I", script]).env_remove("PYTHONMALLOC");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut objects = BTreeMap::new();
        for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
            let line = line?;
            let Some((address, name)) = line.split_once(' ') else { break };
            objects.insert(u64::from_str_radix(address, 16)?, name.to_owned());
        }
        let python = Self { child, objects };
        let call = format!("/proc/{}/syscall", python.child.id());
        while !std::fs::read_to_string(&call)?.starts_with("0 0x0 ") {
            std::thread::yield_now();
        }
        Ok(python)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreters that there are: on the PATH, and those of pyenv.
fn interpreters() -> BTreeMap<String, PathBuf> {
    let mut candidates: Vec<PathBuf> = vec!["python3".into(), "/usr/bin/python3".into()];
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let folders = root.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    candidates
        .extend(folders.into_iter().flatten().flatten().map(|it| it.path().join("bin/python3")));
    let print = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)";
    let version = |program: PathBuf| {
        let output = Command::new(&program).args(["-c", print]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (version, program) = text.trim().split_once(' ')?;
        Some((version.to_owned(), PathBuf::from(program)))
    };
    let all = candidates.into_iter().filter_map(version);
    let minor = |version: &str| version.strip_prefix("3.")?.parse::<u32>().ok();
    all.filter(|(version, _)| minor(version).is_some_and(|it| (8..=14).contains(&it))).collect()
}

fn expect_types(version: &str, program: &PathBuf) -> Outcome {
    let python = Python::start(program)?;
    let snapshot = Snapshot::take(python.child.id().cast_signed(), SnapshotOptions::default())?;
    let image = snapshot.image();
    let census = Census::take(&image, &Limits::default())?;
    let marks = census.mark(&image)?;
    let mut blocks = HashMap::new();
    let (mut unreachable, mut count) = (0, 0);
    for block in census.blocks() {
        count += 1;
        unreachable += u32::from(marks.of(&block) == Reachability::Unreachable);
        for offset in [0, 16, 32] {
            blocks.insert(block.address + offset, (offset, block));
        }
    }
    let (mut right, mut wrong, mut in_data) = (0, Vec::new(), 0);
    for (address, name) in &python.objects {
        // Where another block begins, that one counts.
        let block = blocks.get(address).filter(|(offset, block)| offset + 16 <= block.size);
        let found = block.and_then(|(_, block)| census.python_block(block));
        match found {
            Some(PythonBlock::Object(it)) if census.python_type(it) == name => right += 1,
            // Static objects are in no block.
            None if block.is_none() => in_data += 1,
            other => wrong.push((name, *address, other, block)),
        }
    }
    eprintln!(
        "Python {version}: {right} right, {} wrong, {in_data} in no block, {unreachable} of {count} unreachable",
        wrong.len()
    );
    assert!(right > 10_000 && in_data * 3 < right, "{right}, {in_data}");
    assert!(
        wrong.is_empty(),
        "{version}: {} are wrong: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(9)]
    );
    // A false claim would be one of a block that the program uses.
    assert!(unreachable * 1000 <= count, "{version}: {unreachable} of {count}");
    let classes = BlockClass::all(&census, Some(&marks));
    let class = |name: &BlockName| classes.iter().find(|class| class.name == *name);
    let rows = class(&BlockName::PythonObject("__main__.Row".to_owned())).ok_or("no Row")?;
    assert!(rows.count >= 500, "{rows:?}");
    assert!(class(&BlockName::PythonBuffer("dict".to_owned())).is_some());
    Ok(())
}

#[test]
fn every_object_of_python_has_its_type_in_all_versions_that_there_are() -> Outcome {
    let interpreters = interpreters();
    assert!(!interpreters.is_empty(), "this test needs a Python 3.8 to 3.14");
    for (version, program) in &interpreters {
        expect_types(version, program)?;
    }
    for minor in (8..=14).map(|minor| format!("3.{minor}")) {
        if !interpreters.contains_key(&minor) {
            eprintln!("NOT RUN: types of Python {minor}: there is none here");
        }
    }
    Ok(())
}
