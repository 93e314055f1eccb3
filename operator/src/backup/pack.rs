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
                copy(&mut file, size, |piece| {
                    out.write_all(piece)?;
                    packed.bytes += bytes_of(piece);
                    seen(packed.bytes);
                    Ok::<_, io::Error>(())
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

/// Why there is no folder of a stream.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The stream is damaged, ends early, or cannot be read.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// The disk failed, which says nothing of the stream.
    #[error("failed to write {0:?}: {1}")]
    Disk(PathBuf, io::Error),
}

/// Makes a folder, which is not there yet, of a stream. Files are flushed to the disk.
///
/// # Errors
/// When the stream is damaged or ends early, names a path outside of the folder, or something cannot be written.
pub fn unpack(
    stream: &mut impl Read,
    root: &Path,
    mut seen: impl FnMut(u64),
) -> Result<Packed, UnpackError> {
    make_folder(root)?;
    let mut packed = Packed::default();
    loop {
        let kind: [u8; 1] = take(stream)?;
        if kind == *b"E" {
            let entries = u64::from_le_bytes(take(stream)?);
            if entries != packed.entries || stream.read(&mut [0; 1])? != 0 {
                return Err(invalid("the end of the stream is damaged".to_owned()).into());
            }
            File::open(root)
                .and_then(|folder| folder.sync_all())
                .map_err(disk(root))?;
            return Ok(packed);
        }
        let length = u16::from_le_bytes(take(stream)?);
        let mut path = vec![0; usize::from(length)];
        stream.read_exact(&mut path)?;
        let path = inside(&path)?;
        let path = root.join(path);
        match kind {
            [b'D'] => make_folder(&path)?,
            [b'F'] => {
                let size = u64::from_le_bytes(take(stream)?);
                let mut file = File::create_new(&path).map_err(disk(&path))?;
                copy(stream, size, |piece| {
                    file.write_all(piece).map_err(disk(&path))?;
                    packed.bytes += bytes_of(piece);
                    seen(packed.bytes);
                    Ok::<_, UnpackError>(())
                })?;
                file.sync_all()
                    .and_then(|()| permit(&path, 0o640))
                    .map_err(disk(&path))?;
            }
            _ => return Err(invalid("the stream is damaged".to_owned()).into()),
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

/// Reads so many bytes, piece by piece. What fails with a piece keeps its kind of error.
fn copy<E: From<io::Error>>(
    from: &mut impl Read,
    size: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = vec![0; BUFFER];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let chunk = buffer.get_mut(..most).unwrap_or_default();
        let count = from.read(chunk)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let piece = chunk.get(..count).unwrap_or_default();
        take(piece)?;
        left = left.saturating_sub(bytes_of(piece));
    }
    Ok(())
}

fn bytes_of(piece: &[u8]) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

fn make_folder(path: &Path) -> Result<(), UnpackError> {
    fs::create_dir(path)
        .and_then(|()| permit(path, 0o750))
        .map_err(disk(path))
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_owned();
    move |error| UnpackError::Disk(path, error)
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
            let error = unpack(&mut &stream[..length], &root, |_| ()).unwrap_err();
            assert!(matches!(error, UnpackError::Stream(_)), "{length}: {error}");
        }
        let longer = [stream, vec![0]].concat();
        let root = target.path().join("longer");
        let error = unpack(&mut longer.as_slice(), &root, |_| ()).unwrap_err();
        assert!(matches!(error, UnpackError::Stream(_)), "{error}");
    }

    /// A good stream on a bad disk is not called damaged.
    #[test]
    fn what_cannot_be_written_is_the_disks_fault() {
        let target = tempfile::tempdir().unwrap();
        let nowhere = target.path().join("missing/data");
        let error = unpack(&mut packed().as_slice(), &nowhere, |_| ()).unwrap_err();
        assert!(matches!(&error, UnpackError::Disk(path, _) if *path == nowhere));

        let mut stream = Vec::new();
        head(&mut stream, b'F', &"long".repeat(100)).unwrap();
        stream.extend_from_slice(&0_u64.to_le_bytes());
        let root = target.path().join("data");
        let error = unpack(&mut stream.as_slice(), &root, |_| ()).unwrap_err();
        assert!(matches!(error, UnpackError::Disk(..)), "{error}");

        let full = |_: &[u8]| {
            let error = io::Error::from(io::ErrorKind::StorageFull);
            Err(UnpackError::Disk(PathBuf::new(), error))
        };
        let error = copy(&mut [0; 9].as_slice(), 9, full).unwrap_err();
        assert!(matches!(error, UnpackError::Disk(..)), "{error}");
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
