//! What the places are called that paths begin at.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;

use seepmeter_heap::PathRoot;
use seepmeter_snapshot::{MemoryImage, Region};
use seepmeter_symbols::DataSymbols;

/// So much of a file must be what is mapped, with its headers and mostly its build id.
const COMPARED: usize = 1024;
/// No larger file is read.
const MAX_FILE: u64 = 1 << 30;

/// Of each file, its variables, if it could be read.
type SymbolFiles = HashMap<Box<[u8]>, Option<Rc<DataSymbols>>>;

/// Names the roots of paths in an image.
pub(super) struct RootNames<'i, 's> {
    image: &'i MemoryImage<'s>,
    files: RefCell<SymbolFiles>,
}

impl<'i, 's> RootNames<'i, 's> {
    pub(super) fn new(image: &'i MemoryImage<'s>) -> Self {
        Self { image, files: RefCell::default() }
    }

    /// What a root is called.
    pub(super) fn name(&self, root: &PathRoot) -> String {
        match root {
            PathRoot::Module(name) => format!("module {name}"),
            PathRoot::Data(address) => self.variable(*address),
            PathRoot::Stack => "a stack or a register".to_owned(),
            _ => "other memory".to_owned(),
        }
    }

    fn variable(&self, address: u64) -> String {
        let Some(data) = self.data_before(address) else { return "other memory".to_owned() };
        let file = data.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let file = String::from_utf8_lossy(file);
        let name = || {
            let symbols = self.symbols(data)?;
            let (bias, end) = symbols.place(data.start, data.offset)?;
            (address < end).then(|| symbols.name(address.wrapping_sub(bias)).map(str::to_owned))?
        };
        name().map_or_else(|| format!("data of {file}"), |name| format!("{name} ({file})"))
    }

    /// The mapped file that an address is in, or right behind: data that begins as zeros is in no file.
    fn data_before(&self, address: u64) -> Option<&Region> {
        let regions = self.image.regions();
        let next = regions.partition_point(|region| region.start <= address);
        let [before, here] =
            [2, 1].map(|back| next.checked_sub(back).and_then(|at| regions.get(at)));
        let here = here.filter(|region| address < region.end)?;
        if here.is_image_data() {
            return Some(here);
        }
        before.filter(|before| before.is_image_data() && before.end == here.start)
    }

    fn symbols(&self, data: &Region) -> Option<Rc<DataSymbols>> {
        let mut files = self.files.borrow_mut();
        let read = || self.read(data).map(Rc::new);
        files.entry(data.path.clone()).or_insert_with(read).clone()
    }

    /// Reads a file if it is the one that is mapped.
    fn read(&self, data: &Region) -> Option<DataSymbols> {
        let path = String::from_utf8(data.path.to_vec()).ok()?;
        let first =
            self.image.regions().iter().find(|it| it.path == data.path && it.offset == 0)?;
        let mut mapped = [0; COMPARED];
        (self.image.read(first.start, &mut mapped) == COMPARED).then_some(())?;
        let within = PathBuf::from(format!("/proc/{}/root{path}", self.image.pid()));
        let same = |path: &PathBuf| {
            let mut file = File::open(path).ok()?;
            let mut bytes = [0; COMPARED];
            file.read_exact(&mut bytes).ok()?;
            let small = file.metadata().ok()?.len() <= MAX_FILE;
            (bytes == mapped && small).then_some(file)
        };
        DataSymbols::read([within, path.into()].iter().find_map(same)?)
    }
}
