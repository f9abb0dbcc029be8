//! The symbols of one image, by blazesym.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use blazesym::symbolize::source::{Elf as ElfSource, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};

use crate::demangle::demangle;
use crate::image::ElfFile;
use crate::open::descriptor_path;

/// Symbols without a size end somewhere before the next one; further from their start than this an
/// address is not called by their name.
const REACH: usize = 4096;

/// A function that an address belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From the start of the function; of an inlined one that of the function it was put into.
    pub(crate) offset: u64,
    pub(crate) file: Option<PathBuf>,
    pub(crate) line: Option<u32>,
    pub(crate) inlined: bool,
}

/// Where the symbols of an image are looked up.
#[derive(Debug)]
pub(crate) struct Symbols {
    symbolizer: Symbolizer,
    /// In the order in which they are asked.
    sources: Vec<Source<'static>>,
}

impl Symbols {
    /// Finds out where an image's symbols are: its own DWARF; or a debug file with its build-id; or
    /// one that it links to; or its table of symbols.
    pub(crate) fn of(image: &ElfFile) -> Self {
        let path = descriptor_path(&image.file);
        let debug = image.debug.iter().filter(|_| !image.elf.debug_info);
        let sources = debug
            .map(|file| source(descriptor_path(file), true))
            .chain([source(path.clone(), true), source(path, false)])
            .collect();
        // What is open does not change under its descriptor, so nothing is ever loaded again.
        let builder = Symbolizer::builder().enable_auto_reload(false).enable_demangling(false);
        Self { symbolizer: builder.build(), sources }
    }

    /// The functions at an address, the innermost first.
    pub(crate) fn functions(&mut self, address: u64) -> Vec<Function> {
        let mut at = 0;
        while let Some(source) = self.sources.get(at) {
            match ask(&self.symbolizer, source, address) {
                Answer::Found(functions) => return functions,
                Answer::Unknown => at += 1,
                Answer::Failed => drop(self.sources.remove(at)),
                Answer::Panicked => self.sources.clear(),
            }
        }
        Vec::new()
    }
}

enum Answer {
    Found(Vec<Function>),
    Unknown,
    /// Such as for a debug link to a file of another build: it is not asked again.
    Failed,
    /// What it left behind is not to be trusted: nothing of this image is asked again.
    Panicked,
}

/// Asks blazesym. It panics over some damaged files (a symbol whose end is beyond the last address,
/// where overflow is checked); that must cost the names of this file, and no more.
fn ask(symbolizer: &Symbolizer, source: &Source<'static>, address: u64) -> Answer {
    let asked = || symbolizer.symbolize_single(source, Input::VirtOffset(address));
    match catch_unwind(AssertUnwindSafe(asked)) {
        Ok(Ok(Symbolized::Sym(sym))) if is_near(&sym) => Answer::Found(functions(sym)),
        Ok(Ok(_)) => Answer::Unknown,
        Ok(Err(_)) => Answer::Failed,
        Err(_) => Answer::Panicked,
    }
}

fn source(path: PathBuf, debug_syms: bool) -> Source<'static> {
    let mut elf = ElfSource::new(path);
    elf.debug_syms = debug_syms;
    Source::Elf(elf)
}

fn is_near(sym: &Sym<'_>) -> bool {
    sym.size.is_some_and(|size| size > 0) || sym.offset < REACH
}

/// A symbol and what was inlined into it at the address, the innermost first.
fn functions(sym: Sym<'_>) -> Vec<Function> {
    let offset = sym.offset as u64;
    let made = |name: &str, place: Option<&CodeInfo<'_>>, inlined| Function {
        name: demangle(name),
        offset,
        file: place.map(|place| place.to_path().into_owned()),
        line: place.and_then(|place| place.line),
        inlined,
    };
    let outer = made(&sym.name, sym.code_info.as_deref(), false);
    let inlined = sym.inlined.iter().rev();
    let inlined = inlined.map(|inner| made(&inner.name, inner.code_info.as_ref(), true));
    inlined.chain([outer]).collect()
}
