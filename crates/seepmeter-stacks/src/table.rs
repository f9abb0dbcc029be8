//! The table of stacks: which images, frames and stacks there are, and which of them are new.

use std::collections::HashMap;
use std::rc::Rc;

use seepmeter_symbols::{
    ImageIdentity, ImageKey, ImageKind, Images, RawFrame, ResolvedFrame, StackCopy, StackEnd,
    UnwindFailure, UnwindRegisters,
};

use crate::definitions::{
    FrameDefinition, FrameId, ImageDefinition, ImageId, NewDefinitions, OmittedFrames,
    StackDefinition, StackId, StackKind,
};
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

/// The stacks of all targets of one sampler.
///
/// It keeps every definition, and so is bounded by [`MAX_STACKS`].
#[derive(Default)]
pub struct StackTable {
    images: Images,
    raw: RawStacks,
    names: HashMap<FunctionName, u32>,
    image_ids: HashMap<ImageKey, ImageId>,
    frame_ids: HashMap<Rc<ResolvedFrame>, FrameId>,
    stack_ids: HashMap<StackKey, StackId>,
    defined: Definitions,
    /// How many of each were taken as new.
    taken: DefinitionCounts,
    others: Option<StackId>,
}

/// A sampled stack: which one it is, and how its frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampledStack {
    /// The stack.
    pub id: StackId,
    /// How unwinding it ended this time.
    pub end: StackEnd,
}

#[derive(Default)]
struct Definitions {
    images: Vec<ImageDefinition>,
    frames: Vec<FrameDefinition>,
    stacks: Vec<StackDefinition>,
}

#[derive(Default)]
struct DefinitionCounts {
    images: usize,
    frames: usize,
    stacks: usize,
}

/// What makes two stacks the same.
#[derive(PartialEq, Eq, Hash)]
struct StackKey {
    kind: StackKind,
    omitted: Option<OmittedFrames>,
    /// Numbers of [`FunctionName`]s, the innermost first.
    names: Box<[u32]>,
}

/// What a frame is called. An address is its own name if no function is known.
#[derive(PartialEq, Eq, Hash)]
enum FunctionName {
    Function(Rc<str>),
    Address(RawFrame),
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

    /// The stack of a thread of the target. If it is new, it is named and defined.
    pub fn stack(
        &mut self,
        code: &TargetCode,
        registers: &UnwindRegisters,
        copy: StackCopy<'_>,
    ) -> SampledStack {
        let Some(space) = code.space() else {
            let end = StackEnd::Broken(UnwindFailure::NoCode { address: registers.ip });
            return SampledStack { id: self.intern(&[], StackKind::Unknown), end };
        };
        let mut raw = Vec::new();
        let end = space.unwind(registers, copy, &mut raw);
        // The same frames may be cut once, and whole once.
        if let Some(id) = self.raw.get(&raw).filter(|_| end.is_whole()) {
            return SampledStack { id, end };
        }
        let resolve = |raw| space.resolve(raw, &mut self.images);
        let frames: Vec<Rc<ResolvedFrame>> = raw.iter().map(resolve).collect();
        let id = self.intern(&frames, end.into());
        // In generated code another function can lie at the same address tomorrow.
        if end.is_whole() && !frames.iter().any(is_generated) {
            self.raw.insert(raw, id);
        }
        SampledStack { id, end }
    }

    /// What was defined since this was last called: all of it is given once.
    pub fn take_new(&mut self) -> NewDefinitions<'_> {
        let Definitions { images, frames, stacks } = &self.defined;
        let now =
            DefinitionCounts { images: images.len(), frames: frames.len(), stacks: stacks.len() };
        let before = std::mem::replace(&mut self.taken, now);
        NewDefinitions {
            images: &images[before.images..],
            frames: &frames[before.frames..],
            stacks: &stacks[before.stacks..],
        }
    }

    /// The definition of a frame. None for an id that is not of this table.
    #[must_use]
    pub fn frame(&self, id: FrameId) -> Option<&FrameDefinition> {
        self.defined.frames.get(id.0 as usize)
    }

    /// The frames, the innermost first, as a stack of this kind.
    fn intern(&mut self, frames: &[Rc<ResolvedFrame>], kind: StackKind) -> StackId {
        let count = frames.len().saturating_sub(INNERMOST_FRAMES + OUTERMOST_FRAMES);
        let omitted = (count > 0).then_some(OmittedFrames { before: INNERMOST_FRAMES, count });
        let (inner, rest) = frames.split_at(frames.len().min(INNERMOST_FRAMES));
        let kept: Vec<&Rc<ResolvedFrame>> = inner.iter().chain(&rest[count..]).collect();
        let Some(names) = self.names(&kept) else { return self.others() };
        let key = StackKey { kind, omitted, names };
        if let Some(id) = self.stack_ids.get(&key) {
            return *id;
        }
        if self.is_full() {
            return self.others();
        }
        let frames = kept.into_iter().map(|frame| self.define_frame(frame)).collect();
        let id = self.define_stack(kind, frames, omitted);
        self.stack_ids.insert(key, id);
        id
    }

    fn is_full(&self) -> bool {
        self.stack_ids.len() >= MAX_STACKS
    }

    /// The numbers of all functions' names. None if one is new and there is no room for new stacks.
    fn names(&mut self, frames: &[&Rc<ResolvedFrame>]) -> Option<Box<[u32]>> {
        let full = self.is_full();
        frames
            .iter()
            .flat_map(|frame| names(frame))
            .map(|name| {
                let next = self.names.len() as u32;
                match self.names.get(&name) {
                    None if full => None,
                    None => Some(*self.names.entry(name).or_insert(next)),
                    Some(number) => Some(*number),
                }
            })
            .collect()
    }

    fn others(&mut self) -> StackId {
        if let Some(id) = self.others {
            return id;
        }
        let id = self.define_stack(StackKind::Others, Box::default(), None);
        self.others = Some(id);
        id
    }

    fn define_stack(
        &mut self,
        kind: StackKind,
        frames: Box<[FrameId]>,
        omitted: Option<OmittedFrames>,
    ) -> StackId {
        let id = StackId(self.defined.stacks.len() as u32);
        self.defined.stacks.push(StackDefinition { id, kind, frames, omitted });
        id
    }

    fn define_frame(&mut self, frame: &Rc<ResolvedFrame>) -> FrameId {
        if let Some(id) = self.frame_ids.get(frame) {
            return *id;
        }
        let image = frame.image.as_ref().map(|identity| self.define_image(identity));
        let id = FrameId(self.defined.frames.len() as u32);
        self.defined.frames.push(FrameDefinition { id, image, frame: frame.clone() });
        self.frame_ids.insert(frame.clone(), id);
        id
    }

    fn define_image(&mut self, identity: &Rc<ImageIdentity>) -> ImageId {
        let images = &mut self.defined.images;
        *self.image_ids.entry(identity.key).or_insert_with(|| {
            let id = ImageId(images.len() as u32);
            images.push(ImageDefinition { id, identity: identity.clone() });
            id
        })
    }
}

fn names(frame: &ResolvedFrame) -> Vec<FunctionName> {
    if frame.functions.is_empty() {
        return vec![FunctionName::Address(frame.raw)];
    }
    frame.functions.iter().map(|it| FunctionName::Function(it.name.clone())).collect()
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

    #[test]
    fn stacks_with_the_same_functions_are_one_and_their_frames_are_those_of_the_first() {
        let mut table = StackTable::new();
        let one = frames(&[(0x10, &["leaf"]), (0x20, &["main"])]);
        let other = frames(&[(0x18, &["leaf"]), (0x20, &["main"])]);
        let id = table.intern(&one, StackKind::Whole);
        assert_eq!(table.intern(&other, StackKind::Whole), id);
        let new = table.take_new();
        assert_eq!((new.frames.len(), new.stacks.len()), (2, 1));
        assert_eq!(new.frames[0].frame.raw.address, 0x10);
        assert_eq!(*new.stacks[0].frames, [FrameId(0), FrameId(1)]);
    }

    #[test]
    fn an_inlined_function_is_a_function_of_its_frame_like_any_other() {
        let mut table = StackTable::new();
        let inlined = frames(&[(0x10, &["leaf", "main"])]);
        let called = frames(&[(0x18, &["leaf"]), (0x20, &["main"])]);
        let id = table.intern(&inlined, StackKind::Whole);
        assert_eq!(table.intern(&called, StackKind::Whole), id);
        assert_eq!(table.take_new().frames[0].frame.functions.len(), 2);
    }

    proptest! {
        /// Any stacks: each comes back as it was, and equal ones have equal ids.
        #[test]
        fn any_stacks_are_defined_once_and_with_their_own_frames(
            stacks in proptest::collection::vec(proptest::collection::vec(0..6u64, 0..8), 1..30),
        ) {
            let mut table = StackTable::new();
            let made = |stack: &Vec<u64>| {
                let list: Vec<(u64, &[&str])> = stack.iter().map(|at| (*at, &[][..])).collect();
                frames(&list)
            };
            let ids: Vec<StackId> =
                stacks.iter().map(|stack| table.intern(&made(stack), StackKind::Whole)).collect();
            let defined = table.take_new().stacks.to_vec();
            for ((stack, id), (other, other_id)) in stacks.iter().zip(&ids).zip(stacks.iter().zip(&ids).rev()) {
                prop_assert_eq!(stack == other, id == other_id);
                let frames = defined[id.0 as usize].frames.iter();
                let addresses: Vec<u64> =
                    frames.map(|id| table.frame(*id).unwrap().frame.raw.address).collect();
                prop_assert_eq!(&addresses, stack);
            }
        }
    }

    #[test]
    fn what_was_taken_as_new_is_not_new_again() {
        let mut table = StackTable::new();
        table.intern(&frames(&[(0x10, &["a"]), (0x20, &["main"])]), StackKind::Whole);
        assert_eq!(table.take_new().frames.len(), 2);
        table.intern(&frames(&[(0x30, &["b"]), (0x20, &["main"])]), StackKind::Whole);
        let new = table.take_new();
        assert_eq!((new.frames.len(), new.stacks.len()), (1, 1));
        assert_eq!(*new.stacks[0].frames, [FrameId(2), FrameId(1)]);
        assert_eq!(table.take_new().stacks.len(), 0);
    }

    #[test]
    fn a_stack_that_was_cut_and_a_whole_one_are_two() {
        let mut table = StackTable::new();
        let stack = frames(&[(0x10, &["leaf"])]);
        assert_ne!(table.intern(&stack, StackKind::Cut), table.intern(&stack, StackKind::Whole));
    }

    #[test]
    fn frames_without_a_function_are_told_apart_by_their_addresses() {
        let mut table = StackTable::new();
        let at = |address| frames(&[(address, &[])]);
        let id = table.intern(&at(0x10), StackKind::Whole);
        assert_ne!(table.intern(&at(0x18), StackKind::Whole), id);
        assert_eq!(table.intern(&at(0x10), StackKind::Whole), id);
    }

    #[test]
    fn the_middle_of_a_deep_recursion_is_left_out() {
        let mut table = StackTable::new();
        let names = ["recurse"];
        let most = INNERMOST_FRAMES + OUTERMOST_FRAMES;
        let list: Vec<(u64, &[&str])> = (0..most as u64 + 5).map(|at| (at, &names[..])).collect();
        table.intern(&frames(&list), StackKind::Whole);
        table.intern(&frames(&list[..most]), StackKind::Whole);
        let new = table.take_new();
        let omitted = OmittedFrames { before: INNERMOST_FRAMES, count: 5 };
        assert_eq!((new.stacks[0].frames.len(), new.stacks[0].omitted), (most, Some(omitted)));
        assert_eq!((new.stacks[1].frames.len(), new.stacks[1].omitted), (most, None));
        let addresses = new.frames.iter().map(|frame| frame.frame.raw.address);
        assert!(!addresses.clone().take(most).any(|at| (96..101).contains(&at)));
    }

    #[test]
    fn when_there_are_too_many_stacks_new_ones_are_one_and_known_ones_are_themselves() {
        let mut table = StackTable::new();
        let names: Vec<String> = (0..MAX_STACKS + 2).map(|n| format!("f{n}")).collect();
        let stack = |n: usize| frames(&[(n as u64, &[&names[n]])]);
        for n in 0..MAX_STACKS {
            assert_eq!(table.intern(&stack(n), StackKind::Whole), StackId(n as u32));
        }
        let others = table.intern(&stack(MAX_STACKS), StackKind::Whole);
        assert_eq!(others, StackId(MAX_STACKS as u32));
        assert_eq!(table.intern(&stack(MAX_STACKS + 1), StackKind::Whole), others);
        // Known names in an order that is new are a new stack too.
        let swapped = [stack(1), stack(0)].concat();
        assert_eq!(table.intern(&swapped, StackKind::Whole), others);
        assert_eq!(table.intern(&stack(5), StackKind::Whole), StackId(5));
        let new = table.take_new();
        assert_eq!(new.stacks.len(), MAX_STACKS + 1);
        assert_eq!(new.stacks[MAX_STACKS].kind, StackKind::Others);
        assert_eq!(new.frames.len(), MAX_STACKS);
    }

    #[test]
    fn a_target_whose_mappings_were_never_read_has_an_unknown_stack() {
        let mut table = StackTable::new();
        let code = TargetCode::new(i32::MAX, "/nowhere".into(), &mut table);
        let copy = StackCopy { base: 0, bytes: &[] };
        let sampled = table.stack(&code, &UnwindRegisters::default(), copy);
        let new = table.take_new();
        assert_eq!((new.stacks[0].id, new.stacks[0].kind), (sampled.id, StackKind::Unknown));
        assert!(new.stacks[0].frames.is_empty() && new.frames.is_empty());
    }
}
