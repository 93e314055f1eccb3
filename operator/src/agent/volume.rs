//! How much space a member's volume has.

use std::path::Path;

const MIB: u64 = 1024 * 1024;
/// Less than this is full: the server needs more for its next redo log or binary log.
const LEAST: u64 = 32 * MIB;

/// With less than this nothing can be written: the server waits for space, or refuses what its tables have none for.
const NOTHING: u64 = MIB;

/// Bytes that are free, and bytes in all.
fn space(volume: &Path) -> Option<(u64, u64)> {
    let seen = rustix::fs::statvfs(volume).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
    Some((bytes(seen.f_bavail), bytes(seen.f_blocks)))
}

/// Whether nothing can be written to it.
#[must_use]
pub fn is_exhausted(volume: &Path) -> bool {
    space(volume).is_some_and(|(free, _)| free < NOTHING)
}

/// Words for people about a volume that is full; nothing while it is not, or nobody knows.
#[must_use]
pub fn full(volume: &Path) -> Option<String> {
    let (free, all) = space(volume)?;
    words(free, all)
}

fn words(free: u64, all: u64) -> Option<String> {
    // Of a very small volume a twentieth.
    if free >= LEAST.min(all / 20) {
        return None;
    }
    Some(format!(
        "its volume is full: {} MiB of {} MiB are free; make spec.database.managed.storage.size larger",
        free / MIB,
        all / MIB
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_full_before_the_server_fails() {
        for (free, all, full) in [
            (0, 5000, true),
            (31, 5000, true),
            (32, 5000, false),
            (4, 100, true),
            (5, 100, false),
        ] {
            assert_eq!(
                words(free * MIB, all * MIB).is_some(),
                full,
                "{free} of {all}"
            );
        }
        assert_eq!(
            words(7 * MIB, 5120 * MIB).unwrap_or_default(),
            "its volume is full: 7 MiB of 5120 MiB are free; make spec.database.managed.storage.size larger"
        );
        assert_eq!(full(Path::new("/there/is/no/such/volume")), None);
    }
}
