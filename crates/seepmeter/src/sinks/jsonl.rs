//! The sink `jsonl`: the recording.

use std::io::{self, Write};
use std::path::PathBuf;

use seepmeter_plugin::{Error, Sink, options};
use seepmeter_record::jsonl::{Definitions, Misfit};
use seepmeter_record::{Event, EventKind, Record, StreamState, jsonl};

use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use crate::output_files::Limit;

/// How hard to compress: the library's own default.
const LEVEL: i32 = 3;

options! {
    /// Options of the sink `jsonl`.
    pub struct JsonlOptions {
        /// The recording's file, compressed if its name ends in .zst; `-` is standard output.
        path: PathBuf = "-",
        /// Go on in a new file at this size or after this time. The one before is renamed to PATH.1, an
        /// older one to PATH.2, and so on. Each can be read by itself.
        rotate: Option<Limit>,
        /// How many renamed files to keep.
        keep: u32 = "5",
        /// Open the file again after a SIGHUP, as logrotate asks for. Such a SIGHUP is not passed on.
        reopen: bool = "no",
    }
}

/// The sink `jsonl`: writes the whole stream, one record a line, for `seepmeter replay`.
pub struct Jsonl {
    form: Form,
    output: Output,
    path: String,
    /// What the part so far has defined.
    definitions: Definitions,
    /// What a new part of the recording begins with; none if there is only one part.
    state: Option<Box<StreamState>>,
}

enum Form {
    Plain(Output),
    Compressed(zstd::Encoder<'static, Output>),
}

impl Form {
    fn new(output: Output, compressed: bool) -> io::Result<Self> {
        Ok(match compressed {
            true => Self::Compressed(zstd::Encoder::new(output, LEVEL)?),
            false => Self::Plain(output),
        })
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        match self {
            Self::Plain(output) => jsonl::write_record(output, record),
            Self::Compressed(encoder) => jsonl::write_record(encoder, record),
        }
    }

    /// Ends the compressor's block too, so that a recording whose writer is killed later is good up to
    /// here.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => Write::flush(output),
            Self::Compressed(encoder) => encoder.flush(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Self::Compressed(encoder) = self {
            encoder.do_finish()?;
        }
        self.flush()
    }
}

impl OutputSink for Jsonl {
    const NAME: &'static str = "jsonl";
    const ABOUT: &'static str = "records the whole stream for replay, one record on each line";
    type Options = JsonlOptions;

    fn destination(options: &JsonlOptions) -> Result<Destination, Error> {
        let JsonlOptions { path, rotate, keep, reopen } = options;
        Destination::in_parts(path, *rotate, *keep, *reopen)
    }

    fn new(options: JsonlOptions, output: Output) -> Result<Self, Error> {
        let path = output.name().to_owned();
        let compressed = options.path.extension().is_some_and(|end| end == "zst");
        let form = Form::new(output.clone(), compressed)
            .map_err(|error| Error::io(format!("cannot compress {path}"), &error))?;
        let state = output.has_parts().then(Box::default);
        Ok(Self { form, output, path, definitions: Definitions::default(), state })
    }

    fn end_part(&mut self, next: u64) -> Result<(), Error> {
        let t = self.state.as_ref().map_or(0, |state| state.time());
        let event = Event::new(t, EventKind::ContinuedIn { part: next });
        let ended = self.form.write(&Record::Event(event)).and_then(|()| self.form.finish());
        ended.map_err(|error| self.cannot_write(&error))
    }

    fn is_over(&mut self) -> bool {
        self.state.as_mut().is_some_and(|state| state.is_over())
    }

    fn begin_part(&mut self, number: u64) -> Result<(), Error> {
        let Self { form, output, definitions, state, .. } = self;
        let Some(state) = state else { return Ok(()) };
        let from = Event::new(state.time(), EventKind::ContinuedFrom { part: number - 1 });
        let begun = Form::new(output.clone(), matches!(form, Form::Compressed(_)));
        let begun = begun.and_then(|new| {
            // The one before is finished, or what it was to finish is gone.
            *form = new;
            let mut records = state.records().into_iter();
            let header = records.next();
            let all = header.into_iter().chain([Record::Event(from)]).chain(records);
            *definitions = Definitions::default();
            all.into_iter().try_for_each(|record| {
                definitions.apply(&record).map_err(io::Error::other)?;
                form.write(&record)
            })
        });
        begun.map_err(|error| self.cannot_write(&error))
    }
}

impl Jsonl {
    fn cannot_write(&self, error: &io::Error) -> Error {
        Error::io(format!("cannot write to {}", self.path), error)
    }

    fn cannot_go_on(&self, misfit: Misfit) -> Error {
        let advice = match misfit {
            Misfit::TooMuch => {
                "; sample fewer stacks: of fewer threads (threads=) or less often (-i). What was written until now can be read"
            }
            _ => "",
        };
        Error::failed(format!("{} cannot go on: {misfit}{advice}", self.path))
    }
}

impl Sink for Jsonl {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.definitions.apply(record).map_err(|misfit| self.cannot_go_on(misfit))?;
        if let Some(state) = &mut self.state {
            state.apply(record);
        }
        self.form.write(record).map_err(|error| self.cannot_write(&error))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.form.flush().map_err(|error| self.cannot_write(&error))
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.form.finish().map_err(|error| self.cannot_write(&error))
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_record::jsonl::MOST_DEFINED;
    use seepmeter_record::{Frame, FrameId};

    use super::super::test_stream::{TestStream, sink_at};
    use super::*;

    const TEXT: usize = 1 << 20;

    fn frame(number: usize) -> Record {
        let frame = Frame {
            id: FrameId(u32::try_from(number).unwrap()),
            image: None,
            address: 0,
            function: Some("x".repeat(TEXT).into()),
            file: None,
            line: None,
            inlined: Vec::new(),
        };
        Record::Frame(frame.into())
    }

    /// Writes frames until one is refused: how many were taken, why no more, and how many can be read.
    fn write_frames(options: &[(&str, &str)]) -> (usize, String, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut sink: Jsonl = sink_at(&path, options);
        TestStream::of_two_samplers().records().iter().for_each(|it| sink.write(it).unwrap());
        let mut written = 0;
        let refused = loop {
            match sink.write(&frame(written)) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 2 * MOST_DEFINED / TEXT);
        };
        sink.flush().unwrap();
        let mut recording = jsonl::open(&path).unwrap();
        let records = std::iter::from_fn(|| recording.next_record().unwrap());
        let read = records.filter(|record| matches!(record, Record::Frame(_))).count();
        (written, refused.to_string(), read)
    }

    #[test]
    fn a_recording_that_no_reader_would_take_is_not_written_on_and_what_there_is_can_be_read() {
        for options in [&[][..], &[("rotate", "100h")]] {
            let (written, refused, read) = write_frames(options);
            assert_eq!(read, written, "{options:?}");
            assert!(written > 60, "{options:?}: {written}");
            assert!(refused.contains("its stacks"), "{refused}");
            assert!(refused.contains("sample fewer stacks"), "{refused}");
        }
    }
}
