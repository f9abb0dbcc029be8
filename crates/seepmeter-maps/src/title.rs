//! What a class is called for people.

use crate::class::{Class, DELETED, Kind};

impl Class {
    /// A group's name for people.
    #[must_use]
    pub fn title(&self) -> Vec<u8> {
        let with_perms = |text: &[u8]| match self.perms {
            Some(perms) => [text, b" ", perms.to_string().as_bytes()].concat(),
            None => text.to_vec(),
        };
        match self.kind {
            Kind::Heap => b"[heap]".to_vec(),
            Kind::MainStack => b"stack of the main thread".to_vec(),
            Kind::ThreadStack => {
                let tid = self.tid.unwrap_or_default().to_string();
                [b"stack of thread ", tid.as_bytes(), b" (", &self.name, b")"].concat()
            }
            Kind::Anonymous => match self.size {
                Some(size) => format!("anonymous, mapped {size}").into_bytes(),
                None => b"anonymous".to_vec(),
            },
            Kind::Reserved => b"reserved, without access".to_vec(),
            Kind::Arena => b"glibc arenas".to_vec(),
            Kind::Jit => b"JIT code (anonymous, executable)".to_vec(),
            Kind::Hugetlb => b"huge pages (hugetlb)".to_vec(),
            Kind::Deleted => with_perms(&[&self.name, DELETED].concat()),
            Kind::Named | Kind::Kernel | Kind::File | Kind::Shm | Kind::Memfd => {
                with_perms(&self.name)
            }
        }
    }
}
