//! Header fields read as types (RFC 3261 20). A missing, doubled or malformed field is an error that names it.

use std::str::FromStr;

use super::grammar::{self, number, split_list};
use super::{CSeq, HeaderError, HeaderName, HeaderProblem, Headers, Malformed, Method, NameAddr, Via};

impl Headers {
    /// All Via values, topmost first; at least one.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        self.some_values(HeaderName::Via)
    }

    /// The topmost Via: the one that we wrote into a response, or that the sender wrote into a request.
    pub fn top_via(&self) -> Result<Via, HeaderError> {
        let name = HeaderName::Via;
        let line = self.get(&name).ok_or_else(|| error(&name, HeaderProblem::Missing))?;
        let first = split_list(line, "Via").map_err(|malformed| error(&name, malformed.into()))?[0];
        first.parse().map_err(|malformed: Malformed| error(&name, malformed.into()))
    }

    /// Who asks.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.single(HeaderName::From, str::parse)
    }

    /// Who is asked.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.single(HeaderName::To, str::parse)
    }

    /// What all messages of one dialog or registration share; compares by case.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        let name = HeaderName::CallId;
        let value = self.single_line(&name)?;
        if value.is_empty() || value.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control()) {
            return Err(error(&name, Malformed("Call-ID").into()));
        }
        Ok(value)
    }

    /// Sequence number and method.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.single(HeaderName::CSeq, str::parse)
    }

    /// The Contact addresses; none is not an error, and neither is `*`, which names no address.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, HeaderError> {
        if self.contact_is_wildcard() { Ok(Vec::new()) } else { self.values(HeaderName::Contact) }
    }

    /// `Contact: *` of a REGISTER that removes all bindings (RFC 3261 10.2.2).
    pub fn contact_is_wildcard(&self) -> bool {
        self.get(&HeaderName::Contact) == Some("*") && self.all(&HeaderName::Contact).count() == 1
    }

    /// The route set of a request, next hop first.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.values(HeaderName::Route)
    }

    /// Where a registrar wants the account's further requests to go, next hop first (RFC 3608).
    pub fn service_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.values(HeaderName::ServiceRoute)
    }

    /// The proxies that want to stay in the dialog, in the order of the message.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.values(HeaderName::RecordRoute)
    }

    /// Hops left, 0 to 255 (RFC 3261 20.22).
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.optional(HeaderName::MaxForwards, |text| number(text, "number from 0 to 255"))
    }

    /// Lifetime in seconds.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::Expires, seconds)
    }

    /// The shortest lifetime that the registrar takes, in seconds (with 423).
    pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::MinExpires, seconds)
    }

    /// When to try again, in seconds; a comment or `;duration` behind the number is left aside (RFC 3261 20.33).
    pub fn retry_after(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::RetryAfter, |text| {
            seconds(text.split([' ', '\t', ';', '(']).next().unwrap_or_default())
        })
    }

    /// `type/subtype` of the body, lower case, without parameters.
    pub fn content_type(&self) -> Result<Option<String>, HeaderError> {
        self.optional(HeaderName::ContentType, media_type)
    }

    /// The length of the body, in bytes.
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        self.optional(HeaderName::ContentLength, |text| number(text, "length"))
    }

    /// Option tags that the sender understands.
    pub fn supported(&self) -> Result<Vec<String>, HeaderError> {
        self.tokens(HeaderName::Supported)
    }

    /// Option tags that the sender insists on.
    pub fn require(&self) -> Result<Vec<String>, HeaderError> {
        self.tokens(HeaderName::Require)
    }

    /// The methods that the sender takes; `None` when it does not say.
    pub fn allow(&self) -> Result<Option<Vec<Method>>, HeaderError> {
        let name = HeaderName::Allow;
        if !self.has(&name) {
            return Ok(None);
        }
        let methods = self.tokens(name.clone())?.into_iter().map(|token| token.parse());
        methods.collect::<Result<_, _>>().map(Some).map_err(|_| error(&name, Malformed("method").into()))
    }

    /// The media types that the sender takes, lower case, without parameters; `None` when it does not say.
    pub fn accept(&self) -> Result<Option<Vec<String>>, HeaderError> {
        let name = HeaderName::Accept;
        if !self.has(&name) {
            return Ok(None);
        }
        self.list(&name, media_type).map(Some)
    }

    /// All values of a list header, each read as `T`; an absent header is an empty list.
    pub fn values<T: FromStr<Err = Malformed>>(&self, name: HeaderName) -> Result<Vec<T>, HeaderError> {
        self.list(&name, str::parse)
    }

    /// All tokens of a list header; an absent or empty header is an empty list.
    pub fn tokens(&self, name: HeaderName) -> Result<Vec<String>, HeaderError> {
        self.list(
            &name,
            |text| {
                if grammar::is_token(text) { Ok(text.to_owned()) } else { Err(Malformed("token")) }
            },
        )
    }

    fn some_values<T: FromStr<Err = Malformed>>(&self, name: HeaderName) -> Result<Vec<T>, HeaderError> {
        let values = self.values(name.clone())?;
        if values.is_empty() { Err(error(&name, HeaderProblem::Missing)) } else { Ok(values) }
    }

    /// `Supported:`, `Allow:` and `Accept:` may be empty, and an empty line says "none".
    fn list<T>(
        &self,
        name: &HeaderName,
        read: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, HeaderError> {
        let mut values = Vec::new();
        for line in self.all(name).filter(|line| !line.is_empty() || *name == HeaderName::Via) {
            for part in split_list(line, "list").map_err(|malformed| error(name, malformed.into()))? {
                values.push(read(part).map_err(|malformed| error(name, malformed.into()))?);
            }
        }
        Ok(values)
    }

    fn optional<T>(
        &self,
        name: HeaderName,
        read: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<Option<T>, HeaderError> {
        if self.has(&name) { self.single(name, read).map(Some) } else { Ok(None) }
    }

    fn single<T>(
        &self,
        name: HeaderName,
        read: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<T, HeaderError> {
        read(self.single_line(&name)?).map_err(|malformed| error(&name, malformed.into()))
    }

    fn single_line(&self, name: &HeaderName) -> Result<&str, HeaderError> {
        let mut lines = self.iter().filter(|field| field.name() == name).map(super::Header::value);
        let line = lines.next().ok_or_else(|| error(name, HeaderProblem::Missing))?;
        if lines.next().is_some() { Err(error(name, HeaderProblem::Duplicate)) } else { Ok(line) }
    }
}

fn error(header: &HeaderName, problem: HeaderProblem) -> HeaderError {
    HeaderError { header: header.clone(), problem }
}

fn seconds(text: &str) -> Result<u32, Malformed> {
    number(text, "number of seconds")
}

fn media_type(text: &str) -> Result<String, Malformed> {
    let full = text.split(';').next().unwrap_or_default();
    let (kind, subtype) = full.split_once('/').ok_or(Malformed("media type"))?;
    let (kind, subtype) = (kind.trim(), subtype.trim());
    if !grammar::is_token(kind) || !grammar::is_token(subtype) {
        return Err(Malformed("media type"));
    }
    Ok(format!("{kind}/{subtype}").to_ascii_lowercase())
}
