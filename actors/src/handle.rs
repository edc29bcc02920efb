//! Floor 5: the only door for `src`. Plain async functions; no actor type, no actix word gets out.
use tokio::sync::mpsc;

pub use crate::leg::{DigitMethod, Digits};
pub use crate::page::{CallStatus, CallView, FromPage, PlaceCall, ToPage};
pub use crate::vocabulary::*;

/// The running switch. Clones are handles to the same one.
#[derive(Clone)]
pub struct Switch {
}

/// Why the switch cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener or port range could not be bound.
    #[error("{what}: {source}")]
    Bind {
        /// The setting and the address.
        what: String,
        /// The system's word.
        source: std::io::Error,
    },
}

/// Why a page gets no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A field of the account cannot be used.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The switch is full or stopping.
    #[error("the switch takes no more sessions")]
    Overload,
}

/// A page's session, held by its socket. Dropping it ends the session.
#[derive(Debug)]
pub struct SessionHandle {
}

impl Switch {
    /// Binds every listener and starts the lanes. Must be called inside an actix system.
    pub async fn start(settings: SwitchSettings) -> Result<Self, StartError> { }

    /// Opens a session for a page. `account`: `None` for a page without SIP fields. What the page must be told comes
    /// through `events`; a page that lets 256 events wait is closed (the sender sees the channel full).
    pub async fn open_session(&self, account: Option<Account>, events: mpsc::Sender<ToPage>) -> Result<SessionHandle, SessionError> { }

    /// Whether new calls are taken: listeners bound, ports free.
    pub fn ready(&self) -> Result<(), String> { }

    /// All metrics in Prometheus' text format.
    pub fn metrics(&self) -> String { }

    /// Ends all calls and sessions, un-registers, closes the sockets; returns when nothing is left or after 5 s.
    pub async fn stop(&self) { }
}

impl SessionHandle {
    /// Random, unguessable (`authToken`): 128 bits in hex.
    pub fn token(&self) -> &str { }
    /// The session's id for logs.
    pub fn id(&self) -> SessionId { }
    /// Hands over what the page asked. False: the session is gone or drowning (mailbox of 64 full); close the socket.
    pub fn tell(&self, ask: FromPage) -> bool { }
}
