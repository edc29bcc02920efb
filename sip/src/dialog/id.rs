//! The name of a dialog.

use crate::message::{HeaderError, Request, Response};

/// Call-ID and both tags, from our point of view (RFC 3261 §12). A missing tag is empty: peers of RFC 2543 have none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// The tag that we gave.
    pub local_tag: String,
    /// The tag that the peer gave.
    pub remote_tag: String,
}

impl DialogId {
    /// Of a request that came in: To is us.
    ///
    /// # Errors
    /// The header that cannot be read.
    pub fn of_request(request: &Request) -> Result<Self, HeaderError> {
        let headers = &request.headers;
        Ok(Self {
            call_id: headers.call_id()?.to_owned(),
            local_tag: headers.to()?.tag().unwrap_or_default().to_owned(),
            remote_tag: headers.from()?.tag().unwrap_or_default().to_owned(),
        })
    }

    /// Of an answer that came in: From is us.
    ///
    /// # Errors
    /// The header that cannot be read.
    pub fn of_response(response: &Response) -> Result<Self, HeaderError> {
        let headers = &response.headers;
        Ok(Self {
            call_id: headers.call_id()?.to_owned(),
            local_tag: headers.from()?.tag().unwrap_or_default().to_owned(),
            remote_tag: headers.to()?.tag().unwrap_or_default().to_owned(),
        })
    }
}
