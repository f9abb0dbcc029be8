//! The sink `jsonl`: the recording.

use std::io::Write;
use std::path::PathBuf;

use seepmeter_plugin::{Error, Plugin, Sink, options};
use seepmeter_record::{Record, jsonl};

use super::output::Output;

/// How hard to compress: the library's own default.
const LEVEL: i32 = 3;

options! {
    /// Options of the sink `jsonl`.
    pub struct JsonlOptions {
        /// The recording's file, compressed if its name ends in .zst; `-` is standard output.
        path: PathBuf = "-",
    }
}

/// The sink `jsonl`: writes the whole stream, one record a line, for `seepmeter replay`.
pub struct Jsonl {
    form: Form,
    path: String,
}

enum Form {
    Plain(Output),
    Compressed(zstd::Encoder<'static, Output>),
}

impl Plugin for Jsonl {
    const NAME: &'static str = "jsonl";
    const ABOUT: &'static str = "records the whole stream for replay, one record on each line";
    type Options = JsonlOptions;

    fn new(options: JsonlOptions) -> Result<Self, Error> {
        let output = Output::create(&options.path)?;
        let path = output.name().to_owned();
        let form = if options.path.extension().is_some_and(|end| end == "zst") {
            let encoder = zstd::Encoder::new(output, LEVEL)
                .map_err(|error| Error::io(format!("cannot compress {path}"), &error))?;
            Form::Compressed(encoder)
        } else {
            Form::Plain(output)
        };
        Ok(Self { form, path })
    }
}

impl Jsonl {
    fn cannot_write(&self, error: &std::io::Error) -> Error {
        Error::io(format!("cannot write to {}", self.path), error)
    }
}

impl Sink for Jsonl {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        match &mut self.form {
            Form::Plain(output) => jsonl::write_record(output, record),
            Form::Compressed(encoder) => jsonl::write_record(encoder, record),
        }
        .map_err(|error| self.cannot_write(&error))
    }

    /// Ends the compressor's block too, so that a recording whose writer is killed later is good up to
    /// here.
    fn flush(&mut self) -> Result<(), Error> {
        match &mut self.form {
            Form::Plain(output) => Write::flush(output),
            Form::Compressed(encoder) => encoder.flush(),
        }
        .map_err(|error| self.cannot_write(&error))
    }

    fn stop(&mut self) -> Result<(), Error> {
        if let Form::Compressed(encoder) = &mut self.form {
            encoder.do_finish().map_err(|error| self.cannot_write(&error))?;
        }
        self.flush()
    }
}
