//! The side that checks: enough for a registrar of our own (RFC 7616 §3.3, RFC 8760 §2.3).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::digest::Input;
use super::params::AuthParams;
use super::{Algorithm, Challenge, Qop, Secret};
use crate::message::{HeaderName, Request, Response, StatusCode, random_call_id};

/// Makes challenges and checks answers of one realm: SHA-256 and MD5, qop `auth`, every nonce random, each count used once.
#[derive(Debug)]
pub struct Verifier {
    realm: String,
    lifetime: Duration,
    issued: HashMap<String, Issued>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Issued {
    expires: Instant,
    last_count: u32,
}

/// What the credentials of a request are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Right; this user.
    Accepted(String),
    /// None for this realm, unreadable, or an unknown user or a wrong password: challenge.
    Denied,
    /// Right, but the nonce is too old, unknown or its count already used: challenge with `stale=true`.
    Stale,
}

impl Verifier {
    /// Most nonces remembered (some 100 bytes each); the oldest is forgotten first, which costs its owner one more round trip.
    pub const MAX_NONCES: usize = 10_000;

    /// Nonces live for `lifetime` from their issue.
    pub fn new(realm: &str, lifetime: Duration) -> Self {
        Self { realm: realm.to_owned(), lifetime, issued: HashMap::new(), order: VecDeque::new() }
    }

    /// The 401 with a fresh nonce: SHA-256 first, MD5 for those who know no better.
    pub fn challenge(&mut self, request: &Request, stale: bool, now: Instant) -> Response {
        let nonce = self.issue(now);
        let mut response = request.response(StatusCode::UNAUTHORIZED);
        for algorithm in [Algorithm::SHA_256, Algorithm::MD5] {
            let challenge = Challenge {
                realm: self.realm.clone(),
                nonce: nonce.clone(),
                opaque: None,
                algorithm: Some(algorithm),
                qop: Some(Qop::Auth),
                stale,
            };
            // A realm with a control character is a mistake of the program; such a challenge is not sent.
            let _ = response.headers.push_text(HeaderName::WwwAuthenticate, &challenge.to_value());
        }
        response
    }

    /// Checks the Authorization of a request; `password_of` knows the users.
    pub fn verify(
        &mut self,
        request: &Request,
        password_of: impl Fn(&str) -> Option<Secret>,
        now: Instant,
    ) -> Verdict {
        let ours = request
            .headers
            .all(&HeaderName::Authorization)
            .filter_map(|value| AuthParams::parse_all(value).ok())
            .flatten()
            .find(|params| params.is_digest() && params.get("realm") == Some(&self.realm));
        ours.and_then(|params| self.check(&params, request, password_of, now)).unwrap_or(Verdict::Denied)
    }

    fn check(
        &mut self,
        params: &AuthParams,
        request: &Request,
        password_of: impl Fn(&str) -> Option<Secret>,
        now: Instant,
    ) -> Option<Verdict> {
        let algorithm = Algorithm::parse(params.get("algorithm").unwrap_or("MD5"))?;
        let qop = Qop::parse(params.get("qop")?)?;
        let (username, nonce, nc) = (params.get("username")?, params.get("nonce")?, params.get("nc")?);
        let count = u32::from_str_radix(nc, 16).ok().filter(|_| nc.len() == 8)?;
        let uri = params.get("uri")?;
        if algorithm.session || qop != Qop::Auth || !same_target(uri, request) {
            return None;
        }
        let expected = Input {
            algorithm,
            username,
            realm: &self.realm,
            password: &password_of(username)?,
            nonce,
            cnonce: params.get("cnonce")?,
            nc,
            qop: Some(qop),
            method: request.method.as_str(),
            uri,
            body: &request.body,
        }
        .response();
        if !same_in_constant_time(&expected, params.get("response")?) {
            return None;
        }
        let fresh =
            self.issued.get_mut(nonce).filter(|issued| now < issued.expires && count > issued.last_count);
        Some(match fresh {
            Some(issued) => {
                issued.last_count = count;
                Verdict::Accepted(username.to_owned())
            }
            None => Verdict::Stale,
        })
    }

    fn issue(&mut self, now: Instant) -> String {
        while self.order.len() >= Self::MAX_NONCES || self.oldest_is_expired(now) {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.issued.remove(&oldest);
        }
        let nonce = random_call_id();
        self.issued.insert(nonce.clone(), Issued { expires: now + self.lifetime, last_count: 0 });
        self.order.push_back(nonce.clone());
        nonce
    }

    fn oldest_is_expired(&self, now: Instant) -> bool {
        self.order
            .front()
            .and_then(|nonce| self.issued.get(nonce))
            .is_some_and(|issued| issued.expires <= now)
    }
}

/// The `uri` must be that of the request (RFC 3261 §22.4 item 5: equal by the rules of URIs).
fn same_target(uri: &str, request: &Request) -> bool {
    uri.parse::<crate::message::Uri>().is_ok_and(|uri| uri.is_equivalent(&request.uri))
}

/// Takes the same time wherever the texts differ.
fn same_in_constant_time(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
