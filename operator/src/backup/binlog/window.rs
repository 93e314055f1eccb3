//! Reading a file that grows in large pieces, however small what is asked for. Binary logs are only ever appended to, so what was
//! read once stays right.

use std::io::{self, Read, Seek, SeekFrom};

/// What is read at once, in bytes.
const PIECE: usize = 1024 * 1024;

/// A file, and the piece of it that was read last.
#[derive(Debug)]
pub(super) struct Window<F> {
    file: F,
    start: u64,
    bytes: Vec<u8>,
    /// How long the file is at least.
    length: u64,
}

impl<F: Read + Seek> Window<F> {
    pub(super) fn new(file: F) -> Self {
        Self {
            file,
            start: 0,
            bytes: Vec::new(),
            length: 0,
        }
    }

    /// So many bytes from `at` on; nothing while they are not all there.
    pub(super) fn get(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if self.held(at, length).is_none() {
            self.read(at, length.max(PIECE))?;
        }
        Ok(self.held(at, length))
    }

    fn held(&self, at: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }

    fn read(&mut self, at: u64, length: usize) -> io::Result<()> {
        self.bytes.clear();
        self.start = at;
        self.file.seek(SeekFrom::Start(at))?;
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        (&mut self.file).take(limit).read_to_end(&mut self.bytes)?;
        Ok(())
    }

    /// Whether the file is at least so long.
    pub(super) fn reaches(&mut self, end: u64) -> io::Result<bool> {
        if end > self.length {
            self.length = self.file.seek(SeekFrom::End(0))?;
        }
        Ok(end <= self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_was_not_there_is_found_when_the_file_has_grown() {
        let mut window = Window::new(Cursor::new(b"abc".to_vec()));
        assert_eq!(window.get(1, 2).unwrap(), Some(b"bc".as_slice()));
        assert_eq!(window.get(1, 3).unwrap(), None);
        assert!(!window.reaches(4).unwrap());
        window.file.get_mut().extend_from_slice(b"def");
        assert_eq!(window.get(1, 3).unwrap(), Some(b"bcd".as_slice()));
        assert!(window.reaches(6).unwrap() && !window.reaches(7).unwrap());
        assert_eq!(window.get(0, 6).unwrap(), Some(b"abcdef".as_slice()));
        assert_eq!(window.get(6, 1).unwrap(), None);
        assert_eq!(window.get(6, 0).unwrap(), Some(b"".as_slice()));
    }

    #[test]
    fn what_is_longer_than_a_piece_is_read_whole() {
        let long: Vec<u8> = (0..PIECE + 10)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let mut window = Window::new(Cursor::new(long.clone()));
        assert_eq!(window.get(0, long.len()).unwrap(), Some(long.as_slice()));
        assert_eq!(window.get(5, PIECE + 6).unwrap(), None);
        assert_eq!(window.get(5, PIECE).unwrap(), Some(&long[5..PIECE + 5]));
    }
}
