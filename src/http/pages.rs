//! The phone page. Its files are part of the program: one binary, nothing to install.
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::front::Front;

/// Path, type and content of each file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../../static/index.html")),
    ("/phone.css", "text/css; charset=utf-8", include_str!("../../static/phone.css")),
    ("/phone.js", "text/javascript; charset=utf-8", include_str!("../../static/phone.js")),
    ("/signal.js", "text/javascript; charset=utf-8", include_str!("../../static/signal.js")),
    ("/media.js", "text/javascript; charset=utf-8", include_str!("../../static/media.js")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("../../static/view.js")),
    ("/words.js", "text/javascript; charset=utf-8", include_str!("../../static/words.js")),
    ("/sounds.js", "text/javascript; charset=utf-8", include_str!("../../static/sounds.js")),
    ("/icon.svg", "image/svg+xml", include_str!("../../static/icon.svg")),
    ("/handset.svg", "image/svg+xml", include_str!("../../static/handset.svg")),
    ("/mic.svg", "image/svg+xml", include_str!("../../static/mic.svg")),
    ("/pause.svg", "image/svg+xml", include_str!("../../static/pause.svg")),
];

/// What a page may load and do. Sockets may go elsewhere, because the user may type another gateway's URL.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// What the phone page may suggest to its user; empty outside the demo.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PhoneHints {
    /// The demo's registrar and accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<DemoHints>,
}

/// What can be tried in the demo.
#[derive(Debug, Clone, Serialize)]
pub struct DemoHints {
    /// The embedded registrar's host.
    pub domain: String,
    /// Its port.
    pub port: u16,
    /// Logins and passwords.
    pub accounts: Vec<(String, String)>,
    /// Numbers that answer, and what they do.
    pub services: Vec<(String, String)>,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.route("/settings.json", web::get().to(settings)).default_service(web::to(file));
}

/// Headers of every answer on this listener.
pub(super) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Content-Security-Policy", POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Permissions-Policy", "microphone=(self), camera=(self), geolocation=()"))
}

async fn settings(front: web::Data<Front>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(&front.hints)
}

async fn file(request: HttpRequest) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return HttpResponse::MethodNotAllowed().finish();
    }
    match FILES.iter().find(|(path, ..)| *path == request.path()) {
        // Revalidated each time: a page of yesterday's version would talk to today's gateway.
        Some((_, kind, content)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, *kind))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(*content),
        None => HttpResponse::NotFound().body("There is no such page.\n"),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::*;

    #[actix_web::test]
    async fn every_file_is_served_with_its_type_under_a_strict_policy() {
        let app = init_service(App::new().service(web::scope("").configure(routes).wrap(headers()))).await;
        for (path, kind, content) in FILES {
            let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(response.status(), 200, "{path}");
            let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), *kind);
            assert_eq!(header("content-security-policy"), POLICY);
            assert_eq!(actix_web::test::read_body(response).await, content.as_bytes());
        }
    }

    #[actix_web::test]
    async fn anything_else_is_not_there() {
        let app = init_service(App::new().service(web::scope("").configure(routes).wrap(headers()))).await;
        for (request, status) in [
            (TestRequest::get().uri("/nothing"), 404),
            (TestRequest::get().uri("/../Cargo.toml"), 404),
            (TestRequest::get().uri("/%2e%2e/Cargo.toml"), 404),
            (TestRequest::post().uri("/"), 405),
        ] {
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), status);
            assert!(response.headers().contains_key("Content-Security-Policy"));
        }
    }

    #[test]
    fn no_file_holds_inline_script_or_style() {
        let page = FILES[0].2;
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("javascript:"));
        assert!(!page.contains(" onclick=") && !page.contains("<script>"));
        let scripts = FILES.iter().filter(|(path, ..)| path.ends_with(".js"));
        for (path, _, script) in scripts {
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(
                    !script.contains(word),
                    "{path} uses {word}; texts of callers go in by textContent only"
                );
            }
        }
    }
}
