//! SIP messages as types: what is printed was valid by construction, what is read is checked (RFC 3261 7, 19, 20, 25).
//!
//! Values that come from people or JSON enter through constructors that refuse control characters and name the field
//! ([`InvalidField`]), so no display name, user part or token can add a header line. Values that come from the network
//! enter through [`parse`] and, for requests, [`check`].

mod cseq;
mod error;
mod escape;
pub(crate) mod grammar;
mod header_name;
mod headers;
mod host;
mod method;
mod name_addr;
mod params;
mod parse;
mod random;
mod reason;
mod reject;
mod request;
mod response;
mod sip_uri;
mod status;
mod tel_uri;
mod typed;
mod uri;
mod validate;
mod via;

pub use cseq::CSeq;
pub use error::{HeaderError, HeaderProblem, InvalidField, Malformed};
pub use header_name::HeaderName;
pub use headers::{Header, HeaderValue, Headers};
pub use host::{Host, HostPort};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub(crate) use parse::declared_length;
pub use parse::{MAX_HEADERS, MAX_MESSAGE, ParseError, ParseFailure, parse};
pub use random::{random_branch, random_call_id, random_tag};
pub use reason::Reason;
pub use request::Request;
pub use response::Response;
pub use sip_uri::SipUri;
pub use status::StatusCode;
pub use tel_uri::TelUri;
pub use uri::Uri;
pub use validate::{Capabilities, check};
pub use via::{BRANCH_COOKIE, Transport, Via};

/// What travels between two SIP elements (RFC 3261 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Asks for something.
    Request(Request),
    /// Answers a request.
    Response(Response),
}

impl Message {
    /// The header fields of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    /// The bytes for the wire, with a Content-Length that fits the body.
    pub fn to_bytes(&self) -> bytes::Bytes {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Message::Response(response)
    }
}
