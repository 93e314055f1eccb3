//! Which keys a file has used, kept in a temporary file: an import of any size takes the same memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::xxh3_64;

/// Bytes of one slot: the key's hash and the value.
const SLOT: u64 = 16;
/// Slots to begin with.
const FIRST_SLOTS: u64 = 4_096;

/// A map from texts to numbers: a hash table with linear probing in a file that vanishes with it.
///
/// Keys are compared by 64 bits of XXH3: among a million keys two are mistaken for each other with a chance of one in
/// thirty million.
#[derive(Debug)]
pub struct SeenKeys {
    file: File,
    slots: u64,
    used: u64,
}

impl SeenKeys {
    /// An empty map.
    ///
    /// # Errors
    /// No temporary file can be made; `TMPDIR` names the folder.
    pub fn new() -> io::Result<Self> {
        Self::with_slots(FIRST_SLOTS)
    }

    fn with_slots(slots: u64) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        file.set_len(slots * SLOT)?;
        Ok(Self {
            file,
            slots,
            used: 0,
        })
    }

    /// Keeps a value for a key that has none. Gives the value that the key had.
    ///
    /// # Errors
    /// The temporary file cannot be read or written.
    pub fn insert(&mut self, key: &str, value: u64) -> io::Result<Option<u64>> {
        if self.used * 4 >= self.slots * 3 {
            self.grow()?;
        }
        self.insert_hash(hash(key), value)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, key: &str) -> io::Result<Option<u64>> {
        let (_, found) = self.find(hash(key))?;
        Ok(found)
    }

    fn insert_hash(&mut self, hash: u64, value: u64) -> io::Result<Option<u64>> {
        let (slot, found) = self.find(hash)?;
        if found.is_some() {
            return Ok(found);
        }
        let mut bytes = [0_u8; 16];
        let (key_bytes, value_bytes) = bytes.split_at_mut(8);
        key_bytes.copy_from_slice(&hash.to_le_bytes());
        value_bytes.copy_from_slice(&value.to_le_bytes());
        self.file.write_all_at(&bytes, slot * SLOT)?;
        self.used += 1;
        Ok(None)
    }

    /// The slot of a hash, and its value when it is taken. The table is never full, so the search ends.
    fn find(&self, hash: u64) -> io::Result<(u64, Option<u64>)> {
        let mut slot = hash & (self.slots - 1);
        loop {
            let (key, value) = self.read(slot)?;
            if key == 0 {
                return Ok((slot, None));
            }
            if key == hash {
                return Ok((slot, Some(value)));
            }
            slot = (slot + 1) & (self.slots - 1);
        }
    }

    fn read(&self, slot: u64) -> io::Result<(u64, u64)> {
        let mut key = [0_u8; 8];
        let mut value = [0_u8; 8];
        let mut bytes = [0_u8; 16];
        self.file.read_exact_at(&mut bytes, slot * SLOT)?;
        let (key_bytes, value_bytes) = bytes.split_at(8);
        key.copy_from_slice(key_bytes);
        value.copy_from_slice(value_bytes);
        Ok((u64::from_le_bytes(key), u64::from_le_bytes(value)))
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut larger = Self::with_slots(self.slots * 4)?;
        for slot in 0..self.slots {
            let (key, value) = self.read(slot)?;
            if key != 0 {
                larger.insert_hash(key, value)?;
            }
        }
        *self = larger;
        Ok(())
    }
}

/// Zero marks an empty slot.
fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_again_after_growth() {
        let mut seen = SeenKeys::new().unwrap();
        for number in 0..20_000_u64 {
            assert_eq!(seen.insert(&format!("sku-{number}"), number).unwrap(), None);
        }
        assert_eq!(seen.insert("sku-77", 1).unwrap(), Some(77));
        assert_eq!(seen.get("sku-19999").unwrap(), Some(19_999));
        assert_eq!(seen.get("another").unwrap(), None);
    }
}
