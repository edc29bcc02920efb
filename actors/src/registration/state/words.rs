//! What happens to a registration, and what it does.
use std::time::Duration;

use sip::message::SipUri;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    /// So many hops were found.
    Located(usize),
    NotLocated(String),
    Answer(Answer),
    TimedOut,
    TransportFailed,
    /// The next hop is not who it should be; what is wrong, for a person.
    TlsFailed(String),
    Timer,
    /// The way to the registrar is open.
    FlowKept,
    /// It is not: a PBX behind it cannot reach us.
    FlowLost,
    /// Somebody uses the account.
    Keep,
    /// Nobody does any more.
    LetGo,
    /// Un-register now.
    Stop,
}

/// A response to REGISTER, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Provisional,
    /// 2xx: bound for so long.
    Granted(Duration),
    /// 401 or 407 to which credentials are ready.
    Challenged,
    /// 401 or 407 that is not answered, for good or for now.
    GivenUp {
        code: u16,
        info: String,
        for_good: bool,
    },
    /// 423 with its Min-Expires.
    TooBrief(Duration),
    /// 301 or 302: the account is registered elsewhere.
    Moved {
        code: u16,
        to: SipUri,
    },
    /// Any other final response.
    Refused {
        code: u16,
        phrase: String,
        retry_after: Option<Duration>,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Look up the hops; answer with `Located` or `NotLocated`.
    Locate,
    /// The same for the server that the registrar named instead of itself; it gets the REGISTERs until the next `Locate`.
    LocateMoved(SipUri),
    /// REGISTER to this hop, for so many seconds, with credentials if there are any. `again`: the same one after a challenge.
    Send {
        hop: usize,
        expires: u64,
        again: bool,
    },
    TellRegistered {
        expires: Duration,
    },
    TellFailed {
        info: String,
        sip_status: Option<u16>,
        last: bool,
    },
    /// What was told before holds no longer.
    TellUnregistering,
    Finish,
}
