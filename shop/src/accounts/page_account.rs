//! The pages of an account: home, addresses, security, privacy.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Data, Form as Posted, Path, Query, ServiceConfig};
use serde::Deserialize;

use super::address::AddressInput;
use super::country::all;
use super::page::{Content, Field, Form, Item, Section, again};
use super::store_customer::{self, Account};
use super::texts::AccountTexts;
use super::{privacy, settings, totp};
use crate::storefront::countries::named;
use crate::storefront::i18n::Locale;
use crate::web::error::{ApiError, Code};
use crate::web::private::{
    Answer, FormErrors, Place, PrivateState, PublicId, SignedIn, Visitor, resource, see_other,
};

type State = Data<PrivateState>;

/// Parameters of these pages.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    done: Option<String>,
}

/// What these forms send; `action` says which it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    action: String,
    id: String,
    name: String,
    locale: String,
    email: String,
    password: String,
    new_password: String,
    code: String,
}

/// What the form of an address sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AddressFields {
    name: String,
    company: String,
    line1: String,
    line2: String,
    city: String,
    region: String,
    postcode: String,
    country: String,
    phone: String,
    default: String,
}

impl AddressFields {
    fn input(&self) -> AddressInput {
        AddressInput {
            name: self.name.clone(),
            company: self.company.clone(),
            line1: self.line1.clone(),
            line2: self.line2.clone(),
            city: self.city.clone(),
            region: self.region.clone(),
            postcode: self.postcode.clone(),
            country: self.country.clone(),
            phone: self.phone.clone(),
        }
    }
}

fn saved(texts: &'static AccountTexts, done: Option<&str>) -> Option<&'static str> {
    match done {
        Some("mail") => Some(texts.security_email_sent),
        Some(_) => Some(texts.saved),
        None => None,
    }
}

fn back(texts: &'static AccountTexts, place: &Place) -> Section {
    Section {
        links: vec![(texts.back, place.url("/account"))],
        ..Section::default()
    }
}

async fn home_page(
    state: &PrivateState,
    place: &Place,
    signed_in: &SignedIn,
    done: Option<&str>,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let customer = &signed_in.0;
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let languages = state
        .site
        .locales
        .iter()
        .map(|locale| (locale.tag().to_owned(), locale.endonym().to_owned()))
        .collect();
    let part = |title: &'static str, text: &'static str, path: &str| Item {
        lines: vec![text.to_owned()],
        links: vec![(title, place.url(path))],
        forms: Vec::new(),
    };
    let name = if customer.name.is_empty() {
        &customer.email
    } else {
        &customer.name
    };
    let profile = Form::new(
        "profile",
        place.url("/account"),
        vec![
            Field {
                autocomplete: "name",
                ..Field::new("name", texts.name, "text")
            }
            .with(&customer.name)
            .optional(),
            Field {
                options: languages,
                ..Field::new("locale", texts.language, "select")
            }
            .with(&customer.locale),
        ],
        texts.save,
    )
    .errors(place.locale, &errors);
    let logout = Form {
        is_quiet: true,
        ..Form::new("logout", place.url("/logout"), Vec::new(), texts.logout)
    };
    let content = Content {
        title: (texts.greeting)(name),
        good: saved(texts, done),
        sections: vec![
            Section {
                items: vec![
                    part(texts.account_orders, texts.account_orders_text, "/orders"),
                    part(
                        texts.account_addresses,
                        texts.account_addresses_text,
                        "/account/addresses",
                    ),
                    part(
                        texts.account_security,
                        texts.account_security_text,
                        "/account/security",
                    ),
                    part(
                        texts.account_privacy,
                        texts.account_privacy_text,
                        "/account/privacy",
                    ),
                ],
                ..Section::default()
            },
            Section {
                title: texts.account_profile.to_owned(),
                forms: vec![profile],
                ..Section::default()
            },
            Section {
                paragraphs: vec![customer.email.clone()],
                forms: vec![logout],
                ..Section::default()
            },
        ],
        ..Content::default()
    };
    content.answer(state, place, refused).await
}

async fn get_home(
    state: State,
    place: Place,
    signed_in: SignedIn,
    query: Query<Parameters>,
) -> Answer {
    home_page(&state, &place, &signed_in, query.done.as_deref(), None).await
}

async fn post_home(
    state: State,
    place: Place,
    signed_in: SignedIn,
    form: Posted<Fields>,
) -> Answer {
    let locale = Locale::from_tag(&form.locale)
        .filter(|locale| state.site.locales.contains(locale))
        .unwrap_or(place.locale);
    match settings::set_profile(&state, signed_in.0.id, &form.name, locale).await {
        Ok(()) => Ok(see_other(&place.url("/account?done=saved"))),
        Err(error) => home_page(&state, &place, &signed_in, None, Some(&again(error)?)).await,
    }
}

async fn get_addresses(
    state: State,
    place: Place,
    signed_in: SignedIn,
    query: Query<Parameters>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let entries = settings::addresses(&state, signed_in.0.id).await?;
    let is_empty = entries.is_empty();
    let items = entries
        .into_iter()
        .map(|entry| {
            let id = settings::outside_id(&state.keys, "address", entry.id);
            let path = format!("/account/addresses/{id}");
            let mut lines = entry.address.lines();
            if entry.is_default {
                lines.insert(0, texts.address_default.to_owned());
            }
            let delete = Form::new(
                "delete",
                place.url(&format!("{path}/delete")),
                Vec::new(),
                texts.delete,
            );
            Item {
                lines,
                links: vec![(texts.edit, place.url(&path))],
                forms: vec![delete],
            }
        })
        .collect();
    let content = Content {
        title: texts.account_addresses.to_owned(),
        good: saved(texts, query.done.as_deref()),
        sections: vec![
            Section {
                paragraphs: if is_empty {
                    vec![texts.address_none.to_owned()]
                } else {
                    Vec::new()
                },
                items,
                links: vec![(texts.address_new, place.url("/account/addresses/new"))],
                ..Section::default()
            },
            back(texts, &place),
        ],
        ..Content::default()
    };
    content.answer(&state, &place, None).await
}

/// The choice of a country: all of them, since an address is kept wherever the shop sends to.
fn country(label: &'static str, chosen: &str, locale: Locale) -> Field {
    let none = (String::new(), String::new());
    let countries = named(all(), locale);
    Field {
        autocomplete: "country",
        options: std::iter::once(none)
            .chain(
                countries
                    .into_iter()
                    .map(|(code, name)| (code.to_owned(), name.to_owned())),
            )
            .collect(),
        ..Field::new("country", label, "select")
    }
    .with(chosen)
}

async fn address_page(
    state: &PrivateState,
    place: &Place,
    input: &AddressInput,
    is_default: bool,
    refused: Option<&ApiError>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let field = |name, label, value: &str, autocomplete| {
        Field {
            autocomplete,
            ..Field::new(name, label, "text")
        }
        .with(value)
    };
    let fields = vec![
        field("name", texts.address_name, &input.name, "name"),
        field(
            "company",
            texts.address_company,
            &input.company,
            "organization",
        )
        .optional(),
        field("line1", texts.address_line1, &input.line1, "address-line1"),
        field("line2", texts.address_line2, &input.line2, "address-line2").optional(),
        field(
            "postcode",
            texts.address_postcode,
            &input.postcode,
            "postal-code",
        )
        .optional(),
        field("city", texts.address_city, &input.city, "address-level2"),
        field(
            "region",
            texts.address_region,
            &input.region,
            "address-level1",
        )
        .optional(),
        country(texts.address_country, &input.country, place.locale),
        field("phone", texts.address_phone, &input.phone, "tel").optional(),
        Field::new("default", texts.address_make_default, "checkbox").with(if is_default {
            "true"
        } else {
            ""
        }),
    ];
    let form =
        Form::new("address", place.own_url(), fields, texts.save).errors(place.locale, &errors);
    let is_new = place.path.ends_with("/new");
    let content = Content {
        title: if is_new {
            texts.address_new.to_owned()
        } else {
            texts.address_edit.to_owned()
        },
        is_narrow: true,
        sections: vec![Section {
            forms: vec![form],
            links: vec![(texts.account_addresses, place.url("/account/addresses"))],
            ..Section::default()
        }],
        ..Content::default()
    };
    content.answer(state, place, refused).await
}

async fn get_new_address(state: State, place: Place, signed_in: SignedIn) -> Answer {
    let input = AddressInput {
        name: signed_in.0.name,
        ..AddressInput::default()
    };
    address_page(&state, &place, &input, false, None).await
}

async fn put_address(
    state: &PrivateState,
    place: &Place,
    customer: i64,
    row: Option<i64>,
    form: &AddressFields,
) -> Answer {
    let (input, is_default) = (form.input(), form.default == "true");
    match settings::put_address(state, customer, row, &input, is_default).await {
        Ok(_) => Ok(see_other(&place.url("/account/addresses?done=saved"))),
        Err(error) => address_page(state, place, &input, is_default, Some(&again(error)?)).await,
    }
}

async fn post_new_address(
    state: State,
    place: Place,
    signed_in: SignedIn,
    form: Posted<AddressFields>,
) -> Answer {
    put_address(&state, &place, signed_in.0.id, None, &form).await
}

async fn get_address(
    state: State,
    place: Place,
    signed_in: SignedIn,
    path: Path<(String, PublicId)>,
) -> Answer {
    let entry = settings::address(&state, signed_in.0.id, path.1).await?;
    let is_default = entry.is_default;
    address_page(&state, &place, &entry.address.into(), is_default, None).await
}

async fn post_address(
    state: State,
    place: Place,
    signed_in: SignedIn,
    path: Path<(String, PublicId)>,
    form: Posted<AddressFields>,
) -> Answer {
    let customer = signed_in.0.id;
    let row = settings::address(&state, customer, path.1).await?.id;
    put_address(&state, &place, customer, Some(row), &form).await
}

async fn delete_address(
    state: State,
    place: Place,
    signed_in: SignedIn,
    path: Path<(String, PublicId)>,
) -> Answer {
    let customer = signed_in.0.id;
    let row = settings::address(&state, customer, path.1).await?.id;
    settings::delete_address(&state, customer, row).await?;
    Ok(see_other(&place.url("/account/addresses?done=saved")))
}

/// What was refused on the page of security, or what it has to show once.
#[derive(Debug, Default)]
struct Shown<'a> {
    action: &'a str,
    refused: Option<&'a ApiError>,
    codes: Vec<String>,
    done: Option<&'a str>,
}

fn totp_section(
    state: &PrivateState,
    place: &Place,
    account: &Account,
    codes_left: i64,
    form: &impl Fn(&'static str, Vec<Field>, &'static str) -> Form,
) -> Result<Section, ApiError> {
    let texts = AccountTexts::of(place.locale);
    let password = || Field::password("password", texts.present_password, false);
    let section = Section {
        title: texts.security_totp.to_owned(),
        ..Section::default()
    };
    if account.totp_enabled {
        return Ok(Section {
            paragraphs: vec![
                texts.security_totp_on.to_owned(),
                (texts.codes_left)(codes_left),
            ],
            forms: vec![
                form("codes", vec![password()], texts.security_codes_new),
                form(
                    "totp-end",
                    vec![password(), Field::code(texts.code)],
                    texts.security_totp_end,
                ),
            ],
            ..section
        });
    }
    let begin = form("totp-begin", vec![password()], texts.security_totp_begin);
    Ok(match settings::pending_totp(state, account)? {
        None => Section {
            paragraphs: vec![texts.security_totp_off.to_owned()],
            forms: vec![begin],
            ..section
        },
        Some(enrolment) => Section {
            paragraphs: vec![
                texts.security_totp_scan.to_owned(),
                format!("{}: {}", texts.security_totp_key, enrolment.secret),
            ],
            picture: Some(totp::qr_code(&enrolment.uri)),
            forms: vec![form(
                "totp-confirm",
                vec![Field::code(texts.code)],
                texts.security_totp_confirm,
            )],
            ..section
        },
    })
}

async fn security_page(
    state: &PrivateState,
    place: &Place,
    signed_in: &SignedIn,
    shown: Shown<'_>,
) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let customer = signed_in.0.id;
    let account = settings::account(state, customer).await?;
    let codes_left = state
        .read(move |connection| {
            Box::pin(
                async move { Ok(store_customer::recovery_codes_left(connection, customer).await?) },
            )
        })
        .await?;
    let errors = shown.refused.map(FormErrors::of).unwrap_or_default();
    let form = |action: &'static str, fields: Vec<Field>, button: &'static str| {
        let form = Form::new(action, place.url("/account/security"), fields, button).action(action);
        if action == shown.action {
            form.errors(place.locale, &errors)
        } else {
            form
        }
    };
    let password = || Field::password("password", texts.present_password, false);
    let sessions = settings::sessions(state, customer).await?;
    let devices = sessions
        .into_iter()
        .map(|session| {
            let day = place.locale.format_date(session.seen_at.date());
            let is_this = session.id == signed_in.1.id;
            let id = settings::outside_id(&state.keys, "session", session.id);
            Item {
                lines: vec![
                    session.user_agent,
                    if is_this {
                        texts.security_session_this.to_owned()
                    } else {
                        (texts.last_seen)(&day)
                    },
                ],
                links: Vec::new(),
                forms: if is_this {
                    Vec::new()
                } else {
                    vec![
                        form("session-end", Vec::new(), texts.security_session_end)
                            .hidden("id", id.to_string()),
                    ]
                },
            }
        })
        .collect();
    let mut sections = Vec::new();
    if !shown.codes.is_empty() {
        sections.push(Section {
            title: texts.security_codes.to_owned(),
            paragraphs: vec![texts.security_codes_text.to_owned()],
            codes: shown.codes,
            ..Section::default()
        });
    }
    sections.extend([
        Section {
            title: texts.security_password.to_owned(),
            paragraphs: vec![texts.security_password_text.to_owned()],
            forms: vec![form(
                "password",
                vec![
                    password(),
                    Field::password("new_password", texts.new_password, true)
                        .hint(texts.password_hint),
                ],
                texts.save,
            )],
            ..Section::default()
        },
        totp_section(state, place, &account, codes_left, &form)?,
        Section {
            title: texts.security_email.to_owned(),
            paragraphs: vec![account.email.clone(), texts.security_email_text.to_owned()],
            forms: vec![form(
                "email",
                vec![Field::email(texts.email, ""), password()],
                texts.security_email_button,
            )],
            ..Section::default()
        },
        Section {
            title: texts.security_sessions.to_owned(),
            items: devices,
            forms: vec![Form {
                is_quiet: true,
                ..form("sessions-end", Vec::new(), texts.security_sessions_end)
            }],
            ..Section::default()
        },
        back(texts, place),
    ]);
    let content = Content {
        title: texts.account_security.to_owned(),
        good: saved(texts, shown.done),
        sections,
        ..Content::default()
    };
    content.answer(state, place, shown.refused).await
}

async fn get_security(
    state: State,
    place: Place,
    signed_in: SignedIn,
    query: Query<Parameters>,
) -> Answer {
    let shown = Shown {
        done: query.done.as_deref(),
        ..Shown::default()
    };
    security_page(&state, &place, &signed_in, shown).await
}

/// What a form of the page of security did.
enum Done {
    /// Go to the page again.
    Saved,
    /// A mail was sent.
    Mailed,
    /// The browser gets another session.
    NewToken(super::session::Token),
    /// Recovery codes to be shown once.
    Codes(Vec<String>),
}

async fn secure(
    state: &PrivateState,
    visitor: &Visitor,
    signed_in: &SignedIn,
    form: &Fields,
) -> Result<Done, ApiError> {
    let customer = signed_in.0.id;
    match form.action.as_str() {
        "password" => {
            let passwords = (form.password.as_str(), form.new_password.as_str());
            let token =
                settings::set_password(state, &signed_in.1, &visitor.user_agent, passwords).await?;
            Ok(Done::NewToken(token))
        }
        "email" => {
            settings::ask_email(state, customer, &form.email, &form.password).await?;
            Ok(Done::Mailed)
        }
        "totp-begin" => {
            settings::begin_totp(state, customer, &form.password).await?;
            Ok(Done::Saved)
        }
        "totp-confirm" => Ok(Done::Codes(
            settings::confirm_totp(state, customer, &form.code).await?,
        )),
        "totp-end" => {
            settings::end_totp(state, customer, &form.password, &form.code).await?;
            Ok(Done::Saved)
        }
        "codes" => Ok(Done::Codes(
            settings::new_recovery_codes(state, customer, &form.password).await?,
        )),
        "session-end" => {
            let id = form.id.parse().map_err(|_| ApiError::new(Code::NotFound))?;
            settings::end_sessions(state, &signed_in.1, Some(id)).await?;
            Ok(Done::Saved)
        }
        "sessions-end" => {
            settings::end_sessions(state, &signed_in.1, None).await?;
            Ok(Done::Saved)
        }
        _ => Err(ApiError::new(Code::InvalidRequest)),
    }
}

async fn post_security(
    state: State,
    place: Place,
    visitor: Visitor,
    signed_in: SignedIn,
    form: Posted<Fields>,
) -> Answer {
    let again_here = |done: &str| see_other(&place.url(&format!("/account/security?done={done}")));
    match secure(&state, &visitor, &signed_in, &form).await {
        Ok(Done::Saved) => Ok(again_here("saved")),
        Ok(Done::Mailed) => Ok(again_here("mail")),
        Ok(Done::NewToken(token)) => {
            let mut response = again_here("saved");
            response.headers_mut().append(
                header::SET_COOKIE,
                state.cookies.set_session(token.reveal()),
            );
            Ok(response)
        }
        // Shown in the answer itself: they are kept nowhere, so that there is no page to go to.
        Ok(Done::Codes(codes)) => {
            let shown = Shown {
                codes,
                ..Shown::default()
            };
            security_page(&state, &place, &signed_in, shown).await
        }
        Err(error) => {
            let error = again(error)?;
            let shown = Shown {
                action: &form.action,
                refused: Some(&error),
                ..Shown::default()
            };
            security_page(&state, &place, &signed_in, shown).await
        }
    }
}

async fn privacy_page(state: &PrivateState, place: &Place, refused: Option<&ApiError>) -> Answer {
    let texts = AccountTexts::of(place.locale);
    let errors = refused.map(FormErrors::of).unwrap_or_default();
    let erase = Form::new(
        "erase",
        place.url("/account/privacy"),
        vec![
            Field::password("password", texts.present_password, false),
            Field::code(texts.code_if).optional(),
        ],
        texts.privacy_erase_button,
    )
    .errors(place.locale, &errors);
    let content = Content {
        title: texts.account_privacy.to_owned(),
        sections: vec![
            Section {
                title: texts.privacy_export.to_owned(),
                paragraphs: vec![texts.privacy_export_text.to_owned()],
                links: vec![(
                    texts.privacy_export_button,
                    place.url("/account/privacy/export"),
                )],
                ..Section::default()
            },
            Section {
                title: texts.privacy_erase.to_owned(),
                paragraphs: vec![texts.privacy_erase_text.to_owned()],
                forms: vec![erase],
                ..Section::default()
            },
            back(texts, place),
        ],
        ..Content::default()
    };
    content.answer(state, place, refused).await
}

async fn get_privacy(state: State, place: Place, _: SignedIn) -> Answer {
    privacy_page(&state, &place, None).await
}

async fn post_privacy(
    state: State,
    place: Place,
    signed_in: SignedIn,
    form: Posted<Fields>,
) -> Answer {
    match privacy::erase(&state, signed_in.0.id, &form.password, &form.code).await {
        Ok(()) => {
            let mut response = see_other(&place.url("/login?done=erased"));
            for cookie in [state.cookies.clear_session(), state.cookies.clear_cart()] {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) => privacy_page(&state, &place, Some(&again(error)?)).await,
    }
}

async fn get_export(state: State, signed_in: SignedIn, _: Place) -> Answer {
    let data = privacy::export(&state, signed_in.0.id).await?;
    Ok(HttpResponse::Ok()
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"my-data.json\"",
        ))
        .json(data))
}

/// Mounts the pages.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/{locale}/account")
                .route(web::get().to(get_home))
                .route(web::post().to(post_home)),
        )
        .service(resource("/{locale}/account/addresses").route(web::get().to(get_addresses)))
        .service(
            resource("/{locale}/account/addresses/new")
                .route(web::get().to(get_new_address))
                .route(web::post().to(post_new_address)),
        )
        .service(
            resource("/{locale}/account/addresses/{id}")
                .route(web::get().to(get_address))
                .route(web::post().to(post_address)),
        )
        .service(
            resource("/{locale}/account/addresses/{id}/delete")
                .route(web::post().to(delete_address)),
        )
        .service(
            resource("/{locale}/account/security")
                .route(web::get().to(get_security))
                .route(web::post().to(post_security)),
        )
        .service(
            resource("/{locale}/account/privacy")
                .route(web::get().to(get_privacy))
                .route(web::post().to(post_privacy)),
        )
        .service(resource("/{locale}/account/privacy/export").route(web::get().to(get_export)));
}
