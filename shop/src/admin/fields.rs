//! Reading request bodies: every field that is wrong is named at once, by its JSON pointer (RFC 6901).

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::web::error::{ApiError, Code, FieldError};

/// Largest body that is read, in bytes.
pub const LARGEST_BODY: usize = 1024 * 1024;

/// Most items in an array of a body.
pub const MOST_ITEMS: usize = 1000;

/// What a body is read into.
pub trait FromBody: Sized {
    /// Takes the fields out of the object. `None` only after an error was noted.
    fn read(object: &mut Object<'_>) -> Option<Self>;
}

/// A JSON object of which fields are taken one by one; what is left is unknown.
#[derive(Debug)]
pub struct Object<'e> {
    fields: Map<String, Value>,
    path: String,
    errors: &'e mut Vec<FieldError>,
}

impl Object<'_> {
    /// Notes an error of a field, or of the object itself when the name is empty.
    pub fn error(&mut self, name: &str, message: impl Into<String>) {
        let field = if name.is_empty() {
            self.path.clone()
        } else {
            pointer(&self.path, name)
        };
        self.errors.push(FieldError {
            field,
            message: message.into(),
        });
    }

    /// The names of the fields that are left.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// Whether the field is there, `null` or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Notes an error of something within a field, by the pointer from the field to it.
    pub fn error_below(&mut self, name: &str, below: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("{}{below}", pointer(&self.path, name)),
            message: message.into(),
        });
    }

    /// Whether the field is `null`, which is taken out then; `None` when it is absent.
    pub fn is_null(&mut self, name: &str) -> Option<bool> {
        let is_null = self.fields.get(name)?.is_null();
        if is_null {
            self.fields.remove(name);
        }
        Some(is_null)
    }

    /// A field that must be there.
    pub fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        match self.fields.remove(name) {
            Some(value) => self.value(name, value, read),
            None => {
                self.error(name, "is missing");
                None
            }
        }
    }

    /// A field that may be absent but not `null`. The outer `None` says that an error was noted.
    pub fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.fields.remove(name) {
            None => Some(None),
            Some(value) => self.value(name, value, read).map(Some),
        }
    }

    /// A field that may be absent (nothing changes) or `null` (the value is removed), as RFC 7396 has it.
    pub fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<Option<Option<T>>> {
        match self.fields.remove(name) {
            None => Some(None),
            Some(Value::Null) => Some(Some(None)),
            Some(value) => self.value(name, value, read).map(|value| Some(Some(value))),
        }
    }

    fn value<T>(
        &mut self,
        name: &str,
        value: Value,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        read(value)
            .map_err(|message| self.error(name, message))
            .ok()
    }

    /// An object inside. `None` when it is absent (with an error if it is required) or has errors.
    pub fn object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Object<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.fields.remove(name) {
            Some(value) => {
                let path = pointer(&self.path, name);
                object(value, path, self.errors, read)
            }
            None => {
                self.error(name, "is missing");
                None
            }
        }
    }

    /// An array of objects that must be there.
    pub fn objects<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Object<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.required(name, array)?;
        let path = pointer(&self.path, name);
        let mut whole = true;
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match object(
                item,
                pointer(&path, &index.to_string()),
                self.errors,
                &mut read,
            ) {
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }
}

fn object<T>(
    value: Value,
    path: String,
    errors: &mut Vec<FieldError>,
    read: impl FnOnce(&mut Object<'_>) -> Option<T>,
) -> Option<T> {
    let Value::Object(fields) = value else {
        errors.push(FieldError {
            field: path,
            message: "must be an object".to_owned(),
        });
        return None;
    };
    let before = errors.len();
    let mut object = Object {
        fields,
        path,
        errors,
    };
    let read = read(&mut object);
    for name in object.names() {
        object.error(&name, "is not a field that is known here");
    }
    read.filter(|_| errors.len() == before)
}

fn pointer(path: &str, name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A text of so many characters, without control characters other than line ends and tabs.
pub fn text(minimum: usize, maximum: usize) -> impl Fn(Value) -> Result<String, String> {
    move |value| {
        let Value::String(text) = value else {
            return Err("must be a string".to_owned());
        };
        let length = text.chars().count();
        if text
            .chars()
            .any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t'))
        {
            return Err("must not have control characters".to_owned());
        }
        if length > maximum || length < minimum || (minimum > 0 && text.trim().is_empty()) {
            return Err(format!("must have {minimum} to {maximum} characters"));
        }
        Ok(text)
    }
}

/// A text that fits a column of so many bytes.
pub fn long_text(maximum_bytes: usize) -> impl Fn(Value) -> Result<String, String> {
    move |value| {
        let text = text(0, maximum_bytes)(value)?;
        if text.len() > maximum_bytes {
            return Err(format!("must have at most {maximum_bytes} bytes in UTF-8"));
        }
        Ok(text)
    }
}

/// A text that a type reads.
pub fn parsed<T>(value: Value) -> Result<T, String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    match value {
        Value::String(text) => text.parse().map_err(|error: T::Err| error.to_string()),
        _ => Err("must be a string".to_owned()),
    }
}

/// A text that a function reads.
pub fn parsed_with<T, E: std::fmt::Display>(
    read: impl Fn(&str) -> Result<T, E>,
) -> impl Fn(Value) -> Result<T, String> {
    move |value| match value {
        Value::String(text) => read(&text).map_err(|error| error.to_string()),
        _ => Err("must be a string".to_owned()),
    }
}

/// An integer within bounds, both included.
pub fn integer(minimum: i64, maximum: i64) -> impl Fn(Value) -> Result<i64, String> {
    move |value| {
        value
            .as_i64()
            .filter(|number| (minimum..=maximum).contains(number))
            .ok_or_else(|| format!("must be an integer from {minimum} to {maximum}"))
    }
}

/// An integer of a column of 32 bits.
pub fn small_integer(value: Value) -> Result<i32, String> {
    let number = integer(i64::from(i32::MIN), i64::from(i32::MAX))(value)?;
    i32::try_from(number).map_err(|error| error.to_string())
}

/// The number of a row.
pub fn id(value: Value) -> Result<i64, String> {
    integer(1, i64::MAX)(value)
}

/// Largest amount of money, in minor units: far from where sums of an order overflow.
const LARGEST_AMOUNT: i64 = 1_000_000_000_000_000;

/// An amount of money in minor units.
pub fn amount(value: Value) -> Result<i64, String> {
    integer(0, LARGEST_AMOUNT)(value)
}

/// `true` or `false`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a reader takes the value out of its object"
)]
pub fn boolean(value: Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| "must be true or false".to_owned())
}

/// An instant of RFC 3339, in microseconds: what the database keeps.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a reader takes the value out of its object"
)]
pub fn instant(value: Value) -> Result<OffsetDateTime, String> {
    let wrong = || {
        "must be an instant such as 2030-01-31T12:00:00Z, from the years 1970 to 9999".to_owned()
    };
    let text = value.as_str().ok_or_else(wrong)?;
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|instant| instant.checked_to_offset(time::UtcOffset::UTC))
        .ok_or_else(wrong)?;
    if !(1970..=9999).contains(&instant.year()) {
        return Err(wrong());
    }
    Ok(microseconds(instant))
}

/// The instant without what the database does not keep.
#[must_use]
pub fn microseconds(instant: OffsetDateTime) -> OffsetDateTime {
    instant
        .replace_nanosecond(instant.microsecond() * 1000)
        .unwrap_or(instant)
}

/// An array of bounded length.
pub fn array(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(items) if items.len() <= MOST_ITEMS => Ok(items),
        Value::Array(_) => Err(format!("must have at most {MOST_ITEMS} items")),
        _ => Err("must be an array".to_owned()),
    }
}

/// An array of different values. The message of a wrong one names its place.
pub fn list<T: PartialEq>(
    read: impl Fn(Value) -> Result<T, String>,
) -> impl Fn(Value) -> Result<Vec<T>, String> {
    move |value| {
        let mut values: Vec<T> = Vec::new();
        for (index, item) in array(value)?.into_iter().enumerate() {
            let value = read(item).map_err(|message| format!("item {index} {message}"))?;
            if values.contains(&value) {
                return Err(format!("item {index} is there twice"));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// A body that was read.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// Reads a body from its bytes.
///
/// # Errors
/// `invalid_body` with line and column when it is not JSON; `invalid_request` with all wrong fields.
pub fn read_body<T: FromBody>(bytes: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        // The text of the error ends with "at line … column …" and holds nothing of the body.
        ApiError::new(Code::InvalidBody).detail(format!("the body is not JSON: {error}"))
    })?;
    let mut errors = Vec::new();
    let read = object(value, String::new(), &mut errors, T::read);
    match read {
        Some(value) if errors.is_empty() => Ok(value),
        _ => {
            let mut error = ApiError::new(Code::InvalidRequest)
                .detail("correct the fields in `errors`, then send it again");
            error.fields = errors;
            Err(error)
        }
    }
}

impl<T: FromBody + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = media_type(request);
        let body = read_bytes(request, payload, LARGEST_BODY);
        Box::pin(async move {
            if !matches!(
                media_type.as_str(),
                "application/json" | "application/merge-patch+json"
            ) {
                return Err(ApiError::new(Code::UnsupportedMediaType)
                    .detail("send `Content-Type: application/json` (or application/merge-patch+json with PATCH)"));
            }
            read_body(&body.await?).map(Self)
        })
    }
}

/// The type of a request's body, without parameters, in lower case.
#[must_use]
pub fn media_type(request: &HttpRequest) -> String {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default()
}

/// The bytes of a body, refused as soon as they are known to be too many.
pub fn read_bytes(
    request: &HttpRequest,
    payload: &mut Payload,
    maximum: usize,
) -> impl Future<Output = Result<Vec<u8>, ApiError>> + use<> {
    let too_large = move || {
        ApiError::new(Code::TooLarge).detail(format!("a body here has at most {maximum} bytes"))
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    let mut payload = payload.take();
    async move {
        if announced.is_some_and(|length| length > maximum) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|_| ApiError::new(Code::InvalidBody).detail("the body broke off"))?;
            if bytes.len() + chunk.len() > maximum {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        name: String,
        count: Option<i64>,
        note: Option<Option<String>>,
        inner: Vec<i64>,
    }

    impl FromBody for Sample {
        fn read(object: &mut Object<'_>) -> Option<Self> {
            let name = object.required("name", text(1, 5));
            let count = object.optional("count", integer(0, 10));
            let note = object.nullable("note", text(0, 5));
            let inner = object.objects("inner", |object| object.required("a/b", integer(0, 9)));
            Some(Self {
                name: name?,
                count: count?,
                note: note?,
                inner: inner?,
            })
        }
    }

    fn fields(body: &str) -> Vec<(String, String)> {
        let error = read_body::<Sample>(body.as_bytes()).unwrap_err();
        error
            .fields
            .into_iter()
            .map(|field| (field.field, field.message))
            .collect()
    }

    #[test]
    fn an_instant_is_one_that_can_be_kept() {
        let read = |text: &str| instant(Value::from(text));
        for text in [
            "9999-12-31T23:59:59-01:00",
            "1970-01-01T00:00:00+01:00",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("9999-12-31T23:59:59Z").is_ok());
    }

    #[test]
    fn reads_a_body_and_tells_absent_from_null() {
        let read = |body: &str| read_body::<Sample>(body.as_bytes()).unwrap();
        let sample = read(r#"{"name":"x","note":null,"inner":[{"a/b":3}]}"#);
        assert_eq!(
            (sample.note, sample.count, sample.inner),
            (Some(None), None, vec![3])
        );
        assert_eq!(read(r#"{"name":"x","inner":[]}"#).note, None);
    }

    #[test]
    fn names_every_wrong_field_at_once_by_pointer() {
        let wrong = fields(
            r#"{"name":"too long","count":11,"other":1,"inner":[{"a/b":3},{"a/b":"x"},5,{"a/b":1,"c":1}]}"#,
        );
        let pointers: Vec<&str> = wrong.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/name",
                "/count",
                "/inner/1/a~1b",
                "/inner/2",
                "/inner/3/c",
                "/other"
            ]
        );
        assert_eq!(
            fields(r#"{"inner":[]}"#),
            [("/name".to_owned(), "is missing".to_owned())]
        );
        assert_eq!(
            fields("[]"),
            [(String::new(), "must be an object".to_owned())]
        );
    }

    #[test]
    fn tells_where_json_breaks() {
        let error = read_body::<Sample>(b"{\n \"name\": }").unwrap_err();
        assert_eq!(error.code, Code::InvalidBody);
        assert!(error.detail.unwrap().contains("line 2 column 10"));
        let deep = "[".repeat(100_000);
        assert_eq!(
            read_body::<Sample>(deep.as_bytes()).unwrap_err().code,
            Code::InvalidBody
        );
    }

    #[test]
    fn instants_are_kept_in_microseconds() {
        let read = |text: &str| instant(Value::String(text.to_owned()));
        assert_eq!(
            read("2030-01-01T00:00:00.1234567+02:00").unwrap(),
            time::macros::datetime!(2029-12-31 22:00:00.123456 UTC)
        );
        for wrong in [
            "2030-01-01",
            "soon",
            "1969-12-31T00:00:00Z",
            "2030-02-30T00:00:00Z",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_has_no_value_twice() {
        assert_eq!(list(id)(serde_json::json!([1, 2])), Ok(vec![1, 2]));
        assert_eq!(
            list(id)(serde_json::json!([1, 1])).unwrap_err(),
            "item 1 is there twice"
        );
        assert!(
            list(id)(serde_json::json!([0]))
                .unwrap_err()
                .starts_with("item 0 must be")
        );
    }
}
