//! The two requests that the layer makes itself: ACK for a refusal, CANCEL (RFC 3261 17.1.1.3, 9.1).

use bytes::Bytes;

use crate::message::{CSeq, HeaderName, Headers, Method, Reason, Request, Response};

/// The ACK for a 3xx–6xx: as the INVITE, with the To of the response.
pub(crate) fn ack(invite: &Request, response: &Response) -> Request {
    let mut ack = hop_by_hop(invite, Method::Ack);
    ack.headers.copy_from(&response.headers, &HeaderName::To);
    ack
}

/// The CANCEL for an INVITE, with the reason for it if there is one to tell (RFC 3326).
pub(crate) fn cancel(invite: &Request, reason: Option<&Reason>) -> Request {
    let mut cancel = hop_by_hop(invite, Method::Cancel);
    cancel.headers.copy_from(&invite.headers, &HeaderName::To);
    if let Some(reason) = reason {
        cancel.headers.push(HeaderName::Reason, reason.clone());
    }
    cancel
}

/// A request that takes the way of `invite` to the next hop: same Request-URI, top Via, Route, Call-ID, From and CSeq number.
fn hop_by_hop(invite: &Request, method: Method) -> Request {
    const FOUND: &str = "the layer checked CSeq and wrote the Via when it sent this INVITE";
    let mut headers = Headers::new();
    headers.push(HeaderName::Via, invite.headers.top_via().expect(FOUND));
    headers.push(HeaderName::MaxForwards, 70_u32);
    for name in [HeaderName::Route, HeaderName::From, HeaderName::CallId] {
        headers.copy_from(&invite.headers, &name);
    }
    let number = invite.headers.cseq().expect(FOUND).number;
    headers.push(HeaderName::CSeq, CSeq::new(number, method.clone()));
    Request { method, uri: invite.uri.clone(), headers, body: Bytes::new() }
}
