//! Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3, 8.2.2.2).

use crate::message::{CSeq, HeaderError, HostPort, Method, Request, Response, Via};

/// What a response must carry to belong to our request: the branch of our Via and the method in CSeq.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientMatch {
    pub(crate) branch: Box<str>,
    pub(crate) method: Method,
}

impl ClientMatch {
    /// `None` for a response with several Vias or none of ours: it went astray (8.1.3.3).
    pub(crate) fn of(response: &Response) -> Option<Self> {
        let vias = response.headers.vias().ok()?;
        let [via] = vias.as_slice() else { return None };
        Some(Self { branch: via.branch()?.into(), method: response.headers.cseq().ok()?.method })
    }
}

/// What a request must carry to belong to a server transaction. ACK counts as INVITE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ServerMatch {
    /// The branch is unique by its magic cookie.
    Branch { branch: Box<str>, sent_by: HostPort, method: Method },
    /// RFC 2543: the sender puts no unique branch; the other fields together must do. The To tag of an ACK is compared apart.
    Legacy {
        uri: Box<str>,
        from_tag: Option<Box<str>>,
        call_id: Box<str>,
        number: u32,
        via: Box<str>,
        method: Method,
    },
}

impl ServerMatch {
    pub(crate) fn of(request: &Request, via: &Via) -> Result<Self, HeaderError> {
        let method = match &request.method {
            Method::Ack => Method::Invite,
            method => method.clone(),
        };
        if let Some(branch) = via.unique_branch() {
            return Ok(Self::Branch { branch: branch.into(), sent_by: via.sent_by.clone(), method });
        }
        Ok(Self::Legacy {
            uri: request.uri.to_string().into(),
            from_tag: request.headers.from()?.tag().map(Into::into),
            call_id: request.headers.call_id()?.into(),
            number: request.headers.cseq()?.number,
            via: via.to_string().into(),
            method,
        })
    }

    /// The INVITE that a CANCEL means (9.2).
    pub(crate) fn cancelled_invite(&self) -> Self {
        let mut invite = self.clone();
        match &mut invite {
            Self::Branch { method, .. } | Self::Legacy { method, .. } => *method = Method::Invite,
        }
        invite
    }

    pub(crate) fn is_legacy(&self) -> bool {
        matches!(self, Self::Legacy { .. })
    }
}

/// What two requests share that are one request come by two ways (8.2.2.2). Only outside dialogs, only with a From tag.
///
/// The Request-URI counts too: one endpoint serves many accounts, and a proxy that forks a call to two of them sends two requests
/// that differ in nothing else and must both ring.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MergeKey {
    call_id: Box<str>,
    from_tag: Box<str>,
    cseq: CSeq,
    uri: Box<str>,
}

impl MergeKey {
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        if headers.to().ok()?.tag().is_some() {
            return None;
        }
        let from_tag = headers.from().ok()?.tag()?.into();
        let uri = request.uri.to_string().into();
        Some(Self { call_id: headers.call_id().ok()?.into(), from_tag, cseq: headers.cseq().ok()?, uri })
    }
}
