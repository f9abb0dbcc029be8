//! The programs in C: the bare loop, and what is watched.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// Compiled into a folder that goes with this.
pub(crate) struct Programs {
    folder: TempDir,
}

impl Programs {
    pub(crate) fn compile() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for name in ["bare", "target"] {
            let source = sources.join(name).with_extension("c");
            let status = Command::new("cc")
                .args(["-O2", "-pthread", "-o"])
                .args([folder.path().join(name), source])
                .status()?;
            if !status.success() {
                return Err(format!("cc failed on {name}.c").into());
            }
        }
        Ok(Self { folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self, name: &str, words: &[&str]) -> Result<Activity, Box<dyn Error>> {
        let mut child = Command::new(self.path(name))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Activity { child, input, output })
    }
}

/// A program that answers a line for each line. It ends when this is dropped.
pub(crate) struct Activity {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Activity {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a program of the bench has ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn ask(&mut self) -> Result<String, Box<dyn Error>> {
        self.input.write_all(b"\n")?;
        self.line()
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
