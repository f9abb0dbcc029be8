//! The sink `stacks`: in which stacks threads were sampled, as the folded lines that flame-graph tools
//! read.
//!
//! One line for each stack: its functions from the outermost to the innermost with semicolons between
//! them, the thread's name before them, and a number behind.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use seepmeter_plugin::{Error, OptionValue, Sink, options};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    Bytes, CurrentValues, Event, Frame, Metric, Record, Sample, SamplerId, StackDefinitions,
    StackId, Subject, SubjectId, SubjectKind, Unit,
};

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
    values: CurrentValues,
    definitions: StackDefinitions,
    /// Which sampler samples stacks: its samples are counted.
    sampler: Option<SamplerId>,
    /// The threads that have not ended.
    threads: HashMap<SubjectId, Thread>,
    /// What is mapped from stacks of processes that have not ended.
    mapped: HashMap<SubjectId, MappedStack>,
    /// The weights of threads and processes that have ended.
    ended: BTreeMap<Line, u64>,
}

/// What makes a line: the name of a thread, if it is of one, and a stack.
type Line = (Option<Bytes>, StackId);

struct Thread {
    subject: Arc<Subject>,
    /// Its stack when it was last sampled, and when that was.
    stack: StackId,
    sampled: u64,
    weights: BTreeMap<StackId, u64>,
}

struct MappedStack {
    process: Option<SubjectId>,
    stack: StackId,
    bytes: u64,
}

impl OutputSink for Stacks {
    const NAME: &'static str = "stacks";
    const ABOUT: &'static str = "writes the stacks of threads, as folded lines for flame graphs";
    type Options = StacksOptions;

    fn destination(options: &StacksOptions) -> Result<Destination, Error> {
        Ok(Destination::of(Some(&options.path)))
    }

    fn new(options: StacksOptions, output: Output) -> Result<Self, Error> {
        Ok(Self {
            weight: options.weight,
            output,
            values: CurrentValues::default(),
            definitions: StackDefinitions::default(),
            sampler: None,
            threads: HashMap::new(),
            mapped: HashMap::new(),
            ended: BTreeMap::new(),
        })
    }
}

impl Sink for Stacks {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.values.apply(record);
        self.definitions.apply(record);
        match record {
            Record::Sample(sample) => self.apply_sample(sample),
            Record::Event(event) if event.kind.ends_subject() => self.end(event),
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let is_needed = |metric: &Arc<Metric>| match self.weight {
            Weight::Mapped => {
                *metric.name == *metric::MAPPED.name && metric.subject_kind == SubjectKind::Stack
            }
            Weight::Samples => metric.unit == Unit::Stack,
        };
        if !self.values.metrics().any(is_needed) {
            return Err(Error::failed(
                "no stacks were sampled; sample with -s ptrace (for weight=mapped with -s ptrace,calls=memory,unsafe=yes)",
            ));
        }
        let lines = self.lines();
        self.output.print(|out| {
            lines.iter().try_for_each(|(stack, weight)| {
                out.write_all(stack)?;
                writeln!(out, " {weight}")
            })
        })?;
        self.output.flush()
    }
}

impl Stacks {
    fn apply_sample(&mut self, sample: &Sample) {
        let Self { values, threads, mapped, sampler, .. } = self;
        for point in values.points(sample) {
            let subject = point.subject;
            if point.metric.unit == Unit::Stack && subject.kind == SubjectKind::Thread {
                *sampler = Some(sample.sampler);
                let Ok(stack) = u32::try_from(point.value).map(StackId) else { continue };
                let thread = threads.entry(subject.id).or_insert_with(|| Thread {
                    subject: Arc::clone(subject),
                    stack,
                    sampled: sample.t,
                    weights: BTreeMap::new(),
                });
                (thread.stack, thread.sampled) = (stack, sample.t);
            } else if *point.metric.name == *metric::MAPPED.name
                && let Some(stack) = subject.get(attribute::STACK)
            {
                let bytes = u64::try_from(point.value).unwrap_or(0);
                let process = subject.parent;
                mapped.insert(subject.id, MappedStack { process, stack, bytes });
            }
        }
        if self.sampler == Some(sample.sampler) {
            self.count(sample);
        }
    }

    /// Counts a sample of stacks.
    fn count(&mut self, sample: &Sample) {
        if self.weight == Weight::Mapped {
            return;
        }
        for thread in self.threads.values_mut() {
            // A partial sample has not observed a thread that it has no point of.
            if sample.partial && thread.sampled != sample.t {
                continue;
            }
            add(&mut thread.weights, thread.stack, 1);
        }
    }

    /// A subject ends: nothing more is counted for it, and what was is kept by names alone.
    fn end(&mut self, event: &Event) {
        let Some(ended) = event.subject else { return };
        self.mapped.remove(&ended);
        if let Some(thread) = self.threads.remove(&ended) {
            add_thread(&mut self.ended, &thread);
        }
        let is_process = |subject: &Arc<Subject>| subject.kind == SubjectKind::Process;
        if !self.values.subject(ended).is_some_and(is_process) {
            return;
        }
        for (_, thread) in self.threads.extract_if(|_, it| it.subject.parent == Some(ended)) {
            add_thread(&mut self.ended, &thread);
        }
        // What it had mapped at its end.
        for (_, mapped) in self.mapped.extract_if(|_, it| it.process == Some(ended)) {
            add(&mut self.ended, (None, mapped.stack), mapped.bytes);
        }
    }

    /// The lines in their order, those that read alike taken together.
    fn lines(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut weights = self.ended.clone();
        self.threads.values().for_each(|thread| add_thread(&mut weights, thread));
        for mapped in self.mapped.values() {
            add(&mut weights, (None, mapped.stack), mapped.bytes);
        }
        let is_mapped = self.weight == Weight::Mapped;
        weights.retain(|(thread, _), weight| *weight > 0 && thread.is_none() == is_mapped);
        let mut lines = BTreeMap::new();
        for ((thread, stack), weight) in weights {
            let thread = thread.iter().map(|name| one_frame(name.as_bytes(), b'_'));
            let frames: Vec<Vec<u8>> = thread.chain(self.frames(stack)).collect();
            add(&mut lines, frames.join(&b';'), weight);
        }
        lines
    }

    /// The functions of a stack, the outermost first.
    fn frames(&self, stack: StackId) -> Vec<Vec<u8>> {
        let Some(stack) = self.definitions.stack(stack) else { return vec![b"[unknown]".to_vec()] };
        let why = stack.truncated.iter().map(|why| format!("[{why}]").into_bytes());
        let frames = self.definitions.frames(stack).rev().flat_map(|frame| self.functions(frame));
        why.chain(frames).map(|name| one_frame(&name, b':')).collect()
    }

    /// The functions at a frame's address, the outermost first; the address if none is known.
    fn functions(&self, frame: &Frame) -> Vec<Vec<u8>> {
        let outermost = match &frame.function {
            Some(function) => function.as_bytes().to_vec(),
            None => {
                let image = self.definitions.image(frame).map(|image| image.path.as_bytes());
                let path = image.unwrap_or(b"[jit]");
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
                [name, format!("+{:#x}", frame.address).as_bytes()].concat()
            }
        };
        let inlined = frame.inlined.iter().rev().map(|call| call.function.as_bytes().to_vec());
        std::iter::once(outermost).chain(inlined).collect()
    }
}

fn add<K: Ord>(weights: &mut BTreeMap<K, u64>, key: K, weight: u64) {
    let sum = weights.entry(key).or_default();
    *sum = sum.saturating_add(weight);
}

fn add_thread(weights: &mut BTreeMap<Line, u64>, thread: &Thread) {
    for (stack, weight) in &thread.weights {
        // A thread may have emptied its name, and a line that begins with a semicolon has no root.
        let name = &thread.subject.name;
        let name = if name.as_bytes().is_empty() { "[no name]".into() } else { name.clone() };
        add(weights, (Some(name), *stack), *weight);
    }
}

/// A name as one frame: a semicolon in it would end the frame, a newline the line.
fn one_frame(name: &[u8], instead: u8) -> Vec<u8> {
    let one = |&byte: &u8| if matches!(byte, b';' | b'\n') { instead } else { byte };
    Bytes::from(name.iter().map(one).collect::<Vec<u8>>()).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use seepmeter_record::{Attributes, FrameId, Image, ImageId, InlinedCall, Stack};

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
    fn nothing_is_kept_by_subject_of_threads_that_have_ended() {
        let mut stream = stream();
        let process = stream.target("work", 7);
        for t in 0..1000 {
            let worker = thread(&mut stream, process, "worker");
            stream.sample(2 * t, 1, &[(worker, "stack", 0)]);
            stream.event(2 * t + 1, Some(worker), seepmeter_record::EventKind::Gone {});
        }
        let folder = tempfile::tempdir().unwrap();
        let mut sink: Stacks = sink_at(&folder.path().join("out"), &[]);
        stream.records().iter().try_for_each(|record| sink.write(record)).unwrap();
        assert_eq!((sink.threads.len(), sink.ended.len()), (0, 1));
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
