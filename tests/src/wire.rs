//! HTTP/1.1 as it is on the wire: requests that no proper client would send, and answers with nothing tidied away.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Nothing that is sent here may take longer.
const LIMIT: Duration = Duration::from_secs(60);
const LONGEST_LINE: usize = 1 << 17;
const LONGEST_BODY: usize = 1 << 26;

/// A request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The request line or status line.
    pub start: String,
    /// The header lines in their order, names as they were sent.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
}

impl Message {
    /// The status of an answer.
    ///
    /// # Panics
    /// When this is not an answer.
    pub fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status line")
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header joined by a comma and a space, or nothing.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        if values.is_empty() {
            None
        } else {
            Some(values.join(", "))
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends these bytes on a connection of their own and returns the answer to them.
///
/// # Errors
/// When there is no whole answer within a minute.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Result<Message> {
    let exchanged = async {
        let mut stream = TcpStream::connect(address)
            .await
            .context("failed to connect")?;
        stream.write_all(request).await.context("failed to send")?;
        let mut reader = BufReader::new(stream);
        let mut message = Message::default();
        // At most a few interim answers (`100 Continue`) come before the answer.
        for _ in 0..5 {
            message = read_head(&mut reader)
                .await?
                .context("the connection was closed without an answer")?;
            if message.status() >= 200 {
                break;
            }
        }
        let bodiless = request.starts_with(b"HEAD ") || matches!(message.status(), 204 | 304);
        if !bodiless {
            read_body(&mut reader, &mut message, true).await?;
        }
        Ok(message)
    };
    tokio::time::timeout(LIMIT, exchanged)
        .await
        .context("no answer within a minute")?
}

/// A request with these headers, which closes its connection afterwards.
pub async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Message> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    exchange(address, request.as_bytes())
        .await
        .with_context(|| format!("{method} {target}"))
}

/// Reads the first line and the headers; nothing if the connection ended before them.
///
/// # Errors
/// When the connection fails or what arrives is not HTTP.
pub async fn read_head(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Message>> {
    let mut message = Message {
        start: read_line(reader).await?,
        ..Message::default()
    };
    if message.start.is_empty() {
        return Ok(None);
    }
    loop {
        let line = read_line(reader).await?;
        if line.is_empty() {
            return Ok(Some(message));
        }
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("not a header: {line:?}"))?;
        message
            .headers
            .push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads the body that the headers announce; `until_closed` when they may announce none and the connection ends it.
///
/// # Errors
/// When the connection ends within the body.
pub async fn read_body(
    reader: &mut (impl AsyncBufRead + Unpin),
    message: &mut Message,
    until_closed: bool,
) -> Result<()> {
    if message
        .header("Transfer-Encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        loop {
            let line = read_line(reader).await?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .context("not a chunk")?;
            read_exact(reader, &mut message.body, size).await?;
            ensure!(read_line(reader).await?.is_empty(), "a chunk does not end");
            if size == 0 {
                return Ok(());
            }
        }
    }
    if let Some(length) = message.header("Content-Length") {
        return read_exact(
            reader,
            &mut message.body,
            length.parse().context("not a length")?,
        )
        .await;
    }
    if until_closed {
        reader
            .take(LONGEST_BODY as u64)
            .read_to_end(&mut message.body)
            .await
            .context("failed to read a body")?;
    }
    Ok(())
}

async fn read_exact(
    reader: &mut (impl AsyncRead + Unpin),
    body: &mut Vec<u8>,
    size: usize,
) -> Result<()> {
    ensure!(
        body.len() + size <= LONGEST_BODY,
        "a body of more than {LONGEST_BODY} bytes"
    );
    let start = body.len();
    body.resize(start + size, 0);
    reader
        .read_exact(&mut body[start..])
        .await
        .context("the connection ended within a body")?;
    Ok(())
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<String> {
    let mut line = Vec::new();
    loop {
        let buffer = reader.fill_buf().await.context("failed to read a line")?;
        if buffer.is_empty() {
            break;
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        line.extend_from_slice(&buffer[..used]);
        reader.consume(used);
        if end.is_some() {
            break;
        }
        if line.len() > LONGEST_LINE {
            bail!("a line of more than {LONGEST_LINE} bytes");
        }
    }
    while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
