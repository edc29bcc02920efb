//! Requests outside dialogs: INVITE, REGISTER, OPTIONS, MESSAGE, SUBSCRIBE (RFC 3261 §8.1.1, §10.2, §11.1, §13.2.1, RFC 3428 §4, RFC 6665
//! §4.1.2).
//!
//! Text from people (callee, display name) can only become what it is meant to be: it is escaped or quoted, and control
//! characters are refused with the name of the field.

use bytes::Bytes;

use super::routing::set_routes;
use super::state::renumber;
use crate::message::{
    HeaderName, HostPort, InvalidField, Method, NameAddr, Request, SipUri, Uri, random_call_id, random_tag,
};

/// What all requests of one account have in common.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Address of record: who we are to others, and whom a registrar knows.
    pub address: SipUri,
    /// Name shown to others.
    pub display_name: Option<String>,
    /// Where we listen, with parameters such as `+sip.instance`.
    pub contact: NameAddr,
    /// The loose routers that every request passes first, next hop first: an outbound proxy, a Service-Route (RFC 3608).
    pub route: Vec<SipUri>,
    /// User-Agent.
    pub user_agent: String,
    /// Allow: the methods that we answer.
    pub methods: Vec<Method>,
    /// Supported: option tags.
    pub extensions: Vec<String>,
}

/// What makes a request one of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Call-ID; constant for all REGISTERs of one account.
    pub call_id: String,
    /// From tag.
    pub tag: String,
    /// CSeq number; grows by one with each try.
    pub cseq: u32,
}

/// One outgoing call.
#[derive(Debug, Clone)]
pub struct InviteParams<'a> {
    /// Whom, from [`callee_uri`].
    pub callee: &'a Uri,
    /// Name shown to the callee instead of the profile's.
    pub display_name: Option<&'a str>,
    /// The offer; `None` to be offered in the 200.
    pub sdp: Option<Bytes>,
    /// Ids.
    pub ids: &'a Ids,
}

/// One registration.
#[derive(Debug, Clone)]
pub struct RegisterParams<'a> {
    /// Seconds; 0 removes our binding.
    pub expires: u32,
    /// Ids.
    pub ids: &'a Ids,
}

/// One text message.
#[derive(Debug, Clone)]
pub struct MessageParams<'a> {
    /// To whom, from [`callee_uri`].
    pub to: &'a Uri,
    /// The text; it is a body, and may hold lines.
    pub text: &'a str,
    /// Ids.
    pub ids: &'a Ids,
}

/// Longest callee and display name in bytes: far above what networks carry, far below the size of a datagram.
const MAX_TEXT: usize = 255;

impl Ids {
    /// Fresh ones from the operating system's generator.
    pub fn random() -> Self {
        Self { call_id: random_call_id(), tag: random_tag(), cseq: 1 }
    }

    /// The same with the next number.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { cseq: self.cseq.saturating_add(1), ..self.clone() }
    }
}

impl Profile {
    /// An INVITE.
    ///
    /// # Errors
    /// [`InvalidField`], naming the field.
    pub fn invite(&self, params: &InviteParams<'_>) -> Result<Request, InvalidField> {
        let to = NameAddr::new(params.callee.clone());
        let name = params.display_name.or(self.display_name.as_deref());
        let mut request = self.request(Method::Invite, params.callee.clone(), to, name, params.ids)?;
        request.headers.push(HeaderName::Contact, self.contact.clone());
        if let Some(sdp) = &params.sdp {
            request = request.with_body("application/sdp", sdp.clone());
        }
        Ok(request)
    }

    /// A REGISTER to the domain of the address of record.
    ///
    /// # Errors
    /// [`InvalidField`], naming the field.
    pub fn register(&self, params: &RegisterParams<'_>) -> Result<Request, InvalidField> {
        let mut registrar = SipUri::new(self.address.host().clone()).with_port(self.address.port());
        registrar.secure = self.address.secure;
        if let Some(transport) = self.address.transport() {
            registrar = registrar.with_transport(transport);
        }
        let to = NameAddr::new(self.address.clone());
        let name = self.display_name.as_deref();
        let mut request = self.request(Method::Register, registrar.into(), to, name, params.ids)?;
        let mut contact = self.contact.clone();
        contact.params.set("expires", &params.expires.to_string())?;
        request.headers.push(HeaderName::Contact, contact);
        request.headers.push(HeaderName::Expires, params.expires);
        Ok(request)
    }

    /// A MESSAGE, which makes no dialog and so has no Contact (RFC 3428 §4).
    ///
    /// # Errors
    /// [`InvalidField`], naming the field.
    pub fn message(&self, params: &MessageParams<'_>) -> Result<Request, InvalidField> {
        let to = NameAddr::new(params.to.clone());
        let name = self.display_name.as_deref();
        let request = self.request(Method::Message, params.to.clone(), to, name, params.ids)?;
        Ok(request.with_body("text/plain;charset=UTF-8", params.text.to_owned()))
    }

    /// An OPTIONS, to see whether someone is there.
    ///
    /// # Errors
    /// [`InvalidField`], naming the field.
    pub fn options(&self, target: &Uri, ids: &Ids) -> Result<Request, InvalidField> {
        let to = NameAddr::new(target.clone());
        let mut request =
            self.request(Method::Options, target.clone(), to, self.display_name.as_deref(), ids)?;
        request.headers.push(HeaderName::Contact, self.contact.clone());
        request.headers.push(HeaderName::Accept, "application/sdp");
        Ok(request)
    }

    /// A SUBSCRIBE to what `target` tells of; the event and what else it says is the caller's to add (RFC 6665 §4.1.2).
    ///
    /// # Errors
    /// [`InvalidField`], naming the field.
    pub fn subscribe(&self, target: &Uri, ids: &Ids) -> Result<Request, InvalidField> {
        let to = NameAddr::new(target.clone());
        let name = self.display_name.as_deref();
        let mut request = self.request(Method::Subscribe, target.clone(), to, name, ids)?;
        request.headers.push(HeaderName::Contact, self.contact.clone());
        Ok(request)
    }

    /// The URI to resolve and send such a request to.
    pub fn next_hop(&self, request: &Request) -> Uri {
        self.route.first().map_or_else(|| request.uri.clone(), |first| Uri::from(first.clone()))
    }

    fn request(
        &self,
        method: Method,
        uri: Uri,
        to: NameAddr,
        display_name: Option<&str>,
        ids: &Ids,
    ) -> Result<Request, InvalidField> {
        let mut from = NameAddr::new(self.address.clone()).with_tag(&ids.tag)?;
        if let Some(name) = display_name {
            from = from.with_display_name(bounded("display name", name)?)?;
        }
        let uri = match uri {
            Uri::Sip(sip) => sip.without_headers().into(),
            other => other,
        };
        let mut request = Request::new(method, uri, from, to, &ids.call_id, ids.cseq)?;
        let mut routes = vec![];
        for router in &self.route {
            let mut router = router.clone().without_headers();
            router.params.set_flag("lr")?;
            routes.push(NameAddr::new(router));
        }
        set_routes(&mut request, routes);
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        if !methods.is_empty() {
            request.headers.push_text(HeaderName::Allow, &methods.join(", "))?;
        }
        if !self.extensions.is_empty() {
            request.headers.push_text(HeaderName::Supported, &self.extensions.join(", "))?;
        }
        if !self.user_agent.is_empty() {
            request.headers.push_text(HeaderName::UserAgent, &self.user_agent)?;
        }
        Ok(request)
    }
}

impl Request {
    /// The same request outside a dialog under the next number, after 401 or 407 or for the next target: no Via, the rest stays.
    #[must_use]
    pub fn again(&self) -> Self {
        let mut again = self.clone();
        let number = self.headers.cseq().map_or(1, |cseq| cseq.number.saturating_add(1));
        again.headers.remove(&HeaderName::Via);
        renumber(&mut again, number);
        again
    }
}

/// What a person dials: a number or name at `domain`, `user@host`, or a whole `sip:`, `sips:` or `tel:` URI; a telephone number
/// becomes a user of `domain`. Headers in a URI are dropped.
///
/// # Errors
/// [`InvalidField`] for `callee`.
pub fn callee_uri(callee: &str, domain: &HostPort) -> Result<Uri, InvalidField> {
    const FIELD: &str = "callee";
    let error = |problem| InvalidField { field: FIELD, problem };
    let callee = bounded(FIELD, callee)?.trim();
    if callee.is_empty() {
        return Err(error("is empty"));
    }
    if callee.chars().any(char::is_control) {
        return Err(error("holds a control character"));
    }
    let scheme = callee.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let uri = match scheme.as_deref() {
        Some("sip" | "sips" | "tel") => callee.parse().map_err(|_| error("is no address"))?,
        _ if callee.contains('@') => format!("sip:{callee}").parse().map_err(|_| error("is no address"))?,
        _ => {
            let mut uri = SipUri::new(domain.host.clone()).with_port(domain.port);
            uri = uri.with_user(callee).map_err(|invalid| InvalidField { field: FIELD, ..invalid })?;
            Uri::from(uri)
        }
    };
    match uri {
        Uri::Sip(sip) => Ok(sip.without_headers().into()),
        // RFC 3261 §19.1.6. The domain's gateway knows the telephone network; few proxies route `tel:`.
        Uri::Tel(tel) => {
            let mut uri = SipUri::new(domain.host.clone()).with_port(domain.port).with_user(&tel.number())?;
            uri.params.set("user", "phone")?;
            Ok(uri.into())
        }
        Uri::Other { .. } => Err(error("is no address")),
    }
}

fn bounded<'a>(field: &'static str, text: &'a str) -> Result<&'a str, InvalidField> {
    if text.len() > MAX_TEXT { Err(InvalidField { field, problem: "is too long" }) } else { Ok(text) }
}
