//! A process whose stacks are sampled, from one sample to the next.

use std::rc::Rc;

use seepmeter_maps::maps::MappingHeader;

use crate::code::Code;
use crate::image::{Content, Image};
use crate::images::Images;
use crate::space::{self, AddressSpace};

/// The text of /proc/PID/maps has no mapping: the process has ended, or it is a kernel thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the mappings of process {pid} could not be read: its maps has none. It has ended, or it is a \
     kernel thread; its stacks can't be unwound"
)]
pub struct NoMappings {
    /// The process.
    pub pid: i32,
}

/// The code of a process: what is kept of it between two samples.
///
/// After an exec, and for every new process, make a new one: it holds the code that the process
/// generates.
pub struct ProcessCode {
    pid: i32,
    /// The code that it generates.
    generated: Rc<Image>,
    last: Option<LastSpace>,
}

/// The address space of the last sample.
struct LastSpace {
    text: Box<[u8]>,
    space: Rc<AddressSpace>,
}

impl ProcessCode {
    /// The code of process `pid`, as this process knows it.
    pub fn new(pid: i32, images: &mut Images) -> Self {
        Self { pid, generated: images.generated(pid), last: None }
    }

    /// The address space that the text of /proc/PID/maps describes.
    ///
    /// Equal texts one after the other share it, and texts with equal executable mappings share all
    /// that is costly. New files are opened and their unwind tables read. Do that when the process runs
    /// on, but soon: a file that is unloaded and deleted meanwhile can no longer be opened by its path.
    ///
    /// # Errors
    /// If the text has no mapping. A file that can't be read is no error: see
    /// [`AddressSpace::unread`].
    pub fn space(
        &mut self,
        text: &[u8],
        images: &mut Images,
    ) -> Result<Rc<AddressSpace>, NoMappings> {
        if let Some(last) = self.last.as_ref().filter(|last| *last.text == *text) {
            return Ok(last.space.clone());
        }
        let headers = space::headers(text).ok_or(NoMappings { pid: self.pid })?;
        let code = match self.same_code(&headers) {
            Some(code) => code,
            None => self.new_code(&headers, images),
        };
        let space = Rc::new(AddressSpace::new(code, &headers));
        self.last = Some(LastSpace { text: text.into(), space: space.clone() });
        Ok(space)
    }

    fn same_code(&self, headers: &[MappingHeader<'_>]) -> Option<Rc<Code>> {
        let last = self.last.as_ref()?;
        let before = space::headers(&last.text)?;
        let exec = |header: &&MappingHeader<'_>| header.perms.exec;
        let same = headers.iter().filter(exec).eq(before.iter().filter(exec));
        same.then(|| last.space.code.clone())
    }

    fn new_code(&self, headers: &[MappingHeader<'_>], images: &mut Images) -> Rc<Code> {
        let regions = space::regions(self.pid, headers, &self.generated, images);
        if let Content::Generated(map) = &self.generated.content
            && regions.iter().any(|region| Rc::ptr_eq(&region.image, &self.generated))
        {
            map.borrow_mut().prepare();
        }
        images.make_room();
        Rc::new(Code::new(regions))
    }
}
