//! The one file of a `multipart/form-data` body (RFC 7578), as a form with a file field sends it. Pure.

use bytes::Bytes;

/// Longest boundary that RFC 2046 allows.
const LONGEST_BOUNDARY: usize = 70;
/// Longest head of a part that is looked at.
const LONGEST_HEAD: usize = 8 * 1024;
/// Most parts that are looked at.
const MOST_PARTS: usize = 16;

/// What `multipart/form-data` adds to the file at most: boundaries, heads and other small fields.
pub const OVERHEAD: usize = 64 * 1024;

/// Why a body holds no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The type does not say where parts begin.
    #[error("`Content-Type: multipart/form-data` needs a boundary")]
    Boundary,
    /// The body is not what its type says.
    #[error("the body is not multipart/form-data with the boundary that its type names")]
    Form,
    /// No part is a file.
    #[error(
        "no part of the form is a file: send one with a `filename`, as curl does with -F file=@picture.jpg"
    )]
    NoFile,
    /// Several parts are files.
    #[error("the form has several files: send one request for each")]
    SeveralFiles,
}

/// The bytes of the file.
///
/// # Errors
/// When there is not exactly one.
pub fn file(content_type: &str, body: &Bytes) -> Result<Bytes, UploadError> {
    let boundary = boundary(content_type).ok_or(UploadError::Boundary)?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning, without the line end that belongs to all others.
    let first = delimiter.trim_start();
    let mut at = if body.starts_with(first.as_bytes()) {
        first.len()
    } else {
        find(body, 0, delimiter.as_bytes()).ok_or(UploadError::Form)? + delimiter.len()
    };
    let mut found = None;
    for _ in 0..MOST_PARTS {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return found.ok_or(UploadError::NoFile);
        }
        if !rest.starts_with(b"\r\n") {
            return Err(UploadError::Form);
        }
        let head_end = find(body, at, b"\r\n\r\n")
            .filter(|end| end - at <= LONGEST_HEAD)
            .ok_or(UploadError::Form)?;
        let content = head_end + 4;
        let end = find(body, content, delimiter.as_bytes()).ok_or(UploadError::Form)?;
        if is_file(body.get(at..head_end).unwrap_or_default()) {
            if found.is_some() {
                return Err(UploadError::SeveralFiles);
            }
            found = Some(body.slice(content..end));
        }
        at = end + delimiter.len();
    }
    Err(UploadError::Form)
}

fn boundary(content_type: &str) -> Option<String> {
    let (_, parameters) = content_type.split_once(';')?;
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim())
    })?;
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    (!value.is_empty() && value.len() <= LONGEST_BOUNDARY).then(|| value.to_owned())
}

/// Whether the head of a part gives it a file name.
fn is_file(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).split("\r\n").any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("content-disposition")
                && value.split(';').skip(1).any(|parameter| {
                    let name = parameter.trim().to_ascii_lowercase();
                    name.starts_with("filename=") || name.starts_with("filename*=")
                })
        })
    })
}

fn find(body: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(body.get(from..)?, wanted).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xyz\"";

    fn read(content_type: &str, body: &str) -> Result<String, UploadError> {
        file(content_type, &Bytes::from(body.to_owned()))
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn the_file_is_found_among_other_fields() {
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"alt\"\r\n\r\na mug\r\n--xyz\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\
            --xyzz\r\n\r\nbytes\r\n--xyz--\r\n";
        assert_eq!(read(TYPE, body).unwrap(), "--xyzz\r\n\r\nbytes");
        let bare = body.replace("xyz", "b");
        assert_eq!(
            read("multipart/form-data;boundary=b", &bare).unwrap(),
            "--bz\r\n\r\nbytes"
        );
        assert_eq!(
            read(TYPE, &format!("preamble\r\n{body}")).unwrap(),
            "--xyzz\r\n\r\nbytes"
        );
    }

    #[test]
    fn what_is_no_form_with_one_file_is_told_apart() {
        let part =
            "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nx\r\n";
        let field = part.replace("; filename=\"a\"", "");
        for (content_type, body, error) in [
            (
                "multipart/form-data",
                part.to_owned(),
                UploadError::Boundary,
            ),
            (
                "multipart/form-data; boundary=",
                part.to_owned(),
                UploadError::Boundary,
            ),
            (TYPE, String::new(), UploadError::Form),
            (TYPE, "xyz".to_owned(), UploadError::Form),
            (TYPE, part.to_owned(), UploadError::Form),
            (TYPE, format!("{field}--xyz--"), UploadError::NoFile),
            (
                TYPE,
                format!("{part}{part}--xyz--"),
                UploadError::SeveralFiles,
            ),
            (TYPE, field.repeat(20), UploadError::Form),
        ] {
            assert_eq!(read(content_type, &body).unwrap_err(), error, "{body}");
        }
    }
}
