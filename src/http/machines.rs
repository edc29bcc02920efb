//! For machines and operators: probes and metrics. REST comes with a later part.
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpResponse};

use crate::front::Front;
use crate::origin::without_port;

/// What Prometheus calls its text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("")
            .route("/livez", web::get().to(live))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
            .default_service(web::to(nothing))
            .wrap(from_fn(guard)),
    );
}

/// Lets a request in. The Host header must name this listener, so that no foreign page can reach it under a name
/// of its own (DNS rebinding). Probes say nothing secret and need no token: balancers cannot keep one.
async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let front = request.app_data::<web::Data<Front>>().expect("every listener has the front's data").clone();
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_probe = matches!(request.path(), "/livez" | "/readyz");
    let refusal = if !known_host(header(HOST), &front.rest.allowed_hosts) {
        Some(HttpResponse::MisdirectedRequest().body("This host name is not in rest.allowed_hosts.\n"))
    } else if !is_probe
        && !authorized(header(AUTHORIZATION), front.rest.token.as_ref().map(|token| token.reveal()))
    {
        Some(HttpResponse::Unauthorized().insert_header(("WWW-Authenticate", "Bearer")).finish())
    } else {
        None
    };
    match refusal {
        Some(refusal) => Ok(request.into_response(refusal).map_into_right_body()),
        None => Ok(next.call(request).await?.map_into_left_body()),
    }
}

async fn live() -> &'static str {
    "alive\n"
}

async fn ready(front: web::Data<Front>) -> HttpResponse {
    match front.switch.ready() {
        _ if *front.stopping.borrow() => HttpResponse::ServiceUnavailable().body("stopping\n"),
        Ok(()) => HttpResponse::Ok().body("ready\n"),
        Err(reason) => HttpResponse::ServiceUnavailable().body(format!("{reason}\n")),
    }
}

async fn metrics(front: web::Data<Front>) -> HttpResponse {
    let text = front.switch.metrics() + &front.counters.text();
    HttpResponse::Ok().insert_header(("Content-Type", METRICS_TYPE)).body(text)
}

async fn nothing() -> HttpResponse {
    HttpResponse::NotFound().finish()
}

/// Whether `host` names this machine: an address, localhost, or a name that the settings allow.
fn known_host(host: Option<&str>, allowed: &[String]) -> bool {
    let Some(host) = host.map(without_port) else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok()
        || allowed.iter().any(|name| host.eq_ignore_ascii_case(name))
}

/// Whether `header` carries the bearer token, where one is asked for.
fn authorized(header: Option<&str>, token: Option<&str>) -> bool {
    let Some(token) = token else { return true };
    let given = header.and_then(|header| header.split_once(' '));
    given.is_some_and(|(kind, given)| kind.eq_ignore_ascii_case("bearer") && same(given.trim(), token))
}

/// Compares without telling by its time how much of `given` was right.
fn same(given: &str, token: &str) -> bool {
    let differs = given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let check = |host, wanted| assert_eq!(known_host(host, &["gw.example".into()]), wanted, "{host:?}");
        check(Some("127.0.0.1:8081"), true);
        check(Some("[::1]:8081"), true);
        check(Some("LOCALHOST"), true);
        check(Some("10.1.2.3"), true);
        check(Some("GW.example:8081"), true);
        check(Some("evil.example:8081"), false);
        check(Some("127.0.0.1.evil.example"), false);
        check(Some(""), false);
        check(None, false);
    }

    #[test]
    fn the_token_must_be_the_whole_token() {
        let check =
            |header, wanted| assert_eq!(authorized(header, Some("0123456789abcdef")), wanted, "{header:?}");
        check(Some("Bearer 0123456789abcdef"), true);
        check(Some("bearer 0123456789abcdef"), true);
        check(Some("Bearer 0123456789abcde"), false);
        check(Some("Bearer 0123456789abcdef0"), false);
        check(Some("Bearer "), false);
        check(Some("Basic 0123456789abcdef"), false);
        check(None, false);
        assert!(authorized(None, None));
    }
}
