//! Private pages: a domain's content within the storefront's frame.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError as _, web};
use askama::Template;

use super::texts::texts;
use super::{Answer, PrivateState, see_other};
use crate::storefront::i18n::Locale;
use crate::storefront::money::Currency;
use crate::storefront::urls::{Urls, encode_component, join};
use crate::storefront::view::Site;
use crate::storefront::{self};
use crate::web::error::{ApiError, Code};
use crate::web::public::menu;

/// Where a visitor is: the language and the currency of a private page, and its address. An extractor: pages in languages that
/// the shop does not offer are not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The language.
    pub locale: Locale,
    /// The currency that prices around the content are in.
    pub currency: Currency,
    /// The currency of addresses that name none.
    pub default_currency: Currency,
    /// The address after the language, such as `/cart`.
    pub path: String,
}

impl Place {
    fn of(request: &HttpRequest, site: &Site) -> Option<Self> {
        let (segment, path) = split(request.path());
        let locale = Locale::from_segment(segment)?;
        site.locales.contains(&locale).then(|| Self {
            locale,
            currency: currency(request.query_string(), site),
            default_currency: site.default_currency(),
            path: path.to_owned(),
        })
    }

    /// The public pages beside this one.
    #[must_use]
    pub const fn urls(&self) -> Urls {
        Urls {
            locale: self.locale,
            currency: self.currency,
            default_currency: self.default_currency,
        }
    }

    /// The address of a private page in the same language and currency, such as `/account` to `/en/account`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        private_url(&self.urls(), path)
    }

    /// The address of this page.
    #[must_use]
    pub fn own_url(&self) -> String {
        self.url(&self.path)
    }
}

impl FromRequest for Place {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<PrivateState>>();
        let place = state.and_then(|state| Self::of(request, &state.site));
        ready(place.ok_or_else(|| ApiError::new(Code::NotFound)))
    }
}

/// `/en/cart` to `en` and `/cart`.
fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    match path.find('/') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    }
}

fn currency(query: &str, site: &Site) -> Currency {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "currency")
        .and_then(|(_, code)| code.parse::<Currency>().ok())
        .filter(|currency| site.currencies.contains(currency))
        .unwrap_or(site.default_currency())
}

fn private_url(urls: &Urls, path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parameter = urls
        .currency_parameter()
        .map(|code| format!("currency={code}"));
    let parameters: Vec<&str> = parameter
        .as_deref()
        .into_iter()
        .chain((!query.is_empty()).then_some(query))
        .collect();
    join(
        format!("/{}{path}", urls.locale.segment()),
        &parameters.join("&"),
    )
}

impl PrivateState {
    /// A page: `content` within the storefront's header and footer. `title` is its name in the browser's tab.
    ///
    /// # Errors
    /// When it cannot be rendered, which is a defect.
    pub async fn page(
        &self,
        place: &Place,
        status: StatusCode,
        title: &str,
        content: &impl Template,
    ) -> Answer {
        let content = content.render().map_err(ApiError::internal)?;
        let frame = menu::frame(&self.public, place.locale, place.currency).await;
        let html = storefront::private(title, &content, &self.site, &frame, &|urls| {
            private_url(urls, &place.path)
        })
        .map_err(ApiError::internal)?;
        Ok(HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(html))
    }
}

texts! {
    /// Sentences of pages that say what went wrong.
    ErrorTexts {
        cross_site_title: "Please try that again" => "请重新操作",
        cross_site_text: "For your safety we only accept this from our own pages. Open the shop again and repeat it there."
            => "为保护您的安全，我们只接受来自本店页面的操作。请重新打开本店后再试。",
        busy_title: "One moment, please" => "请稍等片刻",
        busy_text: "There were too many attempts. Please wait a little and try again."
            => "尝试次数过多，请稍候再试。",
        refused_title: "That did not work" => "操作未完成",
        refused_text: "What was sent is not something this page understands. Go back and try again."
            => "页面无法识别所提交的内容，请返回后重试。",
        changed_title: "This has changed in the meantime" => "内容已发生变化",
        changed_text: "Go back and reload the page to see how it stands now."
            => "请返回并刷新页面，查看最新情况。",
        not_found_title: "This page does not exist" => "页面不存在",
        not_found_text: "The address may be mistyped, or it is meant for someone else."
            => "地址可能有误，或者该页面不属于当前账户。",
        unavailable_title: "We will be right back" => "我们马上回来",
        unavailable_text: "The shop cannot do this at the moment. Nothing was lost; please try again in a minute."
            => "商店暂时无法处理该操作。您的信息没有丢失，请一分钟后再试。",
        failure_title: "Something went wrong on our side" => "我们这边出了点问题",
        failure_text: "This was not your doing. We have made a note of it; please try again."
            => "这不是您的问题。我们已经记录下来，请再试一次。",
        reference: "Reference" => "参考编号",
        home: "Back to the home page" => "返回首页",
    }
}

#[derive(Template)]
#[template(path = "private/error.html")]
struct ErrorContent<'a> {
    texts: &'static ErrorTexts,
    title: &'static str,
    text: &'static str,
    detail: Option<&'a str>,
    request_id: Option<String>,
    home: String,
}

/// An answer for people: where it is an error, its page instead; where it asks for somebody to sign in, the way there.
pub(super) async fn of_error(
    state: &PrivateState,
    request: &HttpRequest,
    response: HttpResponse,
) -> HttpResponse {
    let Some(error) = response
        .error()
        .and_then(|error| error.as_error::<ApiError>())
    else {
        return response;
    };
    let (code, detail, retry_after) = (
        error.code,
        error.detail.clone(),
        response.headers().get(header::RETRY_AFTER).cloned(),
    );
    let place = Place::of(request, &state.site);
    if code == Code::SignInRequired
        && let Some(place) = &place
    {
        let next = encode_component(&place.own_url());
        return see_other(&place.url(&format!("/login?next={next}")));
    }
    let place = place.unwrap_or_else(|| Place {
        locale: state.site.default_locale(),
        currency: state.site.default_currency(),
        default_currency: state.site.default_currency(),
        path: String::new(),
    });
    let texts = ErrorTexts::of(place.locale);
    let (title, text) = match (code, code.status()) {
        (Code::CrossSite, _) => (texts.cross_site_title, texts.cross_site_text),
        (_, 429) => (texts.busy_title, texts.busy_text),
        (_, 404 | 403) => (texts.not_found_title, texts.not_found_text),
        (_, 409 | 412) => (texts.changed_title, texts.changed_text),
        (_, 503) => (texts.unavailable_title, texts.unavailable_text),
        (_, 500) => (texts.failure_title, texts.failure_text),
        _ => (texts.refused_title, texts.refused_text),
    };
    let content = ErrorContent {
        texts,
        title,
        text,
        // Details are in English, for programs; a reader of English may as well have them.
        detail: detail
            .as_deref()
            .filter(|_| place.locale == Locale::En && code != Code::CrossSite),
        request_id: (code.status() >= 500)
            .then(crate::web::request_id::current)
            .flatten(),
        home: place.urls().home(),
    };
    // The status and whatever goes with it stay as they are.
    let status = response.status();
    let mut page = match state.page(&place, status, title, &content).await {
        Ok(page) => page,
        Err(error) => return error.error_response(),
    };
    if let Some(seconds) = retry_after {
        page.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    for (name, value) in response.headers() {
        if name == header::SET_COOKIE || name == header::ALLOW {
            page.headers_mut().append(name.clone(), value.clone());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_keep_language_and_currency() {
        let urls = Urls {
            locale: Locale::ZhCn,
            currency: Currency::EUR,
            default_currency: Currency::EUR,
        };
        assert_eq!(private_url(&urls, "/cart"), "/zh-cn/cart");
        let other = Urls {
            default_currency: Currency::USD,
            ..urls
        };
        assert_eq!(
            private_url(&other, "/login?next=%2F"),
            "/zh-cn/login?currency=EUR&next=%2F"
        );
        assert_eq!(split("/en/cart/x"), ("en", "/cart/x"));
        assert_eq!(split("/en"), ("en", ""));
    }
}
