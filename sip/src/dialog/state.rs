//! One dialog.

use bytes::Bytes;

use super::DialogId;
use super::routing::{Routing, set_routes};
use crate::message::{
    CSeq, Header, HeaderError, HeaderName, InvalidField, Method, NameAddr, Request, Response, StatusCode, Uri,
};

/// A dialog as either side (RFC 3261 §12). Outgoing requests are made here, so that sequence numbers, tags and routes cannot go
/// wrong; incoming requests are checked by [`receive`](Self::receive) before anyone acts on them.
///
/// An INVITE within the dialog is *open* from its sending or arrival to its final response. While one is, no other may begin
/// (RFC 3261 §14.1, §14.2): ours must wait ([`invite_is_open`](Self::invite_is_open)), theirs is refused with 491 or 500.
#[derive(Debug, Clone)]
pub struct Dialog {
    id: DialogId,
    confirmed: bool,
    local: NameAddr,
    remote: NameAddr,
    contact: NameAddr,
    routing: Routing,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    remote_invite: Option<u32>,
    ours_open: bool,
    theirs_open: bool,
    last_ack: Option<Box<Request>>,
}

impl Dialog {
    /// As the caller, from our INVITE and a 101–199 or 2xx to it.
    ///
    /// # Errors
    /// `Header` for what cannot be read, `NoTag` for a 1xx without To tag (no dialog then), `NoContact` for a 2xx without Contact.
    pub fn uac(invite: &Request, response: &Response) -> Result<Self, DialogError> {
        let remote = response.headers.to()?;
        let confirmed = response.code.is_success();
        if remote.tag().is_none() && !confirmed {
            return Err(DialogError::NoTag);
        }
        // Early dialogs without a Contact are met; PRACK and UPDATE then go the way of the INVITE.
        let remote_target = match target(response.headers.contacts()?) {
            Some(uri) => uri,
            None if confirmed => return Err(DialogError::NoContact),
            None => invite.uri.clone(),
        };
        let contact = invite.headers.contacts()?.into_iter().next().ok_or(DialogError::NoContact)?;
        Ok(Self {
            id: DialogId::of_response(response)?,
            confirmed,
            local: invite.headers.from()?,
            remote,
            contact,
            routing: Routing { routes: reversed_record_routes(response)?, remote_target },
            local_cseq: invite.headers.cseq()?.number,
            remote_cseq: None,
            remote_invite: None,
            ours_open: !confirmed,
            theirs_open: false,
            last_ack: None,
        })
    }

    /// As the one called, from an INVITE that came in, with the tag that our responses carry and our own Contact.
    ///
    /// # Errors
    /// `Header`, `NoContact` (refuse with 400), `Field` if the tag is no token.
    pub fn uas(invite: &Request, local_tag: &str, contact: NameAddr) -> Result<Self, DialogError> {
        let local = invite.headers.to()?.with_tag(local_tag)?;
        let number = invite.headers.cseq()?.number;
        Ok(Self {
            id: DialogId { local_tag: local_tag.to_owned(), ..DialogId::of_request(invite)? },
            confirmed: false,
            local,
            remote: invite.headers.from()?,
            contact,
            routing: Routing {
                routes: invite.headers.record_routes()?,
                remote_target: target(invite.headers.contacts()?).ok_or(DialogError::NoContact)?,
            },
            local_cseq: 0,
            remote_cseq: Some(number),
            remote_invite: Some(number),
            ours_open: false,
            theirs_open: true,
            last_ack: None,
        })
    }

    /// As the caller: a 2xx for an early dialog. The route set is taken anew from it (RFC 3261 §13.2.2.4).
    ///
    /// # Errors
    /// `Header`, `NoContact`; the dialog is unchanged.
    pub fn confirm(&mut self, response: &Response) -> Result<(), DialogError> {
        let remote_target = target(response.headers.contacts()?).ok_or(DialogError::NoContact)?;
        self.routing = Routing { routes: reversed_record_routes(response)?, remote_target };
        (self.confirmed, self.ours_open) = (true, false);
        Ok(())
    }

    /// As the one called: our final response to the INVITE that made the dialog, or to a later one, has gone out.
    pub fn answered(&mut self, code: StatusCode) {
        self.theirs_open = false;
        self.confirmed |= code.is_success();
    }

    /// Makes the next request: everything but Via, body and what is particular to the method. INVITE and UPDATE carry our Contact and
    /// move the peer's target with their 2xx. ACK is made by [`ack`](Self::ack), CANCEL by the transaction layer.
    pub fn request(&mut self, method: Method) -> Request {
        debug_assert!(
            !matches!(method, Method::Ack | Method::Cancel),
            "these two have the number of their INVITE"
        );
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.ours_open |= method == Method::Invite;
        self.numbered(method, self.local_cseq)
    }

    /// The same request once more under the next number: after 401, 407, 491 or another target. The body and all other headers
    /// stay, Via goes (the transaction layer sets a new one).
    pub fn again(&mut self, request: &Request) -> Request {
        let mut again = self.request(request.method.clone());
        let fresh = again.headers.clone();
        let kept = |field: &&Header| *field.name() != HeaderName::Via && !fresh.has(field.name());
        for field in request.headers.iter().filter(kept) {
            again.headers.push_from_wire(field.clone());
        }
        again.body = request.body.clone();
        again
    }

    /// The ACK for a 2xx to `invite`: its number, its credentials (RFC 3261 §13.2.2.4), and the answer to an offer that came
    /// in the 2xx. Kept for [`repeated_ack`](Self::repeated_ack). It goes to [`next_hop`](Self::next_hop), outside any transaction.
    pub fn ack(&mut self, invite: &Request, answer: Option<Bytes>) -> Request {
        let number = invite.headers.cseq().map_or(self.local_cseq, |cseq| cseq.number);
        let mut ack = self.numbered(Method::Ack, number);
        for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            ack.headers.copy_from(&invite.headers, &name);
        }
        if let Some(sdp) = answer {
            ack = ack.with_body("application/sdp", sdp);
        }
        self.last_ack = Some(Box::new(ack.clone()));
        ack
    }

    /// The ACK to send again when a 2xx comes again; `None` for any other response.
    pub fn repeated_ack(&self, response: &Response) -> Option<&Request> {
        let ack = self.last_ack.as_deref()?;
        let cseq = response.headers.cseq().ok()?;
        let same = cseq.method == Method::Invite && cseq.number == ack.headers.cseq().ok()?.number;
        (same && response.code.is_success()).then_some(ack)
    }

    /// Takes the final response to a request of ours within the dialog, or the lack of one (`None`: timeout, transport).
    ///
    /// # Errors
    /// `Header` if the Contact of a 2xx cannot be read; the old target stays.
    pub fn concluded(&mut self, method: &Method, response: Option<&Response>) -> Result<(), DialogError> {
        self.ours_open &= *method != Method::Invite;
        if let Some(response) = response.filter(|response| response.code.is_success())
            && refreshes_target(method)
            && let Some(uri) = target(response.headers.contacts()?)
        {
            self.routing.remote_target = uri;
        }
        Ok(())
    }

    /// Checks a request that came in for this dialog, and takes over its number and its target (RFC 3261 §12.2.2).
    ///
    /// # Errors
    /// Why it is refused: [`status`](DialogError::status) says with what. For an ACK: ignore it.
    pub fn receive(&mut self, request: &Request) -> Result<(), DialogError> {
        let number = request.headers.cseq()?.number;
        if request.method == Method::Ack {
            return if self.remote_invite == Some(number) { Ok(()) } else { Err(DialogError::StrayAck) };
        }
        if self.remote_cseq.is_some_and(|last| number < last) {
            return Err(DialogError::OldCSeq);
        }
        self.remote_cseq = Some(number);
        if request.method == Method::Invite {
            if self.ours_open {
                return Err(DialogError::Glare);
            }
            if self.theirs_open {
                return Err(DialogError::InviteOpen);
            }
        }
        if refreshes_target(&request.method)
            && let Some(uri) = target(request.headers.contacts()?)
        {
            self.routing.remote_target = uri;
        }
        if request.method == Method::Invite {
            (self.theirs_open, self.remote_invite) = (true, Some(number));
        }
        Ok(())
    }

    /// Its name.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Whether a 2xx has been sent or received.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether an INVITE of either side waits for its final response.
    pub fn invite_is_open(&self) -> bool {
        self.ours_open || self.theirs_open
    }

    /// Who the peer is, with its tag.
    pub fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Who we are, with our tag.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// The peer's Contact, as it stands now.
    pub fn remote_target(&self) -> &Uri {
        &self.routing.remote_target
    }

    /// The URI to resolve and send requests to.
    pub fn next_hop(&self) -> &Uri {
        self.routing.next_hop()
    }

    fn numbered(&self, method: Method, number: u32) -> Request {
        let (uri, routes) = self.routing.plan();
        let has_contact = refreshes_target(&method);
        let (from, to) = (self.local.clone(), self.remote.clone());
        let mut request = Request::new(method, uri, from, to, &self.id.call_id, number)
            .expect("the Call-ID was legal in the message that made the dialog");
        set_routes(&mut request, routes);
        if has_contact {
            request.headers.push(HeaderName::Contact, self.contact.clone());
        }
        request
    }
}

/// A response that makes or belongs to a dialog: our tag, our Contact, the proxies that want to stay (RFC 3261 §12.1.1).
///
/// # Errors
/// [`InvalidField`] if the tag is no token.
pub fn dialog_response(
    request: &Request,
    code: StatusCode,
    local_tag: &str,
    contact: &NameAddr,
) -> Result<Response, InvalidField> {
    let mut response = request.response(code).with_to_tag(local_tag)?;
    response.headers.copy_from(&request.headers, &HeaderName::RecordRoute);
    Ok(response.with_header(HeaderName::Contact, contact.clone()))
}

/// RFC 3261 §12.2 for INVITE, RFC 3311 §5 for UPDATE, RFC 6665 §4.4.1 and RFC 3515 for the rest.
fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
}

fn target(contacts: Vec<NameAddr>) -> Option<Uri> {
    contacts.into_iter().map(|contact| contact.uri).find(|uri| uri.as_sip().is_some())
}

/// The caller sees the proxies from the other end (RFC 3261 §12.1.2).
fn reversed_record_routes(response: &Response) -> Result<Vec<NameAddr>, HeaderError> {
    let mut routes = response.headers.record_routes()?;
    routes.reverse();
    Ok(routes)
}

/// Why a message makes no dialog or does not fit into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// A header is missing or malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A value of ours is not legal.
    #[error(transparent)]
    Field(#[from] InvalidField),
    /// A provisional response without To tag: no dialog.
    #[error("no To tag")]
    NoTag,
    /// No Contact with a SIP URI.
    #[error("no usable Contact")]
    NoContact,
    /// Older than what came last (RFC 3261 §12.2.2).
    #[error("CSeq is lower than the last")]
    OldCSeq,
    /// Our own INVITE is open (RFC 3261 §14.2).
    #[error("an INVITE of ours is open")]
    Glare,
    /// The peer's INVITE before this one is open: add a Retry-After of 0 to 10 s (RFC 3261 §14.2).
    #[error("an earlier INVITE is not answered yet")]
    InviteOpen,
    /// An ACK for no INVITE of the peer.
    #[error("ACK without its INVITE")]
    StrayAck,
}

impl DialogError {
    /// The code that refuses the request.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Glare => StatusCode::REQUEST_PENDING,
            Self::OldCSeq | Self::InviteOpen => StatusCode::SERVER_INTERNAL_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Replaces the number of a request outside a dialog, for its next try.
pub(super) fn renumber(request: &mut Request, number: u32) {
    request.headers.set(HeaderName::CSeq, CSeq::new(number, request.method.clone()));
}
