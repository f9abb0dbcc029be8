//! Reading a copy of a stack, and noticing if it is too short.

use crate::frame::StackCopy;

/// Reads words of a copied stack.
pub(crate) struct Reader<'a> {
    copy: StackCopy<'a>,
    /// Where the mapping that the stack lies in ends.
    limit: u64,
    /// How many bytes more would have been needed, if the stack goes on behind the copy.
    pub(crate) missing: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(copy: StackCopy<'a>, limit: u64) -> Self {
        Self { copy, limit, missing: 0 }
    }

    /// The word at `address`; an error if the copy does not hold it.
    pub(crate) fn read(&mut self, address: u64) -> Result<u64, ()> {
        let offset = address.checked_sub(self.copy.base).ok_or(())?;
        let word = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.copy.bytes.get(offset..offset.checked_add(8)?));
        match word {
            Some(word) => Ok(u64::from_ne_bytes(word.try_into().map_err(|_| ())?)),
            None => {
                self.note(offset);
                Err(())
            }
        }
    }

    fn note(&mut self, offset: u64) {
        let length = self.copy.bytes.len() as u64;
        let within = self.copy.base.checked_add(offset).is_some_and(|at| at < self.limit);
        if within {
            self.missing = self.missing.max((offset + 8).saturating_sub(length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_behind_the_copy_is_missing_only_where_the_stack_goes_on() {
        let copy = StackCopy { base: 0x1000, bytes: &[1; 16] };
        let mut reader = Reader::new(copy, 0x1020);
        assert_eq!(reader.read(0x1008), Ok(0x0101_0101_0101_0101));
        assert_eq!((reader.read(0xff8), reader.missing), (Err(()), 0));
        assert_eq!((reader.read(0x1020), reader.missing), (Err(()), 0));
        assert_eq!((reader.read(0x100c), reader.missing), (Err(()), 4));
        assert_eq!((reader.read(0x1018), reader.missing), (Err(()), 16));
        assert_eq!((reader.read(u64::MAX), reader.missing), (Err(()), 16));
    }
}
