//! A folder as one stream of bytes, and back.
//!
//! ```text
//! 'D' | length of the path, u16 | path                                        a folder
//! 'F' | length of the path, u16 | path | size, u64 | so many bytes            a file
//! 'E' | how many of both, u64                                                 the end
//! ```
//!
//! Numbers are little endian. Paths are relative and have `/` between their parts. A stream without its end is not whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

/// Deepest folder within a folder: a data directory has two.
const MAXIMUM_DEPTH: usize = 16;
const BUFFER: usize = 256 * 1024;

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Files and folders.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Writes all of a folder but what `leave_out` names by its path from the folder. Nothing may change it meanwhile. `seen` is told
/// how many bytes of files went through.
///
/// # Errors
/// When something cannot be read or written, or a file changes its size meanwhile.
pub fn pack(
    root: &Path,
    leave_out: impl Fn(&str) -> bool,
    out: &mut impl Write,
    mut seen: impl FnMut(u64),
) -> io::Result<Packed> {
    let mut packed = Packed::default();
    let mut waiting = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = waiting.pop() {
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| invalid(format!("{} is not UTF-8", entry.path().display())))?;
            let path = format!("{prefix}{name}");
            if leave_out(&path) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth >= MAXIMUM_DEPTH {
                    return Err(invalid(format!("{path} is too deep")));
                }
                head(out, b'D', &path)?;
                waiting.push((entry.path(), format!("{path}/"), depth + 1));
            } else if kind.is_file() {
                let mut file = File::open(entry.path())?;
                let size = file.metadata()?.len();
                head(out, b'F', &path)?;
                out.write_all(&size.to_le_bytes())?;
                copy(&mut file, out, size, |more| {
                    packed.bytes += more;
                    seen(packed.bytes);
                })
                .map_err(|error| invalid(format!("{path}: {error}")))?;
            } else {
                // Sockets and pipes belong to processes; a link would lead out of the folder.
                return Err(invalid(format!("{path} is neither a file nor a folder")));
            }
            packed.entries += 1;
        }
    }
    out.write_all(b"E")?;
    out.write_all(&packed.entries.to_le_bytes())?;
    Ok(packed)
}

/// Makes a folder, which is not there yet, of a stream. Files are flushed to the disk.
///
/// # Errors
/// When the stream is damaged or ends early, names a path outside of the folder, or something cannot be written.
pub fn unpack(
    stream: &mut impl Read,
    root: &Path,
    mut seen: impl FnMut(u64),
) -> io::Result<Packed> {
    fs::create_dir(root)?;
    permit(root, 0o750)?;
    let mut packed = Packed::default();
    loop {
        let kind: [u8; 1] = take(stream)?;
        if kind == *b"E" {
            let entries = u64::from_le_bytes(take(stream)?);
            if entries != packed.entries || stream.read(&mut [0; 1])? != 0 {
                return Err(invalid("the end of the stream is damaged".to_owned()));
            }
            File::open(root)?.sync_all()?;
            return Ok(packed);
        }
        let length = u16::from_le_bytes(take(stream)?);
        let mut path = vec![0; usize::from(length)];
        stream.read_exact(&mut path)?;
        let path = inside(&path)?;
        let path = root.join(path);
        match kind {
            [b'D'] => {
                fs::create_dir(&path)?;
                permit(&path, 0o750)?;
            }
            [b'F'] => {
                let size = u64::from_le_bytes(take(stream)?);
                let mut file = File::create_new(&path)?;
                copy(stream, &mut file, size, |more| {
                    packed.bytes += more;
                    seen(packed.bytes);
                })?;
                file.sync_all()?;
                permit(&path, 0o640)?;
            }
            _ => return Err(invalid("the stream is damaged".to_owned())),
        }
        packed.entries += 1;
    }
}

fn head(out: &mut impl Write, kind: u8, path: &str) -> io::Result<()> {
    let length = u16::try_from(path.len()).map_err(|_| invalid(format!("{path} is too long")))?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(path.as_bytes())
}

fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    size: u64,
    mut seen: impl FnMut(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let chunk = buffer.get_mut(..most).unwrap_or_default();
        let count = from.read(chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(chunk.get(..count).unwrap_or_default())?;
        let count = u64::try_from(count).unwrap_or(left);
        left = left.saturating_sub(count);
        seen(count);
    }
    Ok(())
}

fn inside(path: &[u8]) -> io::Result<PathBuf> {
    let text = std::str::from_utf8(path).map_err(|_| invalid("a path is not UTF-8".to_owned()))?;
    let path = PathBuf::from(text);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain || text.is_empty() {
        return Err(invalid(format!("{text:?} leads out of the folder")));
    }
    Ok(path)
}

fn permit(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn take<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("shop")).unwrap();
        fs::write(folder.path().join("shop/orders.ibd"), vec![7; 300_000]).unwrap();
        fs::write(folder.path().join("empty"), b"").unwrap();
        fs::write(folder.path().join("auto.cnf"), b"identity").unwrap();
        folder
    }

    fn packed() -> Vec<u8> {
        let mut stream = Vec::new();
        let result = pack(
            folder().path(),
            |path| path == "auto.cnf",
            &mut stream,
            |_| (),
        )
        .unwrap();
        assert_eq!((result.entries, result.bytes), (3, 300_000));
        stream
    }

    #[test]
    fn a_folder_comes_back_without_what_was_left_out() {
        let target = tempfile::tempdir().unwrap();
        let root = target.path().join("data");
        let mut seen = 0;
        unpack(&mut packed().as_slice(), &root, |bytes| seen = bytes).unwrap();
        assert_eq!(
            fs::read(root.join("shop/orders.ibd")).unwrap(),
            vec![7; 300_000]
        );
        assert_eq!(fs::read(root.join("empty")).unwrap(), b"");
        assert!(!root.join("auto.cnf").exists());
        assert_eq!(seen, 300_000);
    }

    #[test]
    fn a_stream_that_is_cut_or_longer_is_refused() {
        let target = tempfile::tempdir().unwrap();
        let stream = packed();
        for length in [0, 1, 5, 200_000, stream.len() - 1] {
            let root = target.path().join(length.to_string());
            assert!(
                unpack(&mut &stream[..length], &root, |_| ()).is_err(),
                "{length}"
            );
        }
        let longer = [stream, vec![0]].concat();
        assert!(
            unpack(
                &mut longer.as_slice(),
                &target.path().join("longer"),
                |_| ()
            )
            .is_err()
        );
    }

    #[test]
    fn nothing_is_written_outside_of_the_folder() {
        let target = tempfile::tempdir().unwrap();
        for (at, path) in ["../x", "/tmp/x", "a/../../x", ""].iter().enumerate() {
            let mut stream = Vec::new();
            head(&mut stream, b'F', path).unwrap();
            stream.extend_from_slice(&0_u64.to_le_bytes());
            let root = target.path().join(at.to_string());
            let error = unpack(&mut stream.as_slice(), &root, |_| ()).unwrap_err();
            assert!(error.to_string().contains("out of the folder"), "{error}");
        }
    }

    #[test]
    fn a_link_is_refused() {
        let folder = folder();
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        assert!(pack(folder.path(), |_| false, &mut Vec::new(), |_| ()).is_err());
    }
}
