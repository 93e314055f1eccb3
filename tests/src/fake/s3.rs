//! A bucket: somebody else's service, as far as it is documented under `PutObject`, `GetObject`, `DeleteObject` and `ListObjectsV2`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use url::Url;

use super::{FakeService, Reply, Request};

/// Keys on a page of a list: few, so that there are several pages.
const PAGE: usize = 3;

/// The bucket's name.
pub const BUCKET: &str = "shop-backups";
/// The key that it takes.
pub const ACCESS_KEY: &str = "AKIAEXAMPLE";

#[derive(Default)]
struct State {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    puts: AtomicUsize,
    refuse_after: AtomicUsize,
    stumble: AtomicUsize,
}

impl State {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().expect("no test panics with the lock")
    }
}

/// A running bucket. It ends when dropped.
pub struct FakeBucket {
    service: FakeService,
    state: Arc<State>,
}

impl FakeBucket {
    /// Starts an empty bucket.
    pub async fn start() -> Self {
        let state = Arc::new(State::default());
        state.refuse_after.store(usize::MAX, Ordering::SeqCst);
        let shared = Arc::clone(&state);
        let service = FakeService::start(move |request| answer(&shared, request)).await;
        Self { service, state }
    }

    /// Where backups go: the bucket with a prefix.
    pub fn target(&self) -> String {
        format!(
            "s3://{BUCKET}/my-shop?region=eu-central-1&endpoint={}",
            self.service.url()
        )
    }

    /// The variables that a client needs.
    pub fn variable(name: &str) -> Option<String> {
        match name {
            "AWS_ACCESS_KEY_ID" => Some(ACCESS_KEY.to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
            _ => None,
        }
    }

    /// The keys of all objects, without the prefix.
    pub fn keys(&self) -> Vec<String> {
        let keys = self.state.objects();
        keys.keys()
            .map(|key| key.trim_start_matches("my-shop/").to_owned())
            .collect()
    }

    /// Changes or takes away an object.
    pub fn change(&self, key: &str, change: impl FnOnce(&mut Option<Vec<u8>>)) {
        let key = format!("my-shop/{key}");
        let mut objects = self.state.objects();
        let mut object = objects.remove(&key);
        change(&mut object);
        if let Some(object) = object {
            objects.insert(key, object);
        }
    }

    /// From now on it takes so many objects and then refuses (403), as a bucket whose quota is used up.
    pub fn refuse_after(&self, puts: usize) {
        let until = self.state.puts.load(Ordering::SeqCst) + puts;
        self.state.refuse_after.store(until, Ordering::SeqCst);
    }

    /// It answers 503 so many times.
    pub fn stumble(&self, times: usize) {
        self.state.stumble.store(times, Ordering::SeqCst);
    }
}

fn answer(state: &State, request: &Request) -> Reply {
    let Ok(url) = Url::parse(&format!("http://bucket{}", request.target)) else {
        return Reply::new(400, "InvalidURI");
    };
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let credential = query.get("X-Amz-Credential").map_or("", String::as_str);
    let signature = query.get("X-Amz-Signature").map_or(0, String::len);
    if !credential.starts_with(ACCESS_KEY)
        || !credential.contains("eu-central-1")
        || signature != 64
    {
        return Reply::new(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>");
    }
    let stumble = state
        .stumble
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| {
            times.checked_sub(1)
        });
    if stumble.is_ok() {
        return Reply::new(503, "<Error><Code>SlowDown</Code></Error>");
    }
    let encoded = url.path().trim_start_matches(&format!("/{BUCKET}"));
    let key = decoded(encoded.trim_start_matches('/'));
    match request.method.as_str() {
        "PUT" => {
            let number = state.puts.fetch_add(1, Ordering::SeqCst);
            if number >= state.refuse_after.load(Ordering::SeqCst) {
                return Reply::new(403, "<Error><Code>QuotaExceeded</Code></Error>");
            }
            state.objects().insert(key, request.body.clone());
            Reply::new(200, "")
        }
        "GET" if query.contains_key("list-type") => list(state, &query),
        "GET" => match state.objects().get(&key) {
            None => Reply::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
            Some(object) => {
                let last = request
                    .header("range")
                    .strip_prefix("bytes=0-")
                    .and_then(|last| last.parse::<usize>().ok());
                match last {
                    Some(last) => Reply::new(206, &object[..object.len().min(last + 1)]),
                    None => Reply::new(200, object.clone()),
                }
            }
        },
        "DELETE" => {
            state.objects().remove(&key);
            Reply::new(204, "")
        }
        _ => Reply::new(405, ""),
    }
}

fn list(state: &State, query: &BTreeMap<String, String>) -> Reply {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let after = query
        .get("continuation-token")
        .map(|token| token.trim_start_matches("after ").to_owned());
    let objects = state.objects();
    let mut keys = objects
        .keys()
        .filter(|key| key.starts_with(prefix) && after.as_ref().is_none_or(|after| *key > after));
    let page: Vec<&String> = keys.by_ref().take(PAGE).collect();
    let truncated = keys.next().is_some();
    let contents: String = page
        .iter()
        .map(|key| {
            let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
            format!("<Contents><Key>{encoded}</Key><Size>1</Size></Contents>")
        })
        .collect();
    let token = page
        .last()
        .filter(|_| truncated)
        .map(|last| format!("<NextContinuationToken>after {last}</NextContinuationToken>"))
        .unwrap_or_default();
    Reply::new(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><IsTruncated>{truncated}</IsTruncated>\
             <EncodingType>url</EncodingType>{token}{contents}</ListBucketResult>"
        ),
    )
}

fn decoded(path: &str) -> String {
    // A plus in a path is a plus.
    let pair = format!("={}", path.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map_or_else(String::new, |(_, key)| key.into_owned())
}
