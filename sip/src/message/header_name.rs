//! The names of header fields, with their compact forms (RFC 3261 7.3.3).

use std::fmt;
use std::str::FromStr;

use super::{InvalidField, grammar};

macro_rules! header_names {
    ($($variant:ident = $name:literal $(| $compact:literal)?;)*) => {
        /// The name of a header field. Case does not matter; compact forms are understood and never written.
        #[derive(Debug, Clone, Eq)]
        pub enum HeaderName {
            $(#[doc = $name] $variant,)*
            /// Any other token, printed as it was written.
            Other(Box<str>),
        }

        impl HeaderName {
            /// The name as the RFCs print it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(HeaderName::$variant => $name,)*
                    HeaderName::Other(name) => name,
                }
            }

            fn known(name: &str) -> Option<HeaderName> {
                $(if name.eq_ignore_ascii_case($name) $(|| name.eq_ignore_ascii_case($compact))? {
                    return Some(HeaderName::$variant);
                })*
                None
            }
        }
    };
}

header_names! {
    Via = "Via" | "v";
    From = "From" | "f";
    To = "To" | "t";
    CallId = "Call-ID" | "i";
    CSeq = "CSeq";
    MaxForwards = "Max-Forwards";
    Contact = "Contact" | "m";
    Route = "Route";
    RecordRoute = "Record-Route";
    ContentLength = "Content-Length" | "l";
    ContentType = "Content-Type" | "c";
    ContentEncoding = "Content-Encoding" | "e";
    ContentDisposition = "Content-Disposition";
    Allow = "Allow";
    Supported = "Supported" | "k";
    Require = "Require";
    ProxyRequire = "Proxy-Require";
    Unsupported = "Unsupported";
    Accept = "Accept";
    AcceptEncoding = "Accept-Encoding";
    AcceptLanguage = "Accept-Language";
    UserAgent = "User-Agent";
    Server = "Server";
    Expires = "Expires";
    MinExpires = "Min-Expires";
    Authorization = "Authorization";
    ProxyAuthorization = "Proxy-Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    ProxyAuthenticate = "Proxy-Authenticate";
    AuthenticationInfo = "Authentication-Info";
    Subject = "Subject" | "s";
    Timestamp = "Timestamp";
    Date = "Date";
    RetryAfter = "Retry-After";
    Warning = "Warning";
    Reason = "Reason";
    Event = "Event" | "o";
    SubscriptionState = "Subscription-State";
    ReferTo = "Refer-To" | "r";
    ReferredBy = "Referred-By" | "b";
    ReferSub = "Refer-Sub";
    Replaces = "Replaces";
    SessionExpires = "Session-Expires" | "x";
    MinSe = "Min-SE";
    RSeq = "RSeq";
    RAck = "RAck";
    InfoPackage = "Info-Package";
    RecvInfo = "Recv-Info";
    Path = "Path";
    ServiceRoute = "Service-Route";
    PAssertedIdentity = "P-Asserted-Identity";
    PPreferredIdentity = "P-Preferred-Identity";
    RemotePartyId = "Remote-Party-ID";
    Privacy = "Privacy";
    Diversion = "Diversion";
}

impl FromStr for HeaderName {
    type Err = InvalidField;

    fn from_str(name: &str) -> Result<Self, InvalidField> {
        if let Some(known) = HeaderName::known(name) {
            return Ok(known);
        }
        grammar::check_token("header name", name)?;
        Ok(HeaderName::Other(name.into()))
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (HeaderName::Other(a), HeaderName::Other(b)) => a.eq_ignore_ascii_case(b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_compact_forms_do_not_matter() {
        for (text, name) in [
            ("v", HeaderName::Via),
            ("VIA", HeaderName::Via),
            ("i", HeaderName::CallId),
            ("MaX-fOrWaRdS", HeaderName::MaxForwards),
        ] {
            assert_eq!(text.parse::<HeaderName>().unwrap(), name);
        }
        assert_eq!("X-Tenant".parse::<HeaderName>().unwrap(), "x-tenant".parse().unwrap());
        assert!("C ontact".parse::<HeaderName>().is_err());
        assert_eq!("C%6Fntact".parse::<HeaderName>().unwrap().as_str(), "C%6Fntact");
    }
}
