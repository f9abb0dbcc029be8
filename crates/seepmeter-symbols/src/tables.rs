//! Unwind tables: .eh_frame and .debug_frame, and how an address is found in them.
//!
//! The format is that of the LSB ("Exception Frames") and of DWARF 5, section 6.4.

use std::ops::Range;
use std::rc::Rc;

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, DebugFrame, EhFrame, Encoding, EndianSlice, Expression,
    LittleEndian, RegisterRule, UnwindContext, UnwindExpression, UnwindSection,
};

use crate::arch;

pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The sections that tell how to unwind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) eh_frame: Option<Section>,
    pub(crate) eh_frame_hdr: Option<Section>,
    pub(crate) debug_frame: Option<Section>,
    pub(crate) text: u64,
    pub(crate) got: u64,
    /// Where the entries of .eh_frame are, if no header says it, and those of .debug_frame.
    eh_index: Vec<Entry>,
    debug_index: Vec<Entry>,
}

/// A section: its own addresses, and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) range: Range<u64>,
    pub(crate) bytes: Rc<[u8]>,
}

/// Where the code of an entry begins, and where the entry stands in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    start: u64,
    offset: usize,
}

/// What the tables say of one address.
pub(crate) struct Row<'a> {
    pub(crate) cfa: Cfa<'a>,
    pub(crate) fp: Rule<'a>,
    pub(crate) ra: Rule<'a>,
    pub(crate) encoding: Encoding,
}

/// Where the frame begins: its canonical address, which is the stack pointer before the call.
pub(crate) enum Cfa<'a> {
    Register(gimli::Register, i64),
    Expression(Expression<Slice<'a>>),
}

/// Where the caller's value of a register is.
pub(crate) enum Rule<'a> {
    /// It is still there.
    Same,
    /// It has none: for the return address, there is no caller.
    Undefined,
    /// Stored at this distance from the canonical address.
    At(i64),
    /// It is the canonical address with this added.
    Is(i64),
    StoredAt(Expression<Slice<'a>>),
    IsValueOf(Expression<Slice<'a>>),
    /// Something that only compilers for other machines write.
    Other,
}

impl Tables {
    /// Makes the indexes that are not in the file.
    pub(crate) fn index(&mut self) {
        if self.eh_frame_hdr.as_ref().is_some_and(|header| !is_common(header)) {
            self.eh_frame_hdr = None;
        }
        let bases = self.bases();
        if let (Some(section), None) = (&self.eh_frame, &self.eh_frame_hdr) {
            self.eh_index = index(&eh_frame(section), &bases);
        }
        if let Some(section) = &self.debug_frame {
            self.debug_index = index(&debug_frame(section), &bases);
        }
    }

    /// Takes in what a separate debug file has of them.
    pub(crate) fn add(&mut self, debug: Self) {
        if self.debug_frame.is_none() {
            (self.debug_frame, self.debug_index) = (debug.debug_frame, debug.debug_index);
        }
    }

    /// What they say of an address; none if they do not cover it.
    pub(crate) fn row(&self, address: u64, context: &mut UnwindContext<usize>) -> Option<Row<'_>> {
        let bases = self.bases();
        self.eh_row(address, &bases, context).or_else(|| {
            let section = self.debug_frame.as_ref()?;
            let offset = find(&self.debug_index, address)?;
            row(&debug_frame(section), &bases, offset, address, context)
        })
    }

    fn eh_row(
        &self,
        address: u64,
        bases: &BaseAddresses,
        context: &mut UnwindContext<usize>,
    ) -> Option<Row<'_>> {
        let section = self.eh_frame.as_ref()?;
        let offset = match &self.eh_frame_hdr {
            Some(header) => look_up(header, section, address)?,
            None => find(&self.eh_index, address)?,
        };
        row(&eh_frame(section), bases, offset, address, context)
    }

    fn bases(&self) -> BaseAddresses {
        let start = |section: &Option<Section>| section.as_ref().map_or(0, |it| it.range.start);
        BaseAddresses::default()
            .set_eh_frame(start(&self.eh_frame))
            .set_eh_frame_hdr(start(&self.eh_frame_hdr))
            .set_text(self.text)
            .set_got(self.got)
    }

    /// How many bytes they take.
    pub(crate) fn weight(&self) -> usize {
        let sections = [&self.eh_frame, &self.eh_frame_hdr, &self.debug_frame];
        let bytes: usize = sections.into_iter().flatten().map(|section| section.bytes.len()).sum();
        bytes + (self.eh_index.len() + self.debug_index.len()) * size_of::<Entry>()
    }
}

fn eh_frame(section: &Section) -> EhFrame<Slice<'_>> {
    let mut frame = EhFrame::new(&section.bytes, LittleEndian);
    frame.set_address_size(8);
    frame
}

fn debug_frame(section: &Section) -> DebugFrame<Slice<'_>> {
    let mut frame = DebugFrame::new(&section.bytes, LittleEndian);
    frame.set_address_size(8);
    frame
}

/// How many bytes stand before the table of an .eh_frame_hdr, and how many a line of it has.
const TABLE: usize = 12;
const LINE: usize = 8;

/// True for an .eh_frame_hdr as all linkers write it, and whole: version 1, the section's place (pcrel,
/// sdata4), the number of lines (udata4), and the lines: where the code begins and where its entry is
/// (datarel, sdata4), in order (LSB, "Binary search table"). Any other is not used.
fn is_common(header: &Section) -> bool {
    header.bytes.starts_with(&[1, 0x1b, 0x03, 0x3b]) && lines(header).is_some()
}

fn lines(header: &Section) -> Option<&[[u8; LINE]]> {
    let count = u32::from_le_bytes(*header.bytes.get(8..TABLE)?.first_chunk()?);
    let length = usize::try_from(count).ok()?.checked_mul(LINE)?;
    Some(header.bytes[TABLE..].get(..length)?.as_chunks().0)
}

/// Where the entry of an address is, by the table that the linker has made.
fn look_up(header: &Section, section: &Section, address: u64) -> Option<usize> {
    let lines = lines(header)?;
    let field = |line: &[u8; LINE], at: usize| {
        let distance = i32::from_le_bytes([line[at], line[at + 1], line[at + 2], line[at + 3]]);
        header.range.start.wrapping_add_signed(distance.into())
    };
    let after = lines.partition_point(|line| field(line, 0) <= address);
    let line = lines[..after].last()?;
    let offset = usize::try_from(field(line, 4).checked_sub(section.range.start)?).ok()?;
    (offset < section.bytes.len()).then_some(offset)
}

fn find(index: &[Entry], address: u64) -> Option<usize> {
    let after = index.partition_point(|entry| entry.start <= address);
    index[..after].last().map(|entry| entry.offset)
}

/// Reads through a section. If it is broken, what stands before that is kept.
fn index<'a, S: UnwindSection<Slice<'a>>>(section: &S, bases: &BaseAddresses) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let Ok(fde) = partial.parse(S::cie_from_offset) else { continue };
        found.push(Entry { start: fde.initial_address(), offset: fde.offset() });
    }
    found.sort_unstable();
    found
}

fn row<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    offset: usize,
    address: u64,
    context: &mut UnwindContext<usize>,
) -> Option<Row<'a>> {
    let fde = section.fde_from_offset(bases, S::Offset::from(offset), S::cie_from_offset).ok()?;
    let encoding = fde.cie().encoding();
    let row = fde.unwind_info_for_address(section, bases, context, address).ok()?;
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => Cfa::Register(*register, *offset),
        CfaRule::Expression(at) => Cfa::Expression(at.get(section).ok()?),
    };
    let fp = rule(section, row.register(arch::FP)).unwrap_or(Rule::Same);
    // An unwritten rule means that the link register still has it; without such a register it means
    // that there is none.
    let unwritten = if arch::LINKS { Rule::Same } else { Rule::Undefined };
    let ra = rule(section, row.register(arch::RETURN)).unwrap_or(unwritten);
    Some(Row { cfa, fp, ra, encoding })
}

fn rule<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    rule: Option<RegisterRule<usize>>,
) -> Option<Rule<'a>> {
    let get = |at: UnwindExpression<usize>| at.get(section).ok();
    Some(match rule? {
        RegisterRule::Undefined => Rule::Undefined,
        RegisterRule::SameValue => Rule::Same,
        RegisterRule::Offset(offset) => Rule::At(offset),
        RegisterRule::ValOffset(offset) => Rule::Is(offset),
        RegisterRule::Expression(at) => get(at).map_or(Rule::Other, Rule::StoredAt),
        RegisterRule::ValExpression(at) => get(at).map_or(Rule::Other, Rule::IsValueOf),
        _ => Rule::Other,
    })
}
