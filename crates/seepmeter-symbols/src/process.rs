//! A process whose stacks are looked at, from one look to the next.

use std::rc::Rc;

use seepmeter_maps::maps::Header;

use crate::code::Code;
use crate::image::{Content, Image};
use crate::images::Images;
use crate::space::{self, AddressSpace};

/// Why there is no address space.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text has no mapping: the process has ended, or it is none of user space.
    #[error(
        "the mappings of process {pid} could not be read: there are none in its maps. It has ended, \
         or it is a thread of the kernel; nothing of its stacks can be told"
    )]
    NoMappings {
        /// The process.
        pid: i32,
    },
}

/// A process: what is kept of it between two looks.
///
/// After an exec, and for every new process, a new one is made: the code that a process generates is
/// known by it.
pub struct Process {
    pid: i32,
    /// The code that it generates.
    generated: Rc<Image>,
    last: Option<Last>,
}

/// The last look.
struct Last {
    text: Box<[u8]>,
    space: Rc<AddressSpace>,
}

impl Process {
    /// The process `pid`, as this process knows it.
    pub fn new(pid: i32, images: &mut Images) -> Self {
        Self { pid, generated: images.generated(pid), last: None }
    }

    /// The address space that the text of /proc/PID/maps tells of.
    ///
    /// Equal texts one after the other share it, and texts with equal executable mappings share all
    /// that is costly. Files that are new in it are opened and their unwind tables read: that is
    /// better done when the process runs on, but soon, since what it unloads and deletes meanwhile can
    /// be opened by its path no more.
    ///
    /// # Errors
    /// Where the text has no mapping. A file that can't be read is no error: see
    /// [`AddressSpace::unread`].
    pub fn space(&mut self, text: &[u8], images: &mut Images) -> Result<Rc<AddressSpace>, Error> {
        if let Some(last) = self.last.as_ref().filter(|last| *last.text == *text) {
            return Ok(last.space.clone());
        }
        let headers = space::headers(text).ok_or(Error::NoMappings { pid: self.pid })?;
        let code = match self.same_code(&headers) {
            Some(code) => code,
            None => self.new_code(&headers, images),
        };
        let space = Rc::new(AddressSpace::new(code, &headers));
        self.last = Some(Last { text: text.into(), space: space.clone() });
        Ok(space)
    }

    fn same_code(&self, headers: &[Header<'_>]) -> Option<Rc<Code>> {
        let last = self.last.as_ref()?;
        let before = space::headers(&last.text)?;
        let exec = |header: &&Header<'_>| header.perms.exec;
        let same = headers.iter().filter(exec).eq(before.iter().filter(exec));
        same.then(|| last.space.code.clone())
    }

    fn new_code(&self, headers: &[Header<'_>], images: &mut Images) -> Rc<Code> {
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
