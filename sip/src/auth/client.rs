//! The side that has the password.

use super::digest::{Input, nonce_count};
use super::params::Writer;
use super::{Challenge, Secret};
use crate::message::{HeaderName, InvalidField, Method, Request, Response, grammar};

/// The digest memory of one account: what its servers asked last, and how often the answer was used.
///
/// After a 401 or 407: [`challenged`](Self::challenged) says whether to try again; if so, count up the CSeq of the request, take a new branch,
/// and let [`authorize`](Self::authorize) add the headers. Requests that follow may be authorized at once (the nonce count grows),
/// which saves a round trip; if the nonce has aged, the server says so and one more try is free.
///
/// *Who gets an answer.* Only a server that we chose ourselves ([`SentTo::Home`]), only for one realm, and never to a BYE: a callee who
/// challenges a request of ours would otherwise collect a hash to guess the password from (CVE-2021-41158 in another product).
/// The realm is the one given, else that of the first challenge from home.
#[derive(Debug, Clone)]
pub struct Client {
    username: String,
    password: Secret,
    realm: Option<String>,
    server: Option<Known>,
    proxy: Option<Known>,
    cnonce: fn() -> String,
}

/// A challenge under which we may send. The client nonce stays with it, as `-sess` needs (RFC 7616 §3.4.2).
#[derive(Debug, Clone)]
struct Known {
    challenge: Challenge,
    cnonce: String,
    used: u32,
}

/// Where the challenged request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentTo {
    /// To the registrar, outbound proxy or next hop that the account is configured with.
    Home,
    /// Anywhere else: a Contact, a redirect target, a foreign domain.
    Elsewhere,
}

/// How often one request was challenged, kept across its retries: credentials go out once per kind of challenge (401, 407), and
/// once more if the server calls the nonce stale.
#[derive(Debug, Clone, Default)]
pub struct Tries {
    server: Count,
    proxy: Count,
}

#[derive(Debug, Clone, Default)]
struct Count {
    answered: bool,
    refreshed: bool,
}

/// Why a challenge is not answered (again).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GiveUp {
    /// The credentials went out and were refused: the user name or the password is wrong.
    #[error("user name or password refused")]
    Refused,
    /// The nonce was called stale more than once.
    #[error("the server finds every nonce stale")]
    StaleAgain,
    /// The challenge asks for another realm than the account's.
    #[error("realm {0:?} is not that of the account")]
    Realm(String),
    /// The challenger is none of the account's servers.
    #[error("challenged by a server that is not the account's")]
    Elsewhere,
    /// A BYE is never sent with credentials.
    #[error("a BYE was challenged")]
    Bye,
    /// No digest challenge, or none with an algorithm and a qop that we know.
    #[error("no digest challenge that can be answered")]
    Unanswerable,
}

impl Client {
    /// # Errors
    /// [`InvalidField`] for a user name or password with control characters: it could never be right, and must not reach a header.
    pub fn new(username: &str, password: Secret) -> Result<Self, InvalidField> {
        grammar::check_text("user name", username)?;
        grammar::check_text("password", password.reveal())?;
        let username = username.to_owned();
        Ok(Self { username, password, realm: None, server: None, proxy: None, cnonce: random_cnonce })
    }

    /// Fixes the realm beforehand; without one it is that of the first challenge.
    #[must_use]
    pub fn with_realm(self, realm: Option<String>) -> Self {
        Self { realm, ..self }
    }

    /// Replaces the source of client nonces, for tests.
    #[must_use]
    pub fn with_cnonces(mut self, cnonce: fn() -> String) -> Self {
        self.cnonce = cnonce;
        self
    }

    /// Takes a 401 or 407. `Ok`: send the request again, with [`authorize`](Self::authorize).
    ///
    /// # Errors
    /// [`GiveUp`]: the response is final for this request.
    pub fn challenged(
        &mut self,
        tries: &mut Tries,
        request: &Request,
        response: &Response,
        sent_to: SentTo,
    ) -> Result<(), GiveUp> {
        if sent_to == SentTo::Elsewhere {
            return Err(GiveUp::Elsewhere);
        }
        if request.method == Method::Bye {
            return Err(GiveUp::Bye);
        }
        let proxy = response.code.as_u16() == 407;
        let challenge = self.choose(response, proxy)?;
        let count = if proxy { &mut tries.proxy } else { &mut tries.server };
        count.step(challenge.stale)?;
        self.realm.get_or_insert_with(|| challenge.realm.clone());
        let known = Known { challenge, cnonce: (self.cnonce)(), used: 0 };
        *(if proxy { &mut self.proxy } else { &mut self.server }) = Some(known);
        Ok(())
    }

    /// Replaces the credentials of a request by new ones for all that was asked so far; without a challenge so far it does nothing.
    /// Only for requests that go to one of the account's own servers.
    pub fn authorize(&mut self, request: &mut Request) {
        for (name, known) in
            [(HeaderName::Authorization, &mut self.server), (HeaderName::ProxyAuthorization, &mut self.proxy)]
        {
            request.headers.remove(&name);
            let Some(one) = known else { continue };
            match one.used.checked_add(1) {
                Some(used) => one.used = used,
                None => {
                    *known = None;
                    continue;
                }
            }
            let value = one.credentials(&self.username, &self.password, request);
            request
                .headers
                .push_text(name, &value)
                .expect("quoting keeps control characters out of a header");
        }
    }

    /// Forgets challenges and the pinned realm, for instance when the account's server changes.
    pub fn forget(&mut self) {
        (self.server, self.proxy, self.realm) = (None, None, None);
    }

    /// The realm that gets answers, once known.
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// The strongest challenge of our realm; the first among equals (RFC 8760 §2.4).
    fn choose(&self, response: &Response, proxy: bool) -> Result<Challenge, GiveUp> {
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        let all = Challenge::in_headers(&response.headers, &name);
        let first = all.first().ok_or(GiveUp::Unanswerable)?;
        let realm = self.realm.clone().unwrap_or_else(|| first.realm.clone());
        let foreign = first.realm.clone();
        let readable = |challenge: &Challenge| !has_control(challenge);
        all.into_iter()
            .filter(|challenge| challenge.realm == realm && readable(challenge))
            .rev()
            .max_by_key(|challenge| challenge.algorithm().hash)
            .ok_or(GiveUp::Realm(foreign))
    }
}

impl Count {
    fn step(&mut self, stale: bool) -> Result<(), GiveUp> {
        match (self.answered, stale) {
            (false, _) => self.answered = true,
            (true, false) => return Err(GiveUp::Refused),
            (true, true) if self.refreshed => return Err(GiveUp::StaleAgain),
            (true, true) => self.refreshed = true,
        }
        Ok(())
    }
}

impl Known {
    fn credentials(&self, username: &str, password: &Secret, request: &Request) -> String {
        let challenge = &self.challenge;
        let (uri, nc) = (request.uri.to_string(), nonce_count(self.used));
        let response = Input {
            algorithm: challenge.algorithm(),
            username,
            realm: &challenge.realm,
            password,
            nonce: &challenge.nonce,
            cnonce: &self.cnonce,
            nc: &nc,
            qop: challenge.qop,
            method: request.method.as_str(),
            uri: &uri,
            body: &request.body,
        }
        .response();
        let mut writer = Writer::digest()
            .quoted("username", username)
            .quoted("realm", &challenge.realm)
            .quoted("nonce", &challenge.nonce)
            .quoted("uri", &uri)
            .quoted("response", &response);
        if let Some(algorithm) = challenge.algorithm {
            writer = writer.plain("algorithm", &algorithm.to_string());
        }
        if let Some(opaque) = &challenge.opaque {
            writer = writer.quoted("opaque", opaque);
        }
        if let Some(qop) = challenge.qop {
            writer = writer.plain("qop", qop.as_str()).plain("nc", &nc);
        }
        if challenge.qop.is_some() || challenge.algorithm().session {
            writer = writer.quoted("cnonce", &self.cnonce);
        }
        writer.finish()
    }
}

/// Whether something in it could not be sent back in a header.
fn has_control(challenge: &Challenge) -> bool {
    let texts = [Some(&challenge.realm), Some(&challenge.nonce), challenge.opaque.as_ref()];
    texts.into_iter().flatten().any(|text| grammar::check_text("challenge", text).is_err())
}

/// 64 bits from the operating system: enough to make every answer its own, and an INVITE with credentials must fit a datagram.
fn random_cnonce() -> String {
    crate::message::random_tag()
}
