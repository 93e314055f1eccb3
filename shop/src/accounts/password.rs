//! Passwords: which are accepted, and their hashing off the threads that serve requests.
//!
//! Argon2id (RFC 9106) with 19 MiB, two passes and one lane, as OWASP's password storage cheat sheet has it. A hash costs some
//! 20 ms of a whole processor, so that they are made by a few threads of their own, which the scheduler serves last: pages do not
//! wait for passwords. What does not fit into their queue is refused at once.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization as _;

use crate::web::error::{ApiError, Code};

/// Memory of a hash, in KiB.
const MEMORY: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Bytes of the salt.
const SALT: usize = 16;

/// Shortest password, in characters.
pub const SHORTEST: usize = 10;
/// Longest password, in characters.
pub const LONGEST: usize = 256;

/// Work that may wait for each thread: about two seconds of it.
const QUEUE_PER_THREAD: usize = 64;
/// Work that waited longer is not begun: whoever asked has gone, or will.
const PATIENCE: Duration = Duration::from_secs(8);
/// The lowest priority that Linux has.
const LAST: i32 = 19;

/// Passwords of ten characters and more that everybody tries first.
const COMMON: &[&str] = &[
    "0123456789",
    "0987654321",
    "1111111111",
    "1029384756",
    "123123123123",
    "1234512345",
    "1234567890",
    "12345678910",
    "1234567891",
    "123456789a",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "abcdefghij",
    "basketball",
    "changeme123",
    "football123",
    "iloveyou123",
    "letmein123",
    "password12",
    "password123",
    "password1234",
    "passw0rd123",
    "q1w2e3r4t5",
    "qwerty1234",
    "qwerty12345",
    "qwertyuiop",
    "qwertyuiop123",
    "welcome123",
    "woaini1314",
    "woaini520520",
    "zaq12wsxcde3",
];

/// A password as it is hashed: in one Unicode form (NFKC), so that it does not depend on the keyboard that typed it.
#[derive(Clone)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

impl Password {
    /// A password that somebody gives to be let in: any text, cut where it cannot be one.
    #[must_use]
    pub fn presented(text: &str) -> Self {
        Self(text.nfkc().take(LONGEST + 1).collect())
    }

    /// A password that somebody chooses. `email` is theirs: it is not a password.
    ///
    /// # Errors
    /// What is wrong with it, for the one who chooses.
    pub fn chosen(text: &str, email: &str) -> Result<Self, &'static str> {
        let password: String = text.nfkc().take(LONGEST + 1).collect();
        let count = password.chars().count();
        if count < SHORTEST {
            return Err("must have at least 10 characters");
        }
        if count > LONGEST {
            return Err("must have at most 256 characters");
        }
        let folded = password.to_lowercase();
        let first = folded.chars().next();
        let email = email.trim().to_lowercase();
        if folded.chars().all(|letter| Some(letter) == first)
            || COMMON.contains(&folded.as_str())
            || folded == email
        {
            return Err("is one of the first that anyone would try; choose another");
        }
        Ok(Self(password))
    }
}

enum Job {
    Hash(Password, oneshot::Sender<Option<String>>),
    Verify(Password, String, oneshot::Sender<bool>),
}

impl Job {
    fn is_awaited(&self) -> bool {
        match self {
            Self::Hash(_, answer) => !answer.is_closed(),
            Self::Verify(_, _, answer) => !answer.is_closed(),
        }
    }

    fn run(self) {
        // Nobody may be waiting any more.
        match self {
            Self::Hash(password, answer) => drop(answer.send(hash(&password))),
            Self::Verify(password, hash, answer) => drop(answer.send(verify(&password, &hash))),
        }
    }
}

/// The threads that hash. Clones share them.
#[derive(Debug, Clone)]
pub struct Passwords {
    queue: SyncSender<(Instant, Job)>,
    /// A hash of nobody's password, to be checked where there is no account.
    nobody: Arc<str>,
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Job(…)")
    }
}

impl Passwords {
    /// Starts the threads: half as many as there are processors.
    ///
    /// # Errors
    /// When no thread can be started, or the first hash cannot be made.
    pub fn start() -> std::io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = (processors / 2).max(1);
        let (queue, jobs) = sync_channel(QUEUE_PER_THREAD * threads);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..threads {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&jobs))?;
        }
        let random = Password(hex::encode(rand::random::<[u8; 32]>()));
        let nobody = hash(&random)
            .ok_or_else(|| std::io::Error::other("the first password hash could not be made"))?;
        Ok(Self {
            queue,
            nobody: nobody.into(),
        })
    }

    /// The hash of a password, as a PHC string.
    ///
    /// # Errors
    /// `overloaded` when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, ApiError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Job::Hash(password, answer))?;
        answered
            .await
            .map_err(|_| overloaded())?
            .ok_or_else(|| ApiError::new(Code::Internal).detail("a password could not be hashed"))
    }

    /// Whether a password is that of the hash. Without a hash it takes as long, and is not.
    ///
    /// # Errors
    /// `overloaded` when too many wait.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, ApiError> {
        let is_somebodys = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.as_ref().to_owned());
        let (answer, answered) = oneshot::channel();
        self.enqueue(Job::Verify(password, hash, answer))?;
        Ok(answered.await.map_err(|_| overloaded())? && is_somebodys)
    }

    fn enqueue(&self, job: Job) -> Result<(), ApiError> {
        self.queue
            .try_send((Instant::now(), job))
            .map_err(|error| match error {
                TrySendError::Full(_) => overloaded(),
                TrySendError::Disconnected(_) => {
                    ApiError::new(Code::Internal).detail("the threads for passwords ended")
                }
            })
    }
}

fn overloaded() -> ApiError {
    ApiError::new(Code::Overloaded).detail("too many people sign in at this moment")
}

/// Ends when the last [`Passwords`] is gone.
fn work(jobs: &Mutex<Receiver<(Instant, Job)>>) {
    // On Linux this is of the thread, not of the process. Where it is refused, hashing competes with pages as an equal.
    if let Err(error) = rustix::process::setpriority_process(None, LAST) {
        tracing::warn!(%error, "the threads for passwords have the priority of requests");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok((since, job)) if since.elapsed() < PATIENCE && job.is_awaited() => job.run(),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn hasher() -> Option<Argon2<'static>> {
    let parameters = Params::new(MEMORY, PASSES, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &Password) -> Option<String> {
    let salt: [u8; SALT] = rand::random();
    let hash = hasher()?
        .hash_password_with_salt(password.0.as_bytes(), &salt)
        .ok()?;
    Some(hash.to_string())
}

fn verify(password: &Password, hash: &str) -> bool {
    // The parameters are those of the hash, whatever they were when it was made.
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.0.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_the_parameters_that_are_documented_and_a_salt_of_its_own() {
        let password = Password::chosen("correct horse", "a@b.example").unwrap();
        let (one, other) = (hash(&password).unwrap(), hash(&password).unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(one.len() <= 255);
        assert!(verify(&password, &one) && verify(&password, &other));
        assert!(!verify(&Password::presented("correct horsf"), &one));
        assert!(!verify(&password, "not a hash"));
    }

    #[test]
    fn a_password_does_not_depend_on_the_keyboard() {
        let composed = Password::presented("Zürich-Straße");
        let decomposed = Password::presented("Zu\u{308}rich-Straße");
        assert!(verify(&decomposed, &hash(&composed).unwrap()));
    }

    #[test]
    fn a_password_that_is_guessed_first_is_refused() {
        for text in [
            "",
            "short",
            "aaaaaaaaaaaa",
            "Password123",
            "Ada@shop.example",
            &"x1".repeat(129),
        ] {
            assert!(
                Password::chosen(text, "ada@shop.example").is_err(),
                "{text}"
            );
        }
        assert!(Password::chosen("密码可以是一句很长的话", "ada@shop.example").is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_is_told_and_nobody_has_no_password() {
        let passwords = Passwords::start().unwrap();
        let password = Password::presented("correct horse");
        let hashed = passwords.hash(password.clone()).await.unwrap();
        assert!(
            passwords
                .verify(password.clone(), Some(hashed.clone()))
                .await
                .unwrap()
        );
        assert!(!passwords.verify(password.clone(), None).await.unwrap());
        let storm = (0..1000).map(|_| passwords.verify(password.clone(), Some(hashed.clone())));
        let answers = futures_util::future::join_all(storm).await;
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        assert!(refused > 0, "nobody was refused");
        assert!(refused < 1000, "everybody was refused");
        for answer in answers {
            match answer {
                Ok(right) => assert!(right),
                Err(error) => assert_eq!(error.code, Code::Overloaded),
            }
        }
    }
}
