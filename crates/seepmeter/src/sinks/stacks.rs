//! The sink `stacks`: in which stacks threads were sampled, as the folded lines that flame-graph tools
//! read.
//!
//! One line for each stack: its functions from the outermost to the innermost with semicolons between
//! them, the thread's name before them, and a number behind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use seepmeter_plugin::{Error, OptionValue, Sink, options};
use seepmeter_record::{Bytes, ProfiledStack, Record, StackProfile, StackWeight};

use super::output::{Destination, Output};
use super::output_sink::OutputSink;

/// What the number behind a stack counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Samples in which a thread had this stack.
    Samples,
    /// Bytes of address space that were mapped from this stack and are mapped at the end.
    Mapped,
}

impl OptionValue for Weight {
    fn kind() -> String {
        "samples|mapped".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "samples" => Ok(Self::Samples),
            "mapped" => Ok(Self::Mapped),
            "growth" => Err("growth can't be given to the stacks that are sampled after it: the code that has \
                             taken the memory may be asleep by then; `-s ptrace,calls=memory,unsafe=yes` with \
                             `weight=mapped` follows that code, and `weight=samples` shows where threads were"
                .to_owned()),
            _ => Err(format!("`{text}` is not one of {}", Self::kind())),
        }
    }
}

options! {
    /// Options of the sink `stacks`.
    pub(crate) struct StacksOptions {
        /// The file to write to; `-` is standard output.
        path: PathBuf = "-",
        /// What to count: `samples` in which a thread had this stack, or `mapped`, the bytes of address space
        /// that were mapped from this stack and are mapped at the end.
        weight: Weight = "samples",
    }
}

/// The sink `stacks`.
pub struct Stacks {
    weight: Weight,
    output: Output,
    profile: StackProfile,
}

impl OutputSink for Stacks {
    const NAME: &'static str = "stacks";
    const ABOUT: &'static str = "writes the stacks of threads, as folded lines for flame graphs";
    type Options = StacksOptions;

    fn destination(options: &StacksOptions) -> Result<Destination, Error> {
        Ok(Destination::of(Some(&options.path)))
    }

    fn new(options: StacksOptions, output: Output) -> Result<Self, Error> {
        Ok(Self { weight: options.weight, output, profile: StackProfile::default() })
    }
}

impl Sink for Stacks {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.profile.apply(record);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let weight = match self.weight {
            Weight::Samples => StackWeight::Samples,
            Weight::Mapped => StackWeight::Mapped,
        };
        if !self.profile.has(weight) {
            return Err(Error::failed(
                "no stacks were sampled; sample with -s ptrace (for weight=mapped with -s ptrace,calls=memory,unsafe=yes)",
            ));
        }
        let lines = lines(self.profile.stacks(weight));
        self.output.print(|out| {
            lines.iter().try_for_each(|(stack, weight)| {
                out.write_all(stack)?;
                writeln!(out, " {weight}")
            })
        })?;
        self.output.flush()
    }
}

/// The lines in their order, those that read alike taken together.
fn lines(stacks: Vec<ProfiledStack>) -> BTreeMap<Vec<u8>, u64> {
    let mut lines = BTreeMap::new();
    for stack in stacks.into_iter().filter(|stack| stack.total > 0) {
        let thread = stack.thread.iter().map(|name| one_frame(name.as_bytes(), b'_'));
        let functions = stack.frames.iter().map(|name| one_frame(name.as_bytes(), b':'));
        let frames: Vec<Vec<u8>> = thread.chain(functions).collect();
        let sum: &mut u64 = lines.entry(frames.join(&b';')).or_default();
        *sum = sum.saturating_add(stack.total);
    }
    lines
}

/// A name as one frame: a semicolon in it would end the frame, a newline the line.
fn one_frame(name: &[u8], instead: u8) -> Vec<u8> {
    let one = |&byte: &u8| if matches!(byte, b';' | b'\n') { instead } else { byte };
    Bytes::from(name.iter().map(one).collect::<Vec<u8>>()).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use seepmeter_record::conventions::{attribute, metric};
    use seepmeter_record::{
        Attributes, Frame, FrameId, Image, ImageId, InlinedCall, Stack, StackId, SubjectId,
        SubjectKind,
    };

    use super::super::test_stream::{TestStream, output_of, sink_at};
    use super::*;

    fn frame(id: u32, function: Option<&str>, inlined: &[&str]) -> Record {
        let call = |name: &&str| InlinedCall { function: (*name).into(), file: None, line: None };
        let frame = Frame {
            id: FrameId(id),
            image: Some(ImageId(0)),
            address: 0x9f2d0,
            function: function.map(Into::into),
            file: None,
            line: None,
            inlined: inlined.iter().map(call).collect(),
        };
        Record::Frame(frame.into())
    }

    fn stack(id: u32, frames: &[u32], truncated: Option<&str>) -> Record {
        let frames = frames.iter().copied().map(FrameId).collect();
        let truncated = truncated.map(Into::into);
        Record::Stack(Stack { id: StackId(id), frames, truncated }.into())
    }

    /// Stack 0 is main;parse, stack 1 is main;sleep.
    fn stream() -> TestStream {
        let mut stream = TestStream::of_two_samplers();
        stream.metric(1, &metric::STACK.of(SubjectKind::Thread));
        stream.metric(1, &metric::MAPPED.of(SubjectKind::Stack));
        let path = "/lib/libc.so.6".into();
        stream.record(Record::Image(Image { id: ImageId(0), path, build_id: None }.into()));
        for (id, name) in (0..).zip(["main", "parse", "sleep"]) {
            stream.record(frame(id, Some(name), &[]));
        }
        stream.record(stack(0, &[1, 0], None));
        stream.record(stack(1, &[2, 0], None));
        stream
    }

    fn thread(stream: &mut TestStream, process: SubjectId, name: &str) -> SubjectId {
        stream.subject(Some(process), SubjectKind::Thread, name, Attributes::new())
    }

    fn mapped_stack(stream: &mut TestStream, process: SubjectId, stack: u32) -> SubjectId {
        let attributes = Attributes::new().with(attribute::STACK, StackId(stack));
        stream.subject(Some(process), SubjectKind::Stack, "a stack", attributes)
    }

    fn folded(weight: Weight, stream: &TestStream) -> String {
        let weight = match weight {
            Weight::Samples => "samples",
            Weight::Mapped => "mapped",
        };
        output_of::<Stacks>(&[("weight", weight)], stream.records())
    }

    #[test]
    fn samples_are_counted_by_thread_and_stack_while_the_thread_lives() {
        let mut stream = stream();
        let process = stream.target("work", 7);
        let worker = thread(&mut stream, process, "work;er");
        stream.sample(1, 1, &[(worker, "stack", 0)]);
        stream.sample(2, 1, &[]);
        stream.sample(2, 0, &[]);
        stream.sample(3, 1, &[(worker, "stack", 1)]);
        stream.event(4, Some(worker), seepmeter_record::EventKind::Gone {});
        stream.sample(5, 1, &[]);
        let nameless = thread(&mut stream, process, "");
        stream.sample(6, 1, &[(nameless, "stack", 0)]);
        let expected = "[no name];main;parse 1\nwork_er;main;parse 2\nwork_er;main;sleep 1\n";
        assert_eq!(folded(Weight::Samples, &stream), expected);
    }

    #[test]
    fn a_partial_sample_counts_only_the_threads_that_it_has_a_point_of() {
        let mut stream = stream();
        let process = stream.target("work", 7);
        let (one, two) = (thread(&mut stream, process, "one"), thread(&mut stream, process, "two"));
        stream.sample(1, 1, &[(one, "stack", 0), (two, "stack", 0)]);
        stream.sample(2, 1, &[(one, "stack", 0)]);
        stream.partial();
        assert_eq!(folded(Weight::Samples, &stream), "one;main;parse 2\ntwo;main;parse 1\n");
    }

    #[test]
    fn growth_is_no_weight_and_the_message_names_what_to_do_instead() {
        let error = Weight::parse("growth").unwrap_err();
        assert!(
            error.contains("calls=memory,unsafe=yes") && error.contains("weight=mapped"),
            "{error}"
        );
        assert_eq!(Weight::parse("x").unwrap_err(), "`x` is not one of samples|mapped");
    }

    #[test]
    fn what_a_stack_has_mapped_is_as_it_is_at_the_end_or_at_the_end_of_its_process() {
        let mut stream = stream();
        let (first, second) = (stream.target("first", 7), stream.target("second", 8));
        let parse = mapped_stack(&mut stream, first, 0);
        let sleep = mapped_stack(&mut stream, first, 1);
        let other = mapped_stack(&mut stream, second, 0);
        stream.sample(1, 1, &[(parse, "mapped", 4096), (sleep, "mapped", 8192)]);
        stream.sample(2, 1, &[(other, "mapped", 100), (sleep, "mapped", 0)]);
        stream.exit(3, first, 0);
        assert_eq!(folded(Weight::Mapped, &stream), "main;parse 4196\n");
    }

    #[test]
    fn inlined_calls_are_frames_and_what_is_not_known_is_said() {
        let mut stream = stream();
        stream.record(frame(3, Some("sum<[u8; 4]>"), &["add", "fold"]));
        stream.record(frame(4, None, &[]));
        stream.record(stack(2, &[4, 3], Some("cut")));
        let process = stream.target("work", 7);
        let worker = thread(&mut stream, process, "work");
        stream.sample(1, 1, &[(worker, "stack", 2)]);
        let expected = "work;[cut];sum<[u8: 4]>;fold;add;libc.so.6+0x9f2d0 1\n";
        assert_eq!(folded(Weight::Samples, &stream), expected);
    }

    #[test]
    fn a_stream_without_stacks_is_an_error_that_says_what_to_sample() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink: Stacks = sink_at(&folder.path().join("out"), &[]);
        let records = TestStream::of_two_samplers().records();
        records.iter().try_for_each(|record| sink.write(record)).unwrap();
        let error = sink.stop().unwrap_err().to_string();
        assert!(error.contains("no stacks") && error.contains("-s ptrace"), "{error}");
    }
}
