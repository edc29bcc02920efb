//! `sip:` and `sips:` (RFC 3261 19.1).

use std::borrow::Cow;
use std::fmt;

use super::{Host, HostPort, InvalidField, Malformed, Params, Transport, escape, grammar};

/// A SIP or SIPS URI. User and password are kept escaped as written; `%41` and `A` are told apart only by the accessors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// `sips:` — every hop must be encrypted.
    pub secure: bool,
    user: Option<Box<str>>,
    password: Option<Box<str>>,
    /// Host and port.
    pub host_port: HostPort,
    /// URI parameters, for example `transport`, `lr`, `user=phone`.
    pub params: Params,
    headers: Option<Box<str>>,
}

impl SipUri {
    /// `sip:host`.
    pub fn new(host: Host) -> Self {
        let host_port = HostPort { host, port: None };
        Self {
            secure: false,
            user: None,
            password: None,
            host_port,
            params: Params::default(),
            headers: None,
        }
    }

    /// Sets the user part from plain text; what must be escaped is escaped. Control characters are refused.
    pub fn with_user(mut self, user: &str) -> Result<Self, InvalidField> {
        grammar::check_text("user", user)?;
        if user.is_empty() {
            return Err(InvalidField { field: "user", problem: "is empty" });
        }
        self.user = Some(escape::encode(user, b"&=+$").into());
        Ok(self)
    }

    /// Sets the port; `None` leaves it to the transport.
    pub fn with_port(mut self, port: Option<u16>) -> Self {
        self.host_port.port = port.filter(|port| *port != 0);
        self
    }

    /// Sets the `transport` parameter.
    pub fn with_transport(mut self, transport: Transport) -> Self {
        let name = transport.as_str().to_ascii_lowercase();
        self.params.set("transport", &name).expect("the name of a transport is a token");
        self
    }

    /// The user part, decoded once.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.user.as_deref().map(escape::decode)
    }

    /// The user part as written.
    pub fn user_escaped(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host_port.host
    }

    /// The port as written.
    pub fn port(&self) -> Option<u16> {
        self.host_port.port
    }

    /// The `transport` parameter, if it names one that we speak.
    pub fn transport(&self) -> Option<Transport> {
        self.params.get("transport")?.parse().ok()
    }

    /// Whether the URI is a loose router (RFC 3261 16.12).
    pub fn is_loose_router(&self) -> bool {
        self.params.has("lr")
    }

    /// The header part as written, without the question mark: what a Refer-To or Contact wants in the new request.
    pub fn headers(&self) -> Option<&str> {
        self.headers.as_deref()
    }

    /// One header of the header part, decoded once; for example `Replaces` in a Refer-To (RFC 3891).
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let fields = self.headers.as_deref()?.split('&').filter_map(|field| field.split_once('='));
        fields
            .into_iter()
            .find(|(known, _)| escape::decode(known).eq_ignore_ascii_case(name))
            .map(|(_, v)| escape::decode(v))
    }

    /// Adds a header to the header part; everything that is not plainly legal there is escaped.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let before = self.headers.map_or(String::new(), |headers| format!("{headers}&"));
        self.headers = Some(format!("{before}{name}={}", escape::encode(value, b"")).into());
        self
    }

    /// The URI without its header part and `method` parameter: legal as a Request-URI (RFC 3261 19.1.5).
    pub fn without_headers(mut self) -> Self {
        self.headers = None;
        self.params.remove("method");
        self
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "sips" } else { "sip" }
    }

    pub(super) fn parse(text: &str, secure: bool) -> Result<Self, Malformed> {
        // The user part may hold `;` and `?`, so look for `@` first. It cannot stand unescaped anywhere else.
        let (user_info, place) = match text.split_once('@') {
            Some((user_info, place)) => (Some(user_info), place),
            None => (None, text),
        };
        let (user, password) =
            match user_info.map(|info| info.split_once(':').map_or((info, None), |(u, p)| (u, Some(p)))) {
                Some((user, password)) => (Some(user), password),
                None => (None, None),
            };
        // `#` is not in the grammar, but dial plans send it unescaped and nothing is ambiguous.
        escape::check(user.unwrap_or_default(), b"&=+$,;?/#", "user part")?;
        escape::check(password.unwrap_or_default(), b"&=+$,", "password part")?;
        if user == Some("") {
            return Err(Malformed("user part"));
        }
        let (place, headers) =
            place.split_once('?').map_or((place, None), |(place, headers)| (place, Some(headers)));
        escape::check(headers.unwrap_or_default(), b"[]/?:+$=&", "URI headers")?;
        let (host_port, params) =
            place.split_once(';').map_or((place, None), |(host, params)| (host, Some(params)));
        Ok(Self {
            secure,
            user: user.map(Into::into),
            password: password.map(Into::into),
            host_port: host_port.parse()?,
            params: params.map_or(Ok(Params::default()), Params::parse_uri)?,
            headers: headers.map(Into::into),
        })
    }

    /// RFC 3261 19.1.4: user by decoded text and case, host without case; `user`, `ttl`, `method`, `maddr` and `transport` must
    /// match if either side has them, other parameters only if both have them.
    pub(super) fn is_equivalent(&self, other: &SipUri) -> bool {
        let decoded = |text: &Option<Box<str>>| text.as_deref().map(|t| escape::decode(t).into_owned());
        let value =
            |uri: &SipUri, name: &str| uri.params.get(name).map(|v| escape::decode(v).to_ascii_lowercase());
        let agree = |name: &str| value(self, name) == value(other, name);
        let both = |name: &str| self.params.has(name) && other.params.has(name);
        self.secure == other.secure
            && decoded(&self.user) == decoded(&other.user)
            && decoded(&self.password) == decoded(&other.password)
            && self.host_port == other.host_port
            && ["user", "ttl", "method", "maddr", "transport"].into_iter().all(agree)
            && self.params.iter().all(|(name, _)| !both(name) || agree(name))
            && self.headers == other.headers
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme())?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            self.password.as_ref().map_or(Ok(()), |password| write!(f, ":{password}"))?;
            f.write_str("@")?;
        }
        write!(f, "{}{}", self.host_port, self.params)?;
        self.headers.as_ref().map_or(Ok(()), |headers| write!(f, "?{headers}"))
    }
}

/// As it prints, without the password.
impl fmt::Debug for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "***".into());
        fmt::Display::fmt(&SipUri { password, ..self.clone() }, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Uri;

    fn uri(text: &str) -> SipUri {
        match text.parse() {
            Ok(Uri::Sip(uri)) => uri,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_header_in_a_uri_is_escaped_and_read_back() {
        let plain = uri("sip:b@192.0.2.1:5070;transport=tcp");
        let value = "a@b;to-tag=1;from-tag=\"x\r\n&y";
        let uri = plain.with_header("Replaces", value);
        let text = uri.to_string();
        assert!(text.starts_with("sip:b@192.0.2.1:5070;transport=tcp?Replaces=a%40b%3Bto-tag%3D1"), "{text}");
        let Uri::Sip(read) = text.parse::<Uri>().unwrap() else { panic!("{text}") };
        assert_eq!(read.header("Replaces").as_deref(), Some(value));
        assert!(uri.with_header("Subject", "x").to_string().ends_with("&Subject=x"));
    }

    #[test]
    fn plain_text_becomes_a_user_part_and_nothing_else() {
        let host = || SipUri::new("example.com".parse().unwrap());
        for user in ["anna", "a@evil.example;lr", "50%", "Zoë", "a?Route=b", "+1#2", "a:b"] {
            let built = host().with_user(user).unwrap();
            assert_eq!(uri(&built.to_string()).user().unwrap(), user);
        }
        assert_eq!(host().with_user("a\r\nVia: b").unwrap_err().field, "user");
        assert!(host().with_user("").is_err());
    }

    #[test]
    fn a_header_of_a_uri_is_found_by_name_and_decoded_once() {
        let refer = uri("sip:a@b?Replaces=c%40d%3Bto-tag%3D1&subject=x");
        assert_eq!(refer.header("replaces").unwrap(), "c@d;to-tag=1");
        assert_eq!(refer.without_headers().to_string(), "sip:a@b");
    }

    #[test]
    fn a_password_is_masked_in_debug_output() {
        assert_eq!(format!("{:?}", uri("sip:a:secret@b")), "sip:a:***@b");
    }
}
