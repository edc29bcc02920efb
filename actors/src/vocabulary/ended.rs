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

/// Why a call ended. One word each, in logs, metrics and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An answered call was hung up.
    HangUp,
    /// The far side took a transfer: it talks to somebody else now.
    Transferred,
    /// The caller gave up before the answer.
    Cancelled,
    /// Another page of the callee has taken the call.
    AnsweredElsewhere,
    /// The callee is busy (486, 600).
    Busy,
    /// The callee said no (603 and what a phone sends for "reject").
    Declined,
    /// Nobody answered in time (408, 480, our own limit).
    NoAnswer,
    /// An answered call lasted as long as a call may.
    MaxDuration,
    /// Nobody of that name (404, 410, 484, 604).
    NotFound,
    /// The PBX refused us (401, 403, 407).
    Forbidden,
    /// The two sides share no codec and no transcoder fits (488, 606, 415).
    NoCommonCodec,
    /// An SDP that cannot be used.
    BadDescription,
    /// The far side did not answer SIP requests at all.
    SignallingTimeout,
    /// The next hop could not be found or reached: DNS, TCP, a refused address.
    Unreachable,
    /// Any other refusal by the far side.
    Refused,
    /// What the page asked for cannot be sent: a bad callee, a bad SDP line.
    BadRequest,
    /// The browser's UDP path never came up, or was lost.
    IceFailed,
    /// The DTLS handshake with the browser failed.
    DtlsFailed,
    /// The page's session ended under the call.
    SessionClosed,
    /// A mailbox, the port pool or another bound was full.
    Overload,
    /// Tandem is stopping.
    Shutdown,
    /// A bug of ours; the log has the rest.
    Internal,
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
    }

    /// The same end with words for a person.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The final response for an INVITE that ends like this before it was answered.
    pub fn as_sip_code(&self) -> u16 {
        self.sip_code.filter(|code| *code >= 400).unwrap_or(match self.cause {
            Cause::Busy | Cause::HangUp | Cause::Transferred => 486,
            Cause::Declined => 603,
            Cause::Cancelled | Cause::AnsweredElsewhere => 487,
            Cause::NoAnswer | Cause::MaxDuration | Cause::SessionClosed => 480,
            Cause::NotFound => 404,
            Cause::BadRequest => 400,
            Cause::Forbidden | Cause::Refused => 403,
            Cause::NoCommonCodec | Cause::BadDescription => 488,
            Cause::SignallingTimeout => 408,
            Cause::Unreachable | Cause::IceFailed | Cause::DtlsFailed | Cause::Internal => 500,
            Cause::Overload | Cause::Shutdown => 503,
        })
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

    /// One word for logs, labels and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HangUp => "hangup",
            Self::Transferred => "transferred",
            Self::Cancelled => "cancelled",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::NoAnswer => "no_answer",
            Self::MaxDuration => "max_duration",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::NoCommonCodec => "no_common_codec",
            Self::BadDescription => "bad_description",
            Self::SignallingTimeout => "signalling_timeout",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::BadRequest => "bad_request",
            Self::IceFailed => "ice_failed",
            Self::DtlsFailed => "dtls_failed",
            Self::SessionClosed => "session_closed",
            Self::Overload => "overload",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal",
        }
    }

    /// Whose doing this end is.
    pub fn class(self) -> Class {
        match self {
            Self::HangUp
            | Self::Transferred
            | Self::Cancelled
            | Self::AnsweredElsewhere
            | Self::MaxDuration => Class::Normal,
            Self::Busy
            | Self::Declined
            | Self::NoAnswer
            | Self::NotFound
            | Self::SessionClosed
            | Self::BadRequest => Class::User,
            Self::Forbidden | Self::NoCommonCodec | Self::BadDescription | Self::Refused => Class::Peer,
            Self::SignallingTimeout | Self::Unreachable | Self::IceFailed | Self::DtlsFailed => {
                Class::Network
            }
            Self::Overload | Self::Shutdown | Self::Internal => Class::House,
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
