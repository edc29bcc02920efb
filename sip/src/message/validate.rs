//! What a UAS refuses without knowing any state (RFC 3261 8.2), as one table.

use super::{
    HeaderError, HeaderName, HeaderProblem, Headers, InvalidField, Malformed, Method, Request, Response,
    StatusCode,
};

/// What our side can do. The lists become Allow, Supported and Accept of the refusals.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities<'a> {
    /// Methods that we answer.
    pub methods: &'a [Method],
    /// Option tags that we understand.
    pub extensions: &'a [&'a str],
    /// Schemes of Request-URIs that we answer for, lower case.
    pub schemes: &'a [&'a str],
    /// For each method whose body we read, the media types that we take. Bodies of other methods are not looked at.
    pub bodies: &'a [(Method, &'a [&'a str])],
}

impl Capabilities<'_> {
    /// Writes Allow and Supported, as every 2xx to INVITE and OPTIONS should carry them (RFC 3261 13.3.1.4, 11.2).
    pub fn advertise(&self, headers: &mut Headers) {
        set_list(headers, HeaderName::Allow, self.methods.iter().map(Method::as_str));
        set_list(headers, HeaderName::Supported, self.extensions.iter().copied());
    }
}

/// Checks a request outside or inside a dialog; the error is the answer to send. Not for ACK, which is never answered.
///
/// | # | check | answer | with | RFC 3261 |
/// |---|---|---|---|---|
/// | 1 | the method is a word that we know | 501 | Allow | 8.2.1, 21.5.2 |
/// | 2 | CSeq has the same method; fields that stand once do; addresses and Max-Forwards follow the grammar; a body has a type | 400 | phrase | 8.1.1, 20 |
/// | 3 | we answer the method | 405 | Allow | 8.2.1 |
/// | 4 | we know the scheme of the Request-URI | 416 | | 8.2.2.1 |
/// | 5 | we understand all of Require | 420 | Unsupported | 8.2.2.3 |
/// | 6 | we understand type and encoding of the body | 415 | Accept, Accept-Encoding | 8.2.3 |
/// | 7 | an INVITE may be answered with SDP | 406 | | 8.2.6, 21.4.7 |
///
/// 505 and syntax that hides who asks are found by [`parse`](super::parse), 482 and 481 by the transaction layer. An RFC 2543
/// INVITE without branch, From tag, Max-Forwards or Contact passes (RFC 4475 3.4.1).
pub fn check(request: &Request, capabilities: &Capabilities<'_>) -> Result<(), Box<Response>> {
    const TABLE: [Row; 7] = [
        known_method,
        well_formed,
        allowed_method,
        known_scheme,
        required_extensions,
        readable_body,
        acceptable_answer,
    ];
    TABLE.iter().try_for_each(|row| row(request, capabilities)).map_err(|refusal| {
        let mut response = request.stateless_response(refusal.code);
        if let Some(phrase) = refusal.phrase {
            response = response.with_reason(&phrase).expect("our error texts are plain");
        }
        for (name, value) in refusal.headers {
            response.headers.push_text(name, &value).expect("lists of tokens hold no control characters");
        }
        Box::new(response)
    })
}

/// One row of the table.
type Row = fn(&Request, &Capabilities<'_>) -> Result<(), Refusal>;

struct Refusal {
    code: StatusCode,
    phrase: Option<String>,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    fn with(code: StatusCode, name: HeaderName, value: String) -> Self {
        Self { code, phrase: None, headers: vec![(name, value)] }
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self { code: StatusCode::BAD_REQUEST, phrase: Some(error.to_string()), headers: Vec::new() }
    }
}

fn known_method(request: &Request, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    match request.method {
        Method::Other(_) if !capabilities.methods.contains(&request.method) => {
            Err(Refusal::with(StatusCode::NOT_IMPLEMENTED, HeaderName::Allow, allow(capabilities)))
        }
        _ => Ok(()),
    }
}

fn well_formed(request: &Request, _: &Capabilities<'_>) -> Result<(), Refusal> {
    let headers = &request.headers;
    if headers.cseq()?.method != request.method {
        let problem = Malformed("CSeq: it names another method than the request").into();
        return Err(HeaderError { header: HeaderName::CSeq, problem }.into());
    }
    headers.from()?;
    headers.to()?;
    headers.max_forwards()?;
    headers.contacts()?;
    headers.routes()?;
    headers.record_routes()?;
    headers.require()?;
    let content_type = headers.content_type()?;
    if content_type.is_none() && !request.body.is_empty() {
        return Err(HeaderError { header: HeaderName::ContentType, problem: HeaderProblem::Missing }.into());
    }
    Ok(())
}

fn allowed_method(request: &Request, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    if capabilities.methods.contains(&request.method) {
        return Ok(());
    }
    Err(Refusal::with(StatusCode::METHOD_NOT_ALLOWED, HeaderName::Allow, allow(capabilities)))
}

fn known_scheme(request: &Request, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    if capabilities.schemes.contains(&request.uri.scheme()) {
        return Ok(());
    }
    Err(Refusal { code: StatusCode::UNSUPPORTED_URI_SCHEME, phrase: None, headers: Vec::new() })
}

fn required_extensions(request: &Request, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    // Require in CANCEL counts for nothing (RFC 3261 8.2.2.3).
    if request.method == Method::Cancel {
        return Ok(());
    }
    let mut unknown = request.headers.require()?;
    unknown.retain(|tag| !capabilities.extensions.iter().any(|known| known.eq_ignore_ascii_case(tag)));
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(StatusCode::BAD_EXTENSION, HeaderName::Unsupported, unknown.join(", ")))
}

fn readable_body(request: &Request, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    let Some((_, types)) = capabilities.bodies.iter().find(|(method, _)| *method == request.method) else {
        return Ok(());
    };
    let headers = &request.headers;
    let optional = headers.get(&HeaderName::ContentDisposition).is_some_and(|value| {
        value.to_ascii_lowercase().replace([' ', '\t'], "").contains("handling=optional")
    });
    if request.body.is_empty() || optional {
        return Ok(());
    }
    let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let encodings = headers.tokens(HeaderName::ContentEncoding)?;
    if encodings.iter().any(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::with(code, HeaderName::AcceptEncoding, "identity".to_owned()));
    }
    match headers.content_type()? {
        Some(content_type) if !types.contains(&content_type.as_str()) => {
            Err(Refusal::with(code, HeaderName::Accept, types.join(", ")))
        }
        _ => Ok(()),
    }
}

fn acceptable_answer(request: &Request, _: &Capabilities<'_>) -> Result<(), Refusal> {
    const SDP: [&str; 3] = ["application/sdp", "application/*", "*/*"];
    let accept = if request.method == Method::Invite { request.headers.accept()? } else { None };
    if accept.is_none_or(|types| types.iter().any(|known| SDP.contains(&known.as_str()))) {
        return Ok(());
    }
    Err(Refusal { code: StatusCode::NOT_ACCEPTABLE, phrase: None, headers: Vec::new() })
}

fn allow(capabilities: &Capabilities<'_>) -> String {
    capabilities.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

fn set_list<'a>(headers: &mut Headers, name: HeaderName, items: impl Iterator<Item = &'a str>) {
    let written: Result<(), InvalidField> = headers.set_text(name, &items.collect::<Vec<_>>().join(", "));
    written.expect("methods and option tags are tokens");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, parse};

    const CAPABILITIES: Capabilities<'_> = Capabilities {
        methods: &[Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options],
        extensions: &["timer"],
        schemes: &["sip", "sips"],
        bodies: &[(Method::Invite, &["application/sdp"])],
    };

    /// The code and the telling header of the answer to a request with these lines added or replaced.
    fn verdict(start: &str, cseq: &str, more: &str) -> (u16, String) {
        let text = format!(
            "{start} SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: x\r\nCSeq: 1 {cseq}\r\n{more}\r\n"
        );
        let text = if more.contains("\r\n\r\n") { text.trim_end_matches("\r\n").to_owned() } else { text };
        let Message::Request(request) = parse(text.as_bytes()).unwrap() else { panic!("a request") };
        match check(&request, &CAPABILITIES) {
            Ok(()) => (200, String::new()),
            Err(response) => {
                let fields = response.headers.iter().skip(5).map(|f| format!("{}: {}", f.name(), f.value()));
                (response.code.as_u16(), fields.collect::<Vec<_>>().join("; "))
            }
        }
    }

    #[test]
    fn every_row_of_the_table_refuses_what_it_should() {
        const ALLOW: &str = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS";
        for (start, cseq, more, code, with) in [
            ("OPTIONS sip:a@b", "OPTIONS", "", 200, ""),
            ("OPTIONZ sip:a@b", "OPTIONS", "", 501, ALLOW),
            ("OPTIONS sip:a@b", "INVITE", "", 400, ""),
            ("OPTIONS sip:a@b", "OPTIONS", "Max-Forwards: 256\r\n", 400, ""),
            ("OPTIONS sip:a@b", "OPTIONS", "Max-Forwards: 7\r\nMax-Forwards: 7\r\n", 400, ""),
            ("OPTIONS sip:a@b", "OPTIONS", "Contact: sip:a@b?Route=x\r\n", 400, ""),
            ("INVITE sip:a@b", "INVITE", "\r\nv=0", 400, ""),
            ("REGISTER sip:b", "REGISTER", "", 405, ALLOW),
            ("OPTIONS urn:x", "OPTIONS", "", 416, ""),
            ("OPTIONS sip:a@b", "OPTIONS", "Require: timer, a\r\nRequire: b\r\n", 420, "Unsupported: a, b"),
            ("CANCEL sip:a@b", "CANCEL", "Require: a\r\n", 200, ""),
            ("INVITE sip:a@b", "INVITE", "c: a/b\r\n\r\nx", 415, "Accept: application/sdp"),
            ("INVITE sip:a@b", "INVITE", "c: Application/SDP;x=y\r\n\r\nx", 200, ""),
            (
                "INVITE sip:a@b",
                "INVITE",
                "e: gzip\r\nc: application/sdp\r\n\r\nx",
                415,
                "Accept-Encoding: identity",
            ),
            (
                "INVITE sip:a@b",
                "INVITE",
                "Content-Disposition: x; handling=Optional\r\nc: a/b\r\n\r\nx",
                200,
                "",
            ),
            ("BYE sip:a@b", "BYE", "c: a/b\r\n\r\nx", 200, ""),
            ("INVITE sip:a@b", "INVITE", "Accept: text/plain\r\n", 406, ""),
            ("INVITE sip:a@b", "INVITE", "Accept: text/plain, */*;q=0.1\r\n", 200, ""),
        ] {
            assert_eq!(verdict(start, cseq, more), (code, with.to_owned()), "{start} {more}");
        }
    }
}
