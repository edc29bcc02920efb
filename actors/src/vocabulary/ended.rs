//! Why a call is over: one type for WebSocket, records, logs and metrics.
use std::fmt;

use super::Side;

/// Who ended a call, why, and how SIP says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndReason {
    /// The side that ended it; `None`: Tandem itself did.
    pub by: Option<Side>,
    /// Why.
    pub cause: Cause,
    /// The SIP status code that ended it or that describes it best; `None` for an ordinary BYE.
    pub sip_code: Option<u16>,
    /// Words for a person: the reason phrase of the far side, the failing host. Never a secret.
    pub detail: Option<String>,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $class:ident, $code:literal;)*) => {
        /// Why a call ended. One word each, in logs, metrics and records.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cause {
            $($(#[$doc])* $name,)*
        }

        impl Cause {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// One word for logs, labels and records.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Whose doing this end is.
            pub fn class(self) -> Class {
                match self {
                    $(Self::$name => Class::$class,)*
                }
            }

            /// The final response for an INVITE that ends like this, where SIP gave none.
            fn sip_code(self) -> u16 {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

// Why, its word, whose doing, and the final response that says so.
causes! {
    /// An answered call was hung up.
    HangUp = "hangup", Normal, 486;
    /// The far side took a transfer: it talks to somebody else now.
    Transferred = "transferred", Normal, 486;
    /// The caller gave up before the answer.
    Cancelled = "cancelled", Normal, 487;
    /// Another page of the callee has taken the call.
    AnsweredElsewhere = "answered_elsewhere", Normal, 487;
    /// The callee is busy (486, 600).
    Busy = "busy", User, 486;
    /// The callee said no (603 and what a phone sends for "reject").
    Declined = "declined", User, 603;
    /// Nobody answered in time (408, 480, our own limit).
    NoAnswer = "no_answer", User, 480;
    /// A far end of an answered call gave no sign of life for too long.
    MediaTimeout = "media_timeout", Network, 408;
    /// An answered call lasted as long as a call may.
    MaxDuration = "max_duration", Normal, 480;
    /// Nobody of that name (404, 410, 484, 604).
    NotFound = "not_found", User, 404;
    /// The PBX refused us (401, 403, 407).
    Forbidden = "forbidden", Peer, 403;
    /// The two sides share no codec and no transcoder fits (488, 606, 415).
    NoCommonCodec = "no_common_codec", Peer, 488;
    /// An SDP that cannot be used.
    BadDescription = "bad_description", Peer, 488;
    /// The far side did not answer SIP requests at all.
    SignallingTimeout = "signalling_timeout", Network, 408;
    /// The next hop could not be found or reached: DNS, TCP, a refused address.
    Unreachable = "unreachable", Network, 500;
    /// Any other refusal by the far side.
    Refused = "refused", Peer, 403;
    /// What the page asked for cannot be sent: a bad callee, a bad SDP line.
    BadRequest = "bad_request", User, 400;
    /// The browser's UDP path never came up, or was lost.
    IceFailed = "ice_failed", Network, 500;
    /// The DTLS handshake with the browser failed.
    DtlsFailed = "dtls_failed", Network, 500;
    /// The page's session ended under the call.
    SessionClosed = "session_closed", User, 480;
    /// A mailbox, the port pool or another bound was full.
    Overload = "overload", House, 503;
    /// Tandem is stopping.
    Shutdown = "shutdown", House, 503;
    /// A bug of ours; the log has the rest.
    Internal = "internal", House, 500;
}

/// Whose fault an end is: what an operator's alarm looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// As people meant it.
    Normal,
    /// The users' doing: busy, declined, nobody there.
    User,
    /// The PBX or the far end failed or refused.
    Peer,
    /// The network between us and somebody failed.
    Network,
    /// Ours.
    House,
}

impl EndReason {
    /// An end without a SIP code.
    pub fn new(by: Option<Side>, cause: Cause) -> Self {
        Self { by, cause, sip_code: None, detail: None }
    }

    /// An end that SIP's final response `code` brought (RFC 3261 §21).
    pub fn from_sip(by: Side, code: u16, phrase: &str) -> Self {
        Self {
            by: Some(by),
            cause: Cause::of_sip_code(code),
            sip_code: Some(code),
            detail: (!phrase.is_empty()).then(|| phrase.to_owned()),
        }
    }

    /// Whether something failed, in contrast to an end that a person wanted or must expect.
    pub fn is_failure(&self) -> bool {
        matches!(self.cause.class(), Class::Peer | Class::Network | Class::House)
            || self.cause == Cause::BadRequest
    }

    /// The same end with words for a person.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The final response for an INVITE that ends like this before it was answered.
    pub fn as_sip_code(&self) -> u16 {
        self.sip_code.filter(|code| *code >= 400).unwrap_or(self.cause.sip_code())
    }
}

impl Cause {
    /// The cause behind a SIP final response.
    pub fn of_sip_code(code: u16) -> Self {
        match code {
            486 | 600 => Self::Busy,
            603 | 607 | 608 => Self::Declined,
            408 | 480 => Self::NoAnswer,
            487 => Self::Cancelled,
            404 | 410 | 484 | 485 | 604 => Self::NotFound,
            401 | 403 | 407 => Self::Forbidden,
            415 | 488 | 606 => Self::NoCommonCodec,
            503 => Self::Unreachable,
            _ => Self::Refused,
        }
    }
}

impl Class {
    /// One word for logs, labels and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::User => "user",
            Self::Peer => "peer",
            Self::Network => "network",
            Self::House => "house",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.map_or("house", Side::as_str);
        write!(f, "{} by {by}", self.cause.as_str())?;
        if let Some(code) = self.sip_code {
            write!(f, ", {code}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, ", {detail}")?;
        }
        Ok(())
    }
}
