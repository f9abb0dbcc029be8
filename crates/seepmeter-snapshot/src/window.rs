//! Single words out of large reads.

use crate::image::MemoryImage;

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// Reads words in the order of their addresses, mostly, and so reads much at once.
#[derive(Debug)]
pub struct Window<'i, 's> {
    image: &'i MemoryImage<'s>,
    /// Nothing from here on is read, or asked for.
    end: u64,
    start: u64,
    buffer: Vec<u8>,
    filled: usize,
}

impl<'i, 's> Window<'i, 's> {
    /// A window on the memory below `end`.
    #[must_use]
    pub fn new(image: &'i MemoryImage<'s>, end: u64) -> Self {
        Self { image, end, start: 0, buffer: Vec::new(), filled: 0 }
    }

    /// The word at an address; none if it can't be read or ends behind the window's end. The window moves
    /// there.
    #[must_use]
    pub fn word(&mut self, address: u64) -> Option<u64> {
        if let Some(word) = self.within(address) {
            return Some(word);
        }
        let room = self.end.checked_sub(address).filter(|&room| room >= 8)?;
        let want = WINDOW.min(usize::try_from(room).unwrap_or(WINDOW));
        self.buffer.resize(WINDOW, 0);
        self.filled = self.image.read(address, &mut self.buffer[..want]);
        self.start = address;
        self.within(address)
    }

    /// The same, and the window stays where it is.
    #[must_use]
    pub fn peek(&self, address: u64) -> Option<u64> {
        let room = self.end.checked_sub(address)?;
        self.within(address).or_else(|| self.image.word(address)).filter(|_| room >= 8)
    }

    fn within(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.buffer[..self.filled].get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}
