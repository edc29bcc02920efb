//! A REFER of ours (RFC 3515) and its retries.
use sip::auth::{SentTo, Tries};
use sip::message::{HeaderName, Method, NameAddr, Request, Response, StatusCode, Uri};

use super::Signalling;

/// A REFER that is out.
pub(super) struct Out {
    request: Request,
    tries: Tries,
}

impl Signalling {
    /// The REFER that asks the far end to call `to`: within the dialog, so that it reaches the far end's own Contact.
    pub fn refer(&mut self, to: &Uri) -> Option<Request> {
        let dialog = self.dialog.as_mut()?;
        let mut request = dialog.request(Method::Refer);
        request.headers.push(HeaderName::ReferTo, NameAddr::new(to.clone()));
        // Who asks, for whoever is called (RFC 3892): the address alone, the tag is the dialog's.
        request.headers.push(HeaderName::ReferredBy, NameAddr::new(dialog.local().uri.clone()));
        self.capabilities.advertise(&mut request.headers);
        self.refer = Some(Out { request, tries: Tries::default() });
        self.sent_refer()
    }

    /// A 401 or 407 that we may answer: the REFER once more, with credentials.
    pub fn refer_challenged(&mut self, response: &Response, sent_to: SentTo) -> Option<Request> {
        let (credentials, out) = (self.credentials.as_mut()?, self.refer.as_mut()?);
        if !matches!(response.code, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            return None;
        }
        credentials.challenged(&mut out.tries, &out.request, response, sent_to).ok()?;
        out.request = self.dialog.as_mut()?.again(&out.request);
        self.sent_refer()
    }

    fn sent_refer(&mut self) -> Option<Request> {
        let request = &mut self.refer.as_mut()?.request;
        if let Some(credentials) = &mut self.credentials {
            credentials.authorize(request);
        }
        Some(request.clone())
    }

    /// The final response to our REFER, or the lack of one.
    pub fn refer_concluded(&mut self, response: Option<&Response>) {
        self.refer = None;
        if let Some(dialog) = &mut self.dialog {
            // A Contact that cannot be read leaves the old target in place.
            let _ = dialog.concluded(&Method::Refer, response);
        }
    }
}
