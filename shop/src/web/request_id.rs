//! One id for each request, from the edge to the log.

use std::cell::RefCell;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;

/// The header that carries it: set by the edge, returned with private answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a request.
const MAXIMUM_LENGTH: usize = 64;

tokio::task_local! {
    static CURRENT: RefCell<String>;
}

/// The id of the request that the current task serves.
#[must_use]
pub fn current() -> Option<String> {
    CURRENT.try_with(|id| id.borrow().clone()).ok()
}

/// Takes the request's id when it is a plain token, else makes a new one.
#[must_use]
pub fn accept(header: Option<&HeaderValue>) -> String {
    header
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty()
                && id.len() <= MAXIMUM_LENGTH
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map_or_else(generate, str::to_owned)
}

fn generate() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Middleware of private scopes: gives the id to the handler, its errors, and the answer.
///
/// # Errors
/// Those of the handler.
pub async fn middleware(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = accept(request.headers().get(HEADER));
    let value = HeaderValue::from_str(&id);
    CURRENT
        .scope(RefCell::new(id), async move {
            let mut response = next.call(request).await?;
            if let Ok(value) = value {
                response.headers_mut().insert(HEADER, value);
            }
            Ok(response)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_forge_a_log_line_is_replaced() {
        let hostile = HeaderValue::from_static("a b\"c");
        assert_eq!(accept(Some(&hostile)).len(), 32);
        let long = HeaderValue::from_str(&"a".repeat(65)).expect("letters are a value");
        assert_eq!(accept(Some(&long)).len(), 32);
        assert_eq!(accept(Some(&HeaderValue::from_static("abc-1"))), "abc-1");
        assert_ne!(accept(None), accept(None));
    }
}
