//! The symbols of one image, by blazesym.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;

use blazesym::symbolize::source::{Elf as ElfSource, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};

use object::read::ReadCache;

use crate::demangle::demangle;
use crate::elf::{Elf, SoundNames};
use crate::image::ElfFile;
use crate::open::descriptor_path;
use crate::resolved::{Function, SourceLocation};

/// Symbols without a size end somewhere before the next one; further from their start than this an
/// address is not called by their name.
const REACH: usize = 4096;

/// Where the symbols of an image are looked up.
#[derive(Debug)]
pub(crate) struct Symbols {
    symbolizer: Symbolizer,
    /// In the order in which they are asked.
    places: Vec<Place>,
}

/// A file with symbols.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Its debug information is asked, and not its table of symbols alone.
    debug: bool,
}

impl Symbols {
    /// Finds out where an image's symbols are: in its own DWARF; or in a debug file with its build-id;
    /// or in one that it links to; or in its table of symbols.
    pub(crate) fn of(image: &ElfFile) -> Self {
        let separate = image.debug.iter().filter(|_| !image.elf.debug_info);
        let files = separate.chain([&image.file]);
        let place = |file| {
            let names = Elf::sound_names(&ReadCache::new(file));
            let debug = names == SoundNames::All;
            (names != SoundNames::None).then(|| Place { path: descriptor_path(file), debug })
        };
        let places = files.filter_map(place).collect();
        // What is open does not change under its descriptor, so nothing is ever loaded again.
        let builder = Symbolizer::builder().enable_auto_reload(false).enable_demangling(false);
        Self { symbolizer: builder.build(), places }
    }

    /// The functions at an address, the innermost first.
    pub(crate) fn functions(&mut self, address: u64) -> Vec<Function> {
        let Self { symbolizer, places } = self;
        for place in places.iter_mut() {
            let mut answer = ask(symbolizer, place, address);
            if matches!(answer, Answer::Failed) && place.debug {
                // Such as for a debug link to a file of another build: it is not followed again.
                place.debug = false;
                answer = ask(symbolizer, place, address);
            }
            match answer {
                Answer::Found(sym) => {
                    return functions(&sym, start(symbolizer, place, &sym, address));
                }
                Answer::Unknown | Answer::Failed => {}
                Answer::Panicked => {
                    // What it left behind is not to be trusted.
                    places.clear();
                    return Vec::new();
                }
            }
        }
        Vec::new()
    }
}

enum Answer<'a> {
    Found(Sym<'a>),
    Unknown,
    Failed,
    Panicked,
}

/// Asks blazesym. It panics over some damaged files (a symbol whose end is beyond the last address,
/// where overflow is checked); that must cost the names of this file, and no more.
fn ask<'a>(symbolizer: &'a Symbolizer, place: &Place, address: u64) -> Answer<'a> {
    let mut elf = ElfSource::new(&place.path);
    elf.debug_syms = place.debug;
    let asked = || symbolizer.symbolize_single(&Source::Elf(elf), Input::VirtOffset(address));
    match catch_unwind(AssertUnwindSafe(asked)) {
        Ok(Ok(Symbolized::Sym(sym))) if is_near(&sym) => Answer::Found(sym),
        Ok(Ok(_)) => Answer::Unknown,
        Ok(Err(_)) => Answer::Failed,
        Err(_) => Answer::Panicked,
    }
}

/// A symbol without a size reaches to the next one, which may be far where most were stripped. One of
/// the debug information covers the address, whatever its size.
fn is_near(sym: &Sym<'_>) -> bool {
    sym.size.is_some_and(|size| size > 0) || sym.code_info.is_some() || sym.offset < REACH
}

/// Where the function begins. blazesym says 0 for one that lies in several pieces, as compilers split
/// off what is seldom executed; then its table of symbols is asked for the piece's start.
fn start(symbolizer: &Symbolizer, place: &Place, sym: &Sym<'_>, address: u64) -> u64 {
    if sym.addr != 0 {
        return sym.addr;
    }
    let plain = Place { path: place.path.clone(), debug: false };
    match ask(symbolizer, &plain, address) {
        Answer::Found(piece) => piece.addr,
        _ => sym.addr,
    }
}

/// A symbol and what was inlined into it at the address, the innermost first.
fn functions(sym: &Sym<'_>, start: u64) -> Vec<Function> {
    let address = sym.addr.saturating_add(sym.offset as u64);
    let offset = address.saturating_sub(start);
    let function = |name: &str, info: Option<&CodeInfo<'_>>| {
        let location = |info: &CodeInfo<'_>| SourceLocation {
            file: Rc::new(info.to_path().into_owned()),
            line: info.line,
        };
        Function { name: demangle(name).into(), offset, source: info.map(location) }
    };
    let outer = function(&sym.name, sym.code_info.as_deref());
    let inlined = sym.inlined.iter().rev();
    let inlined = inlined.map(|inner| function(&inner.name, inner.code_info.as_ref()));
    inlined.chain([outer]).collect()
}
