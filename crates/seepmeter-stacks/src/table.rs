//! The table of stacks: which images, frames and stacks were emitted.

use std::collections::HashMap;
use std::rc::Rc;

use seepmeter_plugin::Stream;
use seepmeter_plugin::record::{Event, EventKind, FrameId, ImageId, StackId};
use seepmeter_symbols::{
    ImageKey, ImageKind, Images, RawFrame, ResolvedFrame, StackCopy, StackEnd, UnwindFailure,
    UnwindRegisters,
};

use crate::definition::{StackKind, define_image, new_frame, omitted_frames};
use crate::target_code::TargetCode;

/// How many stacks are defined at most. All further ones are one stack, [`StackKind::Others`]: a program
/// that is in so many places is in none of them often.
pub const MAX_STACKS: usize = 20_000;

/// How many outermost frames a stack has at least, if frames of a deep recursion are left out.
pub const OUTERMOST_FRAMES: usize = 32;
/// How many innermost frames a stack has at least, if frames of a deep recursion are left out.
pub const INNERMOST_FRAMES: usize = 96;

/// How many raw frames are kept, of 24 bytes each, so that a stack is known again before it is named.
const MAX_RAW_FRAMES: usize = 250_000;

/// The stacks of all targets of one sampler: emits what is new. It is bounded by [`MAX_STACKS`].
#[derive(Default)]
pub struct StackTable {
    images: Images,
    raw: RawStacks,
    names: NameTable,
    image_ids: HashMap<ImageKey, ImageId>,
    frame_ids: HashMap<Rc<ResolvedFrame>, FrameId>,
    /// Of the frames that stand for so many omitted ones.
    omitted_ids: HashMap<usize, FrameId>,
    stack_ids: HashMap<Rc<StackKey>, StackId>,
    keys: HashMap<StackId, Rc<StackKey>>,
}

/// A sampled stack: which one it is, and how its frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampledStack {
    /// The stack.
    pub id: StackId,
    /// How unwinding it ended this time.
    pub end: StackEnd,
}

/// What makes two stacks the same.
#[derive(PartialEq, Eq, Hash)]
struct StackKey {
    kind: StackKind,
    /// How many frames are left out behind the innermost ones.
    omitted: usize,
    /// Numbers of function names, the innermost first.
    names: Box<[u32]>,
}

impl StackTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn images(&mut self) -> &mut Images {
        &mut self.images
    }

    /// The stack of a thread of the target. If it is new, it is named and emitted.
    pub fn stack(
        &mut self,
        code: &TargetCode,
        registers: &UnwindRegisters,
        copy: StackCopy<'_>,
        stream: &mut dyn Stream,
    ) -> SampledStack {
        let Some(space) = code.space() else {
            let end = StackEnd::Broken(UnwindFailure::NoCode { address: registers.ip });
            return SampledStack { id: self.intern(&[], StackKind::Unknown, stream), end };
        };
        let mut raw = Vec::new();
        let end = space.unwind(registers, copy, &mut raw);
        // The same frames may be cut once, and whole once.
        if let Some(id) = self.raw.get(&raw).filter(|_| end.is_whole()) {
            return SampledStack { id, end };
        }
        let resolve = |raw| space.resolve(raw, &mut self.images);
        let frames: Vec<Rc<ResolvedFrame>> = raw.iter().map(resolve).collect();
        let id = self.intern(&frames, end.into(), stream);
        // In generated code another function can lie at the same address tomorrow.
        if end.is_whole() && !frames.iter().any(is_generated) {
            self.raw.insert(raw, id);
        }
        SampledStack { id, end }
    }

    /// The functions of a stack for people, from the outermost to the innermost with semicolons between
    /// them; empty for an id that is not of this table.
    #[must_use]
    pub fn name(&self, id: StackId) -> String {
        let Some(key) = self.keys.get(&id) else { return String::new() };
        let why = key.kind.truncated().map(|why| format!("[{why}]"));
        let names = key.names.iter().rev().map(|number| self.names.text(*number).replace(';', ":"));
        why.into_iter().chain(names).collect::<Vec<_>>().join(";")
    }

    /// The frames, the innermost first, as a stack of this kind.
    fn intern(
        &mut self,
        frames: &[Rc<ResolvedFrame>],
        kind: StackKind,
        stream: &mut dyn Stream,
    ) -> StackId {
        let omitted = frames.len().saturating_sub(INNERMOST_FRAMES + OUTERMOST_FRAMES);
        let (inner, rest) = frames.split_at(frames.len().min(INNERMOST_FRAMES));
        let outer = &rest[omitted..];
        let is_full = self.stack_ids.len() >= MAX_STACKS;
        let names = self.names.numbers(inner.iter().chain(outer), is_full);
        let Some(names) = names else { return self.others(stream) };
        let key = StackKey { kind, omitted, names };
        if let Some(id) = self.stack_ids.get(&key) {
            return *id;
        }
        if is_full {
            return self.others(stream);
        }
        let mut ids = Vec::with_capacity(inner.len() + outer.len() + 1);
        ids.extend(inner.iter().map(|frame| self.frame(frame, stream)));
        if omitted > 0 {
            let frame = || stream.frame(omitted_frames(omitted));
            ids.push(*self.omitted_ids.entry(omitted).or_insert_with(frame));
        }
        ids.extend(outer.iter().map(|frame| self.frame(frame, stream)));
        self.define(key, ids, stream)
    }

    /// The stack that all are when there are too many.
    fn others(&mut self, stream: &mut dyn Stream) -> StackId {
        let key = StackKey { kind: StackKind::Others, omitted: 0, names: Box::default() };
        if let Some(id) = self.stack_ids.get(&key) {
            return *id;
        }
        let text = format!(
            "more than {MAX_STACKS} different stacks were sampled; each new one is `[others]` from here on"
        );
        let kind = EventKind::Incomplete { count: None, text: text.into() };
        stream.event(Event::new(stream.now(), kind));
        self.define(key, Vec::new(), stream)
    }

    fn define(&mut self, key: StackKey, frames: Vec<FrameId>, stream: &mut dyn Stream) -> StackId {
        let id = stream.stack(frames, key.kind.truncated().map(Into::into));
        let key = Rc::new(key);
        self.keys.insert(id, Rc::clone(&key));
        self.stack_ids.insert(key, id);
        id
    }

    fn frame(&mut self, frame: &Rc<ResolvedFrame>, stream: &mut dyn Stream) -> FrameId {
        if let Some(id) = self.frame_ids.get(frame) {
            return *id;
        }
        // Generated code is in no file.
        let image = frame.image.as_ref().filter(|image| image.kind != ImageKind::Generated);
        let image = image.map(|identity| {
            *self.image_ids.entry(identity.key).or_insert_with(|| define_image(identity, stream))
        });
        let id = stream.frame(new_frame(frame, image));
        self.frame_ids.insert(Rc::clone(frame), id);
        id
    }
}

/// What a frame is called. An address is its own name if no function is known.
#[derive(PartialEq, Eq, Hash)]
enum FunctionName {
    Function(Rc<str>),
    Address(RawFrame),
}

/// The names of functions, each with a number.
#[derive(Default)]
struct NameTable {
    numbers: HashMap<FunctionName, u32>,
    /// By number, the name for people.
    texts: Vec<Rc<str>>,
}

impl NameTable {
    /// The numbers of all functions of some frames. None if one is new though no new one is wanted.
    fn numbers<'f>(
        &mut self,
        frames: impl Iterator<Item = &'f Rc<ResolvedFrame>>,
        known_only: bool,
    ) -> Option<Box<[u32]>> {
        let mut numbers = Vec::new();
        for frame in frames {
            if frame.functions.is_empty() {
                let name = FunctionName::Address(frame.raw);
                numbers.push(self.number(name, known_only, || frame.place().into())?);
            }
            for function in frame.functions.iter() {
                let name = FunctionName::Function(Rc::clone(&function.name));
                numbers.push(self.number(name, known_only, || Rc::clone(&function.name))?);
            }
        }
        Some(numbers.into())
    }

    fn number(
        &mut self,
        name: FunctionName,
        known_only: bool,
        text: impl FnOnce() -> Rc<str>,
    ) -> Option<u32> {
        if let Some(number) = self.numbers.get(&name) {
            return Some(*number);
        }
        let number = u32::try_from(self.texts.len()).ok().filter(|_| !known_only)?;
        self.texts.push(text());
        self.numbers.insert(name, number);
        Some(number)
    }

    fn text(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|at| self.texts.get(at)).map_or("", |text| text)
    }
}

fn is_generated(frame: &Rc<ResolvedFrame>) -> bool {
    frame.image.as_ref().is_none_or(|image| image.kind == ImageKind::Generated)
}

/// Stacks that were resolved, by their raw frames.
#[derive(Default)]
struct RawStacks {
    ids: HashMap<Box<[RawFrame]>, StackId>,
    frames: usize,
}

impl RawStacks {
    fn get(&self, raw: &[RawFrame]) -> Option<StackId> {
        self.ids.get(raw).copied()
    }

    fn insert(&mut self, raw: Vec<RawFrame>, id: StackId) {
        if self.frames + raw.len() > MAX_RAW_FRAMES {
            *self = Self::default();
        }
        self.frames += raw.len();
        self.ids.insert(raw.into(), id);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use seepmeter_plugin::StreamBuffer;
    use seepmeter_plugin::record::{Frame, Record, Stack};
    use seepmeter_symbols::{Function, SourceLocation};

    use super::*;

    /// A raw frame of a made-up process.
    static RAW: LazyLock<RawFrame> = LazyLock::new(|| {
        let mut table = StackTable::new();
        let mut code = TargetCode::new(i32::MAX, "/nowhere".into(), &mut table);
        code.set_maps(b"1000-2000 r-xp 0 00:00 0\n", &mut table);
        let registers = UnwindRegisters { ip: 0x1000, ..UnwindRegisters::default() };
        let mut raw = Vec::new();
        code.space().unwrap().unwind(&registers, StackCopy { base: 0, bytes: &[] }, &mut raw);
        raw[0]
    });

    /// Frames of a made-up process: an address each, and its functions.
    fn frames(list: &[(u64, &[&str])]) -> Vec<Rc<ResolvedFrame>> {
        let function = |name: &&str| Function {
            name: (*name).into(),
            offset: 1,
            source: Some(SourceLocation { file: Rc::new(PathBuf::from("shop.c")), line: Some(3) }),
        };
        let frame = |(address, names): &(u64, &[&str])| {
            let raw = RawFrame { address: *address, ..*RAW };
            let functions = names.iter().map(function).collect();
            Rc::new(ResolvedFrame { raw, image: None, functions })
        };
        list.iter().map(frame).collect()
    }

    /// A table with a stream that keeps what it emits.
    #[derive(Default)]
    struct Emitted {
        table: StackTable,
        stream: StreamBuffer,
    }

    impl Emitted {
        fn intern(&mut self, frames: &[Rc<ResolvedFrame>], kind: StackKind) -> StackId {
            self.table.intern(frames, kind, &mut self.stream)
        }

        fn stacks(&self) -> Vec<&Stack> {
            let records = self.stream.records().iter();
            let stack = records.filter_map(|record| match record {
                Record::Stack(stack) => Some(&**stack),
                _ => None,
            });
            stack.collect()
        }

        fn frames(&self) -> Vec<&Frame> {
            let records = self.stream.records().iter();
            let frames = records.filter_map(|record| match record {
                Record::Frame(frame) => Some(&**frame),
                _ => None,
            });
            frames.collect()
        }

        /// The addresses of a stack's frames.
        fn addresses(&self, stack: &Stack) -> Vec<u64> {
            let frames: HashMap<FrameId, &Frame> =
                self.frames().into_iter().map(|frame| (frame.id, frame)).collect();
            stack.frames.iter().map(|id| frames[id].address).collect()
        }
    }

    #[test]
    fn stacks_with_the_same_functions_are_one_and_their_frames_are_those_of_the_first() {
        let mut emitted = Emitted::default();
        let one = frames(&[(0x10, &["leaf"]), (0x20, &["main"])]);
        let other = frames(&[(0x18, &["leaf"]), (0x20, &["main"])]);
        let id = emitted.intern(&one, StackKind::Whole);
        assert_eq!(emitted.intern(&other, StackKind::Whole), id);
        assert_eq!((emitted.frames().len(), emitted.stacks().len()), (2, 1));
        assert_eq!(emitted.addresses(emitted.stacks()[0]), [0x10, 0x20]);
        assert_eq!(emitted.table.name(id), "main;leaf");
        let leaf = emitted.frames()[0];
        assert_eq!((&leaf.function, leaf.line), (&Some("leaf".into()), Some(3)));
        assert_eq!(leaf.file, Some("shop.c".into()));
    }

    #[test]
    fn an_inlined_function_is_a_function_of_its_frame_like_any_other() {
        let mut emitted = Emitted::default();
        let inlined = frames(&[(0x10, &["leaf", "main"])]);
        let called = frames(&[(0x18, &["leaf"]), (0x20, &["main"])]);
        let id = emitted.intern(&inlined, StackKind::Whole);
        assert_eq!(emitted.intern(&called, StackKind::Whole), id);
        let frame = emitted.frames()[0];
        assert_eq!(frame.function, Some("main".into()));
        assert_eq!((frame.inlined.len(), &frame.inlined[0].function), (1, &"leaf".into()));
    }

    proptest! {
        /// Any stacks: each comes back as it was, and equal ones have equal ids.
        #[test]
        fn any_stacks_are_defined_once_and_with_their_own_frames(
            stacks in proptest::collection::vec(proptest::collection::vec(0..6u64, 0..8), 1..30),
        ) {
            let mut emitted = Emitted::default();
            let made = |stack: &Vec<u64>| {
                let list: Vec<(u64, &[&str])> = stack.iter().map(|at| (*at, &[][..])).collect();
                frames(&list)
            };
            let ids: Vec<StackId> =
                stacks.iter().map(|stack| emitted.intern(&made(stack), StackKind::Whole)).collect();
            for ((stack, id), (other, other_id)) in stacks.iter().zip(&ids).zip(stacks.iter().zip(&ids).rev()) {
                prop_assert_eq!(stack == other, id == other_id);
                let defined: Vec<&Stack> =
                    emitted.stacks().into_iter().filter(|stack| stack.id == *id).collect();
                prop_assert_eq!(defined.len(), 1);
                prop_assert_eq!(&emitted.addresses(defined[0]), stack);
            }
        }
    }

    #[test]
    fn a_stack_that_was_cut_and_a_whole_one_are_two_and_say_so() {
        let mut emitted = Emitted::default();
        let stack = frames(&[(0x10, &["leaf"])]);
        let cut = emitted.intern(&stack, StackKind::Cut);
        assert_ne!(emitted.intern(&stack, StackKind::Whole), cut);
        assert_eq!(emitted.stacks()[0].truncated, Some("cut".into()));
        assert_eq!(emitted.stacks()[1].truncated, None);
        assert_eq!(emitted.table.name(cut), "[cut];leaf");
        assert_eq!(emitted.frames().len(), 1);
    }

    #[test]
    fn frames_without_a_function_differ_by_their_addresses() {
        let mut emitted = Emitted::default();
        let at = |address| frames(&[(address, &[])]);
        let id = emitted.intern(&at(0x10), StackKind::Whole);
        assert_ne!(emitted.intern(&at(0x18), StackKind::Whole), id);
        assert_eq!(emitted.intern(&at(0x10), StackKind::Whole), id);
    }

    #[test]
    fn the_middle_of_a_deep_recursion_is_left_out() {
        let mut emitted = Emitted::default();
        let names = ["recurse"];
        let most = INNERMOST_FRAMES + OUTERMOST_FRAMES;
        let list: Vec<(u64, &[&str])> = (1..=most as u64 + 5).map(|at| (at, &names[..])).collect();
        emitted.intern(&frames(&list), StackKind::Whole);
        emitted.intern(&frames(&list[..most]), StackKind::Whole);
        let stacks = emitted.stacks();
        assert_eq!((stacks[0].frames.len(), stacks[1].frames.len()), (most + 1, most));
        let addresses = emitted.addresses(stacks[0]);
        assert_eq!(addresses[INNERMOST_FRAMES - 1..=INNERMOST_FRAMES + 1], [96, 0, 102]);
        let gap = emitted.frames().into_iter().find(|frame| frame.address == 0);
        assert_eq!(gap.unwrap().function, Some("[5 frames left out]".into()));
    }

    #[test]
    fn when_there_are_too_many_stacks_new_ones_are_one_and_known_ones_are_themselves() {
        let mut emitted = Emitted::default();
        let names: Vec<String> = (0..MAX_STACKS + 2).map(|n| format!("f{n}")).collect();
        let stack = |n: usize| frames(&[(n as u64, &[&names[n]])]);
        let ids: Vec<StackId> =
            (0..MAX_STACKS).map(|n| emitted.intern(&stack(n), StackKind::Whole)).collect();
        let others = emitted.intern(&stack(MAX_STACKS), StackKind::Whole);
        assert!(!ids.contains(&others));
        assert_eq!(emitted.intern(&stack(MAX_STACKS + 1), StackKind::Whole), others);
        // Known names in an order that is new are a new stack too.
        let swapped = [stack(1), stack(0)].concat();
        assert_eq!(emitted.intern(&swapped, StackKind::Whole), others);
        assert_eq!(emitted.intern(&stack(5), StackKind::Whole), ids[5]);
        assert_eq!(emitted.stacks().len(), MAX_STACKS + 1);
        assert_eq!(emitted.stacks()[MAX_STACKS].truncated, Some("others".into()));
        assert_eq!(emitted.frames().len(), MAX_STACKS);
        let incomplete = |record: &&Record| matches!(record, Record::Event(event) if event.kind.as_str() == "incomplete");
        assert_eq!(emitted.stream.records().iter().filter(incomplete).count(), 1);
    }

    #[test]
    fn a_target_whose_mappings_were_never_read_has_an_unknown_stack() {
        let Emitted { mut table, mut stream } = Emitted::default();
        let code = TargetCode::new(i32::MAX, "/nowhere".into(), &mut table);
        let copy = StackCopy { base: 0, bytes: &[] };
        let sampled = table.stack(&code, &UnwindRegisters::default(), copy, &mut stream);
        let [Record::Stack(stack)] = stream.records() else { panic!("{:?}", stream.records()) };
        assert_eq!((stack.id, stack.frames.len()), (sampled.id, 0));
        assert_eq!(stack.truncated, Some("unknown".into()));
    }
}
