//! The pages before an account: register, verify, sign in, choose a new password.

use actix_web::http::header;
use actix_web::web::{self, Data, Form as Posted, Query, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Deserialize;

use super::api::with_session;
use super::page::{Content, Field, Form, Section, again};
use super::register::{self, Registration, Verified};
use super::session::Stage;
use super::sign_in::{self, Opened};
use super::texts::AccountTexts;
use crate::storefront::urls::encode_component;
use crate::web::error::{ApiError, Code};
use crate::web::private::form::local_target;
use crate::web::private::{Answer, FormErrors, Place, PrivateState, Visitor, resource, see_other};

type State = Data<PrivateState>;

/// Parameters of these pages.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    done: Option<String>,
}

/// What these forms send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    email: String,
    password: String,
    name: String,
    code: String,
    token: String,
    next: String,
}

fn redirect(response: &HttpResponse) -> HttpResponseBuilder {
    let mut builder = HttpResponse::build(response.status());
    if let Some(location) = response.headers().get(header::LOCATION) {
        builder.insert_header((header::LOCATION, location.clone()));
    }
    builder
}

fn entered(state: &PrivateState, place: &Place, opened: &Opened, next: &str) -> HttpResponse {
    let target = match (opened.stage, local_target(Some(next))) {
        (Stage::Full, Some(next)) => next,
        (Stage::Full, None) => place.url("/account"),
        (Stage::SecondFactor, Some(next)) => {
            place.url(&format!("/login/code?next={}", encode_component(&next)))
        }
        (Stage::SecondFactor, None) => place.url("/login/code"),
    };
    with_session(state, redirect(&see_other(&target)), opened).finish()
}

fn narrow(title: &'static str, section: Section) -> Content {
    Content {
        title: title.to_owned(),
        is_narrow: true,
        sections: vec![section],
        ..Content::default()
    }
}

async fn login_page(
    state: &PrivateState,
    place: &Place,
    fields: &Fields,
    done: Option<&str>,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let form = Form::new(
        "login",
        place.url("/login"),
        vec![
            Field::email(texts.email, &fields.email),
            Field::password("password", texts.password, false),
        ],
        texts.login_button,
    )
    .hidden("next", fields.next.as_str());
    let content = Content {
        good: match done {
            Some("reset") => Some(texts.reset_done),
            Some("moved") => Some(texts.verify_moved),
            Some("erased") => Some(texts.privacy_erased),
            _ => None,
        },
        bad: refused
            .filter(|error| error.code == Code::InvalidCredentials)
            .map(|_| texts.login_wrong.to_owned()),
        ..narrow(
            texts.login_title,
            Section {
                forms: vec![form],
                links: vec![
                    (texts.login_forgot, place.url("/reset")),
                    (texts.login_new, place.url("/register")),
                ],
                ..Section::default()
            },
        )
    };
    content.answer(state, place, refused).await
}

async fn get_login(
    state: State,
    place: Place,
    visitor: Visitor,
    query: Query<Parameters>,
) -> Answer {
    let next = local_target(query.next.as_deref());
    if visitor.customer.is_some() {
        return Ok(see_other(&next.unwrap_or_else(|| place.url("/account"))));
    }
    let fields = Fields {
        next: next.unwrap_or_default(),
        ..Fields::default()
    };
    login_page(&state, &place, &fields, query.done.as_deref(), None).await
}

async fn post_login(state: State, place: Place, visitor: Visitor, form: Posted<Fields>) -> Answer {
    match sign_in::sign_in(&state, &visitor, &form.email, &form.password).await {
        Ok(opened) => Ok(entered(&state, &place, &opened, &form.next)),
        Err(error) => login_page(&state, &place, &form, None, Some(&again(error)?)).await,
    }
}

async fn code_page(
    state: &PrivateState,
    place: &Place,
    next: &str,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let form = Form::new(
        "code",
        place.url("/login/code"),
        vec![Field::code(texts.code)],
        texts.code_button,
    )
    .hidden("next", next)
    .errors(place.locale, &errors);
    let section = Section {
        paragraphs: vec![texts.code_text.to_owned()],
        forms: vec![form],
        ..Section::default()
    };
    narrow(texts.code_title, section)
        .answer(state, place, refused)
        .await
}

async fn get_code(
    state: State,
    place: Place,
    visitor: Visitor,
    query: Query<Parameters>,
) -> Answer {
    if visitor
        .session
        .is_none_or(|session| session.stage != Stage::SecondFactor)
    {
        return Ok(see_other(&place.url("/login")));
    }
    let next = local_target(query.next.as_deref()).unwrap_or_default();
    code_page(&state, &place, &next, None).await
}

async fn post_code(state: State, place: Place, visitor: Visitor, form: Posted<Fields>) -> Answer {
    match sign_in::second_factor(&state, &visitor, &form.code).await {
        Ok(opened) => Ok(entered(&state, &place, &opened, &form.next)),
        Err(error) => code_page(&state, &place, &form.next, Some(&again(error)?)).await,
    }
}

async fn post_logout(state: State, place: Place, visitor: Visitor) -> Answer {
    sign_in::sign_out(&state, visitor.session.as_ref()).await?;
    Ok(redirect(&see_other(&place.urls().home()))
        .append_header((header::SET_COOKIE, state.cookies.clear_session()))
        .append_header((header::SET_COOKIE, state.cookies.clear_cart()))
        .finish())
}

async fn register_page(
    state: &PrivateState,
    place: &Place,
    fields: &Fields,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let form = Form::new(
        "register",
        place.url("/register"),
        vec![
            Field {
                autocomplete: "name",
                ..Field::new("name", texts.name, "text")
            }
            .with(&fields.name)
            .optional(),
            Field::email(texts.email, &fields.email),
            Field::password("password", texts.password, true).hint(texts.password_hint),
        ],
        texts.register_button,
    )
    .errors(place.locale, &errors);
    let section = Section {
        forms: vec![form],
        links: vec![(texts.login_have, place.url("/login"))],
        ..Section::default()
    };
    narrow(texts.register_title, section)
        .answer(state, place, refused)
        .await
}

async fn sent_page(state: &PrivateState, place: &Place) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let section = Section {
        paragraphs: vec![texts.register_sent.to_owned()],
        ..Section::default()
    };
    narrow(texts.register_sent_title, section)
        .answer(state, place, None)
        .await
}

async fn get_register(state: State, place: Place, query: Query<Parameters>) -> Answer {
    if query.done.is_some() {
        return sent_page(&state, &place).await;
    }
    register_page(&state, &place, &Fields::default(), None).await
}

async fn post_register(
    state: State,
    place: Place,
    visitor: Visitor,
    form: Posted<Fields>,
) -> Answer {
    let registration = Registration {
        email: &form.email,
        password: &form.password,
        name: &form.name,
        locale: place.locale,
    };
    match register::register(&state, &visitor, &registration).await {
        Ok(()) => Ok(see_other(&place.url("/register?done=sent"))),
        Err(error) => register_page(&state, &place, &form, Some(&again(error)?)).await,
    }
}

async fn verify_page(
    state: &PrivateState,
    place: &Place,
    token: &str,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let form = Form::new(
        "verify",
        place.url("/verify"),
        vec![Field::password("password", texts.password, false)],
        texts.verify_button,
    )
    .hidden("token", token)
    .errors(place.locale, &errors);
    let section = Section {
        paragraphs: vec![texts.verify_text.to_owned()],
        forms: vec![form],
        links: vec![(texts.login_forgot, place.url("/reset"))],
        ..Section::default()
    };
    narrow(texts.verify_title, section)
        .answer(state, place, refused)
        .await
}

/// Only shows a form: mailboxes follow links by themselves, and a link works once.
async fn get_verify(state: State, place: Place, query: Query<Parameters>) -> Answer {
    let token = query.token.clone().unwrap_or_default();
    verify_page(&state, &place, &token, None).await
}

async fn post_verify(state: State, place: Place, visitor: Visitor, form: Posted<Fields>) -> Answer {
    match register::verify(&state, &visitor, &form.token, &form.password).await {
        Ok(Verified::Opened(opened)) => Ok(entered(&state, &place, &opened, "")),
        Ok(Verified::Moved) => Ok(see_other(&place.url("/login?done=moved"))),
        Err(error) => verify_page(&state, &place, &form.token, Some(&again(error)?)).await,
    }
}

async fn reset_page(
    state: &PrivateState,
    place: &Place,
    email: &str,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let form = Form::new(
        "reset",
        place.url("/reset"),
        vec![Field::email(texts.email, email)],
        texts.reset_button,
    )
    .errors(place.locale, &errors);
    let section = Section {
        paragraphs: vec![texts.reset_text.to_owned()],
        forms: vec![form],
        ..Section::default()
    };
    narrow(texts.reset_title, section)
        .answer(state, place, refused)
        .await
}

async fn get_reset(state: State, place: Place, query: Query<Parameters>) -> Answer {
    if query.done.is_some() {
        return sent_page(&state, &place).await;
    }
    reset_page(&state, &place, "", None).await
}

async fn post_reset(state: State, place: Place, visitor: Visitor, form: Posted<Fields>) -> Answer {
    match register::ask_reset(&state, &visitor, &form.email).await {
        Ok(()) => Ok(see_other(&place.url("/reset?done=sent"))),
        Err(error) => reset_page(&state, &place, &form.email, Some(&again(error)?)).await,
    }
}

async fn choose_page(
    state: &PrivateState,
    place: &Place,
    token: &str,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let form = Form::new(
        "choose",
        place.url("/reset/new"),
        vec![Field::password("password", texts.new_password, true).hint(texts.password_hint)],
        texts.reset_choose_button,
    )
    .hidden("token", token)
    .errors(place.locale, &errors);
    let section = Section {
        forms: vec![form],
        ..Section::default()
    };
    narrow(texts.reset_title, section)
        .answer(state, place, refused)
        .await
}

async fn get_choose(state: State, place: Place, query: Query<Parameters>) -> Answer {
    let token = query.token.clone().unwrap_or_default();
    choose_page(&state, &place, &token, None).await
}

async fn post_choose(state: State, place: Place, visitor: Visitor, form: Posted<Fields>) -> Answer {
    match register::reset(&state, &visitor, &form.token, &form.password).await {
        Ok(()) => Ok(see_other(&place.url("/login?done=reset"))),
        Err(error) => choose_page(&state, &place, &form.token, Some(&again(error)?)).await,
    }
}

/// Mounts the pages.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/{locale}/login")
                .route(web::get().to(get_login))
                .route(web::post().to(post_login)),
        )
        .service(
            resource("/{locale}/login/code")
                .route(web::get().to(get_code))
                .route(web::post().to(post_code)),
        )
        .service(resource("/{locale}/logout").route(web::post().to(post_logout)))
        .service(
            resource("/{locale}/register")
                .route(web::get().to(get_register))
                .route(web::post().to(post_register)),
        )
        .service(
            resource("/{locale}/verify")
                .route(web::get().to(get_verify))
                .route(web::post().to(post_verify)),
        )
        .service(
            resource("/{locale}/reset")
                .route(web::get().to(get_reset))
                .route(web::post().to(post_reset)),
        )
        .service(
            resource("/{locale}/reset/new")
                .route(web::get().to(get_choose))
                .route(web::post().to(post_choose)),
        );
}
