//! The words between the house and a page. `src/wire` turns them into JSON and back; browser legs and sessions speak them.
use actix::Message;

use crate::leg::Digits;
use crate::quality::SoundNews;
use crate::vocabulary::{Additions, CallId, EndReason};

/// What the page asks for. Nothing of it is answered directly: the answer is a [`ToPage`].
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum FromPage {
    /// `call`: the page offers and wants `callee`.
    Call(PlaceCall),
    /// `answer`: the page takes the incoming call with this SDP answer.
    Answer {
        /// Which call.
        call_id: CallId,
        /// The page's SDP answer.
        sdp: String,
        /// For the 200.
        additions: Additions,
    },
    /// `hangup`: end, cancel or reject.
    HangUp(CallId),
    /// `hold`.
    Hold(CallId),
    /// `unhold`.
    Unhold(CallId),
    /// `transfer`: the other side is to call somebody else.
    Transfer {
        /// Which call.
        call_id: CallId,
        /// Whom: user part, or a SIP URI.
        target: String,
    },
    /// `sendDtmf`.
    SendDigits(CallId, Digits),
    /// `sendMessage`.
    SendText(SendText),
    /// The page's socket is gone; the session ends with all its calls.
    Gone,
}

/// An outgoing call as the page describes it.
#[derive(Debug, Clone)]
pub struct PlaceCall {
    /// Chosen by the page.
    pub call_id: CallId,
    /// User part, or a SIP URI.
    pub callee: String,
    /// From display name.
    pub visible_name: Option<String>,
    /// The page's SDP offer.
    pub sdp: String,
    /// For the INVITE.
    pub additions: Additions,
}

/// A text message that a page sends.
#[derive(Debug, Clone)]
pub struct SendText {
    /// Chosen by the page.
    pub id: String,
    /// User part, or a SIP URI.
    pub to: String,
    /// From display name.
    pub visible_name: Option<String>,
    /// The text.
    pub body: String,
}

/// A text message as a page sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its key.
    pub id: String,
    /// Sender's user or number.
    pub from: String,
    /// Receiver's user or number.
    pub to: String,
    /// Sender's display name.
    pub visible_name: Option<String>,
    /// The text.
    pub body: String,
}

/// What a PBX says of the account's mailbox (RFC 3842).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailWaiting {
    /// Whether there are new messages.
    pub waiting: bool,
    /// Which mailbox, if the PBX says so.
    pub account: Option<String>,
    /// New voice messages.
    pub new: u32,
    /// Old ones.
    pub old: u32,
}

/// Where a text message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextStatus {
    /// It came in.
    Received,
    /// The page's own is on its way.
    Sent,
    /// The far side, or a server that keeps it for the far side, has it.
    Accepted,
    /// It has not.
    Failed {
        /// For a person.
        info: String,
        /// The SIP code, if there was one.
        sip_status: Option<u16>,
    },
}

/// What a page is told.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "()")]
pub enum ToPage {
    /// The account is registered: `registered`, once per socket.
    Registered,
    /// Registering failed: `fail`. When `last`, Tandem gives up and the socket closes with 1000.
    RegistrationFailed {
        /// For a person.
        info: String,
        /// The registrar's status code, if it spoke at all.
        sip_status: Option<u16>,
        /// Whether Tandem gives up (credentials refused) or goes on trying (PBX away).
        last: bool,
    },
    /// Something that the page asked for cannot be done; nothing else has changed: `fail`.
    Refused {
        /// The call that was meant.
        call_id: CallId,
        /// For a person: the field and what is wrong with it.
        info: String,
    },
    /// Nobody can be called by the target of a `transfer`; nothing was sent: `fail`, and where the call stands.
    BadTransfer {
        /// The call that was meant.
        call_id: CallId,
        /// For a person: the field and what is wrong with it.
        info: String,
    },
    /// The other side would not be transferred, or could not: `hold` or `talk` with the reason.
    TransferRefused {
        /// The call, as before.
        call: CallView,
        /// Whether the other side is held.
        held: bool,
        /// Why.
        why: EndReason,
    },
    /// Our SDP for a call: `setRemoteSDP`.
    RemoteDescription {
        /// Which call.
        call_id: CallId,
        /// Answer (outgoing call) or offer (incoming call).
        sdp: String,
    },
    /// `notifyIncomingCall`, with the header fields of the INVITE that pages may care for.
    IncomingCall(CallView, InviteHeaders),
    /// A text message, or what became of one: `notifyMessage`.
    Text(Text, TextStatus),
    /// The account's mailbox: `notifyMessageSummary`, for pages that asked for it.
    MailWaiting(MailWaiting),
    /// How a call sounds: `notifyCallQuality`, `notifyMediaTrouble`, for pages that asked for it.
    Sound(CallId, SoundNews),
    /// Whether the far side holds the call: `remoteHold`, for pages that asked for it.
    RemoteHold(CallId, bool),
    /// Digits of the far side, in order: `notifyDtmf`, for pages that asked for it.
    Digits(CallId, String),
    /// A call's state: `notifyTryingResponse`, `ring`, `talk`, `hold`, `finish`.
    CallStatus(CallView, CallStatus),
}

/// A call as a page sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallView {
    /// Its key.
    pub call_id: CallId,
    /// Whether it came in.
    pub incoming: bool,
    /// Caller's user or number.
    pub caller: String,
    /// Callee's user or number.
    pub callee: String,
    /// Caller's display name.
    pub visible_name: String,
    /// Whether the call has sound.
    pub has_audio: bool,
    /// Whether the call has a picture.
    pub has_video: bool,
}

/// Header fields of an INVITE, as name and value.
pub type InviteHeaders = Vec<(String, String)>;

/// Where a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallStatus {
    /// We work on it. Said at once, before any SIP.
    Trying,
    /// The far end rings, or the page should.
    Ring,
    /// Sound before the answer.
    RingMedia,
    /// Answered.
    Established,
    /// Held by this page.
    Hold,
    /// Over, as people meant it or as the far side wanted.
    Finish(EndReason),
    /// Over because something failed.
    Failed(EndReason),
}

impl CallView {
    /// A call that the page of `login` makes.
    pub fn outgoing(call: &PlaceCall, login: &str) -> Self {
        Self {
            call_id: call.call_id.clone(),
            incoming: false,
            caller: login.to_owned(),
            callee: call.callee.clone(),
            visible_name: call.visible_name.clone().unwrap_or_else(|| login.to_owned()),
            has_audio: true,
            has_video: false,
        }
    }

    /// A call of which nothing is known but the id that a page named.
    pub fn unknown(call_id: CallId) -> Self {
        Self {
            call_id,
            incoming: false,
            caller: String::new(),
            callee: String::new(),
            visible_name: String::new(),
            has_audio: false,
            has_video: false,
        }
    }
}
