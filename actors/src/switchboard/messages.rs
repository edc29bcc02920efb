//! What the switchboard is asked.
use actix::{Addr, Message};
use tokio::sync::mpsc;

use crate::call::Call;
use crate::page::ToPage;
use crate::session::Session;
use crate::vocabulary::{Account, CallId, FieldError, SessionId, Side};

/// Opens a session for a page.
#[derive(Message)]
#[rtype(result = "Result<OpenedSession, OpenError>")]
pub struct OpenSession {
    /// The page's account; checked already.
    pub account: Option<Account>,
    /// To its socket.
    pub page: mpsc::Sender<ToPage>,
}

/// A session that has been opened.
#[derive(Debug)]
pub struct OpenedSession {
    /// Its id.
    pub id: SessionId,
    /// The token that names it to the page.
    pub token: String,
    /// The session itself.
    pub session: Addr<Session>,
}

/// Why a session cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The account cannot be used.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Too many sessions, or Tandem is stopping.
    #[error("no more sessions are taken")]
    Full,
}

/// Asks for a call by its id.
#[derive(Debug, Message)]
#[rtype(result = "Option<FoundCall>")]
pub struct FindCall(pub CallId);

/// A call that was asked for.
#[derive(Debug)]
pub struct FoundCall {
    /// The call.
    pub call: Addr<Call>,
    /// Which end of it its page is.
    pub page_side: Side,
    /// The account of its page.
    pub account: Option<Account>,
    /// Its pages.
    pub pages: Vec<SessionId>,
}

/// Ends all calls and sessions. Answered when it has been told to all; who counts what is left looks at the meters.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown;
