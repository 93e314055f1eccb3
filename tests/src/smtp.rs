//! A mail server that keeps what it is given: it speaks SMTP (RFC 5321), asks for a login where it is told to, and fails
//! where a test wants it to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::wait::wait_until;

/// How long a mail is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct ReceivedMail {
    /// The envelope's sender.
    pub sender: String,
    /// The envelope's recipients.
    pub recipients: Vec<String>,
    /// Head and body, as sent.
    pub source: String,
}

impl ReceivedMail {
    /// A field of the head, unfolded and decoded (RFC 2047); empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        header_of(&self.source, name)
    }

    /// The subject.
    #[must_use]
    pub fn subject(&self) -> String {
        self.header("Subject")
    }

    /// The id that tells repetitions.
    #[must_use]
    pub fn message_id(&self) -> String {
        self.header("Message-ID")
    }

    /// The body of this type, such as `text/plain`, decoded; empty when there is none.
    #[must_use]
    pub fn body(&self, content_type: &str) -> String {
        let (head, _) = split(&self.source);
        let boundary = header_of(head, "Content-Type")
            .split("boundary=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next().map(str::to_owned));
        let Some(boundary) = boundary else {
            return decoded_body(&self.source);
        };
        self.source
            .split(&format!("--{boundary}"))
            .skip(1)
            .map(|part| part.trim_start_matches("\r\n"))
            .find(|part| header_of(part, "Content-Type").starts_with(content_type))
            .map_or_else(String::new, decoded_body)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.body("text/plain")
    }

    /// The body as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        self.body("text/html")
    }

    /// The first address in the text that has `part` in it.
    #[must_use]
    pub fn link(&self, part: &str) -> Option<String> {
        let text = self.text();
        text.split_whitespace()
            .find(|word| word.starts_with("http") && word.contains(part))
            .map(str::to_owned)
    }
}

/// Where the server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Instead of its greeting.
    Greeting,
    /// After the password.
    Login,
    /// After MAIL FROM.
    Sender,
    /// After RCPT TO.
    Recipient,
    /// After the mail was given, which is then not kept.
    Content,
}

/// How the server fails, once.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It answers this, such as `450 4.2.1 later`.
    Answer(At, &'static str),
    /// It keeps the mail and closes the connection without an answer.
    LostAnswer,
    /// It takes the mail and says nothing more.
    Hang,
}

#[derive(Debug, Default)]
struct Shared {
    mails: Mutex<Vec<ReceivedMail>>,
    faults: Mutex<VecDeque<Fault>>,
    login: Mutex<Option<(String, String)>>,
    folder: Option<PathBuf>,
}

impl Shared {
    /// Takes the next fault out if it is one at this place.
    fn answer(&self, at: At) -> Option<&'static str> {
        let mut faults = self.faults.lock().expect("no test panics with the lock");
        match faults.front() {
            Some(Fault::Answer(place, text)) if *place == at => {
                let text = *text;
                faults.pop_front();
                Some(text)
            }
            _ => None,
        }
    }

    fn keep(&self, mail: ReceivedMail) {
        let mut mails = self.mails.lock().expect("no test panics with the lock");
        if let Some(folder) = &self.folder {
            let subject: String = mail
                .subject()
                .chars()
                .map(|letter| {
                    if letter.is_alphanumeric() {
                        letter
                    } else {
                        '-'
                    }
                })
                .take(60)
                .collect();
            let number = mails.len() + 1;
            for (end, text) in [("eml", mail.source.clone()), ("html", mail.html())] {
                let path = folder.join(format!("{number:04}-{subject}.{end}"));
                if let Err(error) = std::fs::write(&path, text) {
                    eprintln!("{}: {error}", path.display());
                }
            }
        }
        mails.push(mail);
    }
}

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl SmtpSink {
    /// Starts a server on a port of its own.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// As [`SmtpSink::start`]; mails are written into the folder as well, as `.eml` and `.html`.
    ///
    /// # Errors
    /// When no port is free, or the folder cannot be made.
    pub async fn into_folder(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        Self::start_with(Some(folder.to_owned())).await
    }

    async fn start_with(folder: Option<PathBuf>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder,
            ..Shared::default()
        });
        let for_sessions = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&for_sessions);
                tokio::spawn(async move {
                    // A client that goes away ends its session and nothing else.
                    let _ = session(stream, &shared).await;
                });
            }
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens, as the setting has it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The variables with which a worker sends its mails here.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("PANONO_SMTP_SERVER", self.address()),
            ("PANONO_SMTP_TLS", "none".to_owned()),
            (
                "PANONO_MAIL_FROM",
                "Panono <shop@panono.example>".to_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Demands this user and password from now on.
    pub fn demand_login(&self, user: &str, password: &str) {
        *self
            .shared
            .login
            .lock()
            .expect("no test panics with the lock") = Some((user.to_owned(), password.to_owned()));
    }

    /// Fails as told, one fault after the other, then no more.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared
            .faults
            .lock()
            .expect("no test panics with the lock")
            .extend(faults);
    }

    /// All mails so far.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.shared
            .mails
            .lock()
            .expect("no test panics with the lock")
            .clone()
    }

    /// All mails to an address so far.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<ReceivedMail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.recipients.iter().any(|to| to == address));
        mails
    }

    /// Waits for a mail to an address whose subject has `subject` in it, and gives the latest such.
    ///
    /// # Errors
    /// When none comes in a minute.
    pub async fn mail(&self, address: &str, subject: &str) -> Result<ReceivedMail> {
        let what = format!("a mail to {address} about {subject:?}");
        wait_until(&what, LIMIT, async || {
            let mails = self.mails_to(address);
            let subjects: Vec<String> = mails.iter().map(ReceivedMail::subject).collect();
            mails
                .into_iter()
                .rev()
                .find(|mail| mail.subject().contains(subject))
                .ok_or(subjects)
        })
        .await
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn session(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut stream = BufReader::new(stream);
    if let Some(answer) = shared.answer(At::Greeting) {
        return say(&mut stream, answer).await;
    }
    say(&mut stream, "220 sink.example ready").await?;
    let mut sender = None;
    let mut recipients = Vec::new();
    let mut known = false;
    while let Some(line) = line_of(&mut stream).await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let demands = shared
            .login
            .lock()
            .expect("no test panics with the lock")
            .clone();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                let login = if demands.is_some() {
                    "250-AUTH PLAIN\r\n"
                } else {
                    ""
                };
                say(
                    &mut stream,
                    &format!("250-sink.example\r\n{login}250-8BITMIME\r\n250 SIZE 10485760"),
                )
                .await?;
            }
            "HELO" | "NOOP" => say(&mut stream, "250 fine").await?,
            "AUTH" => {
                let given = line
                    .split(' ')
                    .nth(2)
                    .and_then(|text| STANDARD.decode(text).ok());
                let wanted = demands.map(|(user, password)| format!("\0{user}\0{password}"));
                known = given.is_some() && given == wanted.map(String::into_bytes);
                let answer = match shared.answer(At::Login) {
                    Some(answer) => answer,
                    None if known => "235 2.7.0 welcome",
                    None => "535 5.7.8 wrong user or password",
                };
                say(&mut stream, answer).await?;
            }
            "MAIL" if demands.is_some() && !known => {
                say(&mut stream, "530 5.7.0 log in first").await?;
            }
            "MAIL" => match shared.answer(At::Sender) {
                Some(answer) => say(&mut stream, answer).await?,
                None => {
                    sender = Some(address(&line));
                    recipients.clear();
                    say(&mut stream, "250 2.1.0 fine").await?;
                }
            },
            "RCPT" => match shared.answer(At::Recipient) {
                Some(answer) => say(&mut stream, answer).await?,
                None => {
                    recipients.push(address(&line));
                    say(&mut stream, "250 2.1.5 fine").await?;
                }
            },
            "DATA" if sender.is_none() || recipients.is_empty() => {
                say(&mut stream, "503 5.5.1 MAIL and RCPT come first").await?;
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let source = content(&mut stream).await?;
                if let Some(answer) = shared.answer(At::Content) {
                    say(&mut stream, answer).await?;
                    continue;
                }
                let fault = {
                    let mut faults = shared.faults.lock().expect("no test panics with the lock");
                    match faults.front() {
                        Some(Fault::LostAnswer | Fault::Hang) => faults.pop_front(),
                        _ => None,
                    }
                };
                if let Some(Fault::Hang) = fault {
                    // Until the client goes.
                    let _ = line_of(&mut stream).await;
                    return Ok(());
                }
                shared.keep(ReceivedMail {
                    sender: sender.take().unwrap_or_default(),
                    recipients: std::mem::take(&mut recipients),
                    source,
                });
                if let Some(Fault::LostAnswer) = fault {
                    return Ok(());
                }
                say(&mut stream, "250 2.0.0 kept").await?;
            }
            "RSET" => {
                sender = None;
                recipients.clear();
                say(&mut stream, "250 fine").await?;
            }
            "QUIT" => return say(&mut stream, "221 bye").await,
            _ => say(&mut stream, "502 5.5.1 not known here").await?,
        }
    }
    Ok(())
}

async fn say(stream: &mut BufReader<TcpStream>, text: &str) -> Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    Ok(())
}

async fn line_of(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8(bytes)?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Lines until a dot of its own; a dot that was doubled is one (RFC 5321, 4.5.2).
async fn content(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut text = String::new();
    loop {
        let line = line_of(stream).await?.context("the mail broke off")?;
        if line == "." {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push_str("\r\n");
    }
}

fn address(line: &str) -> String {
    line.split('<')
        .nth(1)
        .and_then(|rest| rest.split('>').next())
        .unwrap_or_default()
        .to_owned()
}

fn split(source: &str) -> (&str, &str) {
    source.split_once("\r\n\r\n").unwrap_or((source, ""))
}

fn header_of(source: &str, name: &str) -> String {
    let (head, _) = split(source);
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map_or_else(String::new, |(_, value)| words(value.trim()))
}

/// Encoded words of a head (RFC 2047), of which neighbours belong together.
fn words(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value;
    while let Some((before, word)) = rest.split_once("=?") {
        // White space between two encoded words does not count.
        if !before.trim().is_empty() || bytes.is_empty() {
            bytes.extend_from_slice(before.as_bytes());
        }
        let mut parts = word.splitn(3, '?');
        let (Some(_), Some(kind), Some(tail)) = (parts.next(), parts.next(), parts.next()) else {
            break;
        };
        let (text, after) = tail.split_once("?=").unwrap_or((tail, ""));
        if kind.eq_ignore_ascii_case("b") {
            bytes.extend(STANDARD.decode(text).unwrap_or_default());
        } else {
            bytes.extend(quoted_printable(&text.replace('_', " ")));
        }
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn decoded_body(source: &str) -> String {
    let (_, body) = split(source);
    let bytes = match header_of(source, "Content-Transfer-Encoding")
        .to_ascii_lowercase()
        .as_str()
    {
        "base64" => {
            let text: String = body.split_whitespace().collect();
            STANDARD.decode(text).unwrap_or_default()
        }
        "quoted-printable" => quoted_printable(body),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'=' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}
