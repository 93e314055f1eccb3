//! The routes of the shop as its source mounts them, so that no test of all routes can forget one.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tools;

/// A method in capitals and a path with its parameters, such as `GET` and `/api/v1/orders/{number}`.
pub type Route = (String, String);

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Every route that is mounted with its path: those of the private scope and of the staff API. Public addresses are parsed and
/// not mounted.
///
/// # Errors
/// When the source cannot be read.
pub fn mounted() -> Result<BTreeSet<Route>> {
    let mut routes = BTreeSet::new();
    read(&tools::repository().join("shop/src"), &mut routes)?;
    Ok(routes)
}

fn read(folder: &Path, routes: &mut BTreeSet<Route>) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, routes)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path)?;
            let prefix = if path.components().any(|part| part.as_os_str() == "admin") {
                "/api/v1/admin"
            } else {
                ""
            };
            routes.extend(of_source(&source, prefix));
        }
    }
    Ok(())
}

/// The routes of one file: `resource("/path")` with the methods that follow, and `("/path", web::post()…)` of a table.
fn of_source(source: &str, prefix: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    for part in source.split("resource(").skip(1) {
        let Some((path, rest)) = quoted(part) else {
            continue;
        };
        let end = rest.find(';').unwrap_or(rest.len());
        for method in METHODS {
            let call = format!("{method}()");
            let is_here = rest[..end].split(".route(").skip(1).any(|route| {
                let route = route.trim_start();
                route
                    .strip_prefix("web::")
                    .unwrap_or(route)
                    .starts_with(&call)
            });
            if is_here {
                routes.push((method.to_uppercase(), full(path, prefix)));
            }
        }
    }
    for part in source.split("(\"/api/").skip(1) {
        let Some((path, rest)) = part.split_once("\", web::") else {
            continue;
        };
        for method in METHODS {
            if !path.contains('"') && rest.starts_with(&format!("{method}()")) {
                routes.push((method.to_uppercase(), format!("/api/{path}")));
            }
        }
    }
    routes
}

/// The literal at the beginning of a text, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (path, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    path.starts_with('/').then_some((path, rest))
}

fn full(path: &str, prefix: &str) -> String {
    if path.starts_with("/api/") || path.starts_with("/{locale}") {
        path.to_owned()
    } else {
        format!("{prefix}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_as_they_are_written() {
        let source = r#"
            config
                .service(resource("/a").route(web::get().to(get)).route(web::post().to(post)))
                .service(
                    resource("/api/v1/b/{id}")
                        .route(delete().to(gone)),
                );
            for (path, route) in [("/api/v1/admin/login", web::post().to(login))] {}
        "#;
        let found = of_source(source, "/p");
        let expected = [
            ("GET", "/p/a"),
            ("POST", "/p/a"),
            ("DELETE", "/api/v1/b/{id}"),
            ("POST", "/api/v1/admin/login"),
        ];
        let expected = expected.map(|(method, path)| (method.to_owned(), path.to_owned()));
        assert_eq!(found, expected);
    }
}
