//! Behaviour of client and verifier, alone and against each other.

mod client;
mod properties;
mod server;

use crate::message::{HeaderName, Method, NameAddr, Request, Response, StatusCode, Uri};

fn request(method: Method) -> Request {
    let uri: Uri = "sip:example.com".parse().unwrap();
    let party = NameAddr::new("sip:1001@example.com".parse::<Uri>().unwrap());
    Request::new(method, uri, party.clone().with_tag("a").unwrap(), party, "call-1", 1).unwrap()
}

/// A 401 or 407 with these challenges.
fn challenge(code: StatusCode, values: &[&str]) -> Response {
    let name = if code == StatusCode::UNAUTHORIZED {
        HeaderName::WwwAuthenticate
    } else {
        HeaderName::ProxyAuthenticate
    };
    let mut response = request(Method::Register).response(code);
    for value in values {
        response.headers.push_text(name.clone(), value).unwrap();
    }
    response
}
