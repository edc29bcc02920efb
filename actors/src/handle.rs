//! Floor 7: the only door for `src`. Plain async functions; no actor type, no actix word gets out.
use std::sync::Arc;
use std::time::Duration;

use ::sip::message::Uri;
use actix::{Actor, Addr, MailboxError};
use tokio::sync::mpsc;

use crate::call::{AskFailed, Hold, Introduce, Transfer};
use crate::dialog::SipSide;
use crate::lanes::Lanes;
pub use crate::leg::{DigitMethod, Digits};
pub use crate::page::{
    CallStatus, CallView, FromPage, MailWaiting, PlaceCall, SendText, Text, TextStatus, ToPage,
};
pub use crate::quality::monitor::Told;
pub use crate::quality::trouble::{Silence, Way};
pub use crate::quality::{CallRecord, LegRecord, Mos, Recorder, SoundNews, Trouble};
use crate::rtp::ports::PortPool;
use crate::session::Session;
use crate::sip::SipEndpoint;
use crate::switchboard::{FindCall, FoundCall, OpenError, OpenSession, Shutdown, Switchboard};
pub use crate::vocabulary::{
    Account, ActivityLimits, ActivityWish, Additions, Alpn, AnswerTiming, Both, CallId, Cause, Class,
    EndReason, FarSides, FieldError, Fingerprint, Flow, HeaderRule, HeaderRules, LegKind, Measured,
    MediaSettings, Meters, PageHeader, Playout, Reception, ReferPolicy, Secret, SessionId, Side, SipSettings,
    StandInRules, StandInWish, SwitchSettings, TlsSettings, VideoConversion, VideoFlow, VideoMeasured,
    VideoSettings,
};
pub use ::codecs::audio::opus::OpusSettings;
pub use ::codecs::ring_back::RingBack;
pub use ::codecs::video::{H264Format, ProfileLevel, VideoSettings as VideoEncoding};
pub use ::codecs::wav;
pub use ::codecs::{CodecId, Settings as CodecSettings, VideoCodec, VideoFormat};
pub use ::sip::resolve::{AddressClass, AddressPolicy};
pub use ::sip::sdp::{ExtraLine, SrtpPolicy};

/// The running switch. Clones are handles to the same one.
#[derive(Clone)]
pub struct Switch {
    switchboard: Addr<Switchboard>,
    sip: SipSide,
}

/// The SIP peer of `tandem demo`; it lives as long as this.
pub struct Demo {
    _demo: crate::demo::Demo,
}

/// Why the switch cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct StartError {
    /// The setting and the address.
    pub what: String,
    /// The system's word.
    pub source: std::io::Error,
}

/// Why a page gets no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A field of the account cannot be used.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The switch is full or stopping.
    #[error("no more sessions are taken")]
    Overload,
}

/// A page's session, held by its socket. Dropping it ends the session.
#[derive(Debug)]
pub struct SessionHandle {
    id: SessionId,
    token: String,
    session: Addr<Session>,
}

/// Where the demo's registrar listens, on 127.0.0.1.
pub const DEMO_PORT: u16 = crate::demo::ADDRESS.port();

/// The demo's accounts; the password of each is `demo` and its number.
pub const DEMO_ACCOUNTS: std::ops::RangeInclusive<u16> = crate::demo::ACCOUNTS;

/// Whom the far side of a call is to talk to instead of its page.
#[derive(Debug, Clone)]
pub enum TransferTo {
    /// Somebody who is called: a number or name of the account's domain, or a SIP URI.
    Address(String),
    /// The far side of another call of the same page, which is answered already.
    Call(CallId),
}

/// Why something that was asked of a call did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no such call.
    #[error("callId: there is no such call")]
    NoCall,
    /// What was asked for cannot be used.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A call is not answered, or another such wish is under way.
    #[error("the call is not in a state for this")]
    WrongState,
    /// The far side would not, or could not; the call goes on, or ended in another way.
    #[error("the far side would not: {0}")]
    Refused(EndReason),
    /// Nobody said in time what became of it.
    #[error("the far side does not answer")]
    NoAnswer,
}

/// How long a hold, or its end, may take.
const HOLD: Duration = Duration::from_secs(10);

/// How long a transfer may take: as long as people let a telephone ring.
const TRANSFER: Duration = Duration::from_secs(60);

/// How long calls and registrations may take to say goodbye when Tandem stops.
const GOODBYE: Duration = Duration::from_secs(4);

impl Switch {
    /// Binds every listener and starts the lanes; `recorder` is told of each call that is over. Must be called inside an actix system.
    pub async fn start(settings: SwitchSettings, recorder: Recorder) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        let meters = Meters::new();
        let ports = PortPool::new(settings.media.rtp_ports, settings.media.port_rest, &meters);
        let lanes = Lanes::start(&settings.media, &meters)
            .map_err(|source| StartError { what: "media.webrtc_port".to_owned(), source })?;
        let endpoint = SipEndpoint::bind(&settings.sip, &meters)
            .await
            .map_err(|source| StartError { what: "listen.sip".to_owned(), source })?;
        let endpoint = endpoint.start();
        let sip = SipSide { endpoint: endpoint.clone(), ports, settings: settings.clone(), meters };
        let switchboard = Switchboard::new(settings, lanes, sip.clone(), recorder).start();
        endpoint.do_send(crate::sip::Serve(switchboard.clone().recipient()));
        Ok(Self { switchboard, sip })
    }

    /// Opens the demo's registrar and answering machines at 127.0.0.1:`port` ([`DEMO_PORT`]).
    pub async fn start_demo(&self, port: u16) -> Result<Demo, StartError> {
        let demo = crate::demo::open(port, &self.sip).await;
        demo.map(|demo| Demo { _demo: demo })
            .map_err(|source| StartError { what: "demo registrar".to_owned(), source })
    }

    /// Opens a session for a page. `account`: `None` for a page without SIP fields. What the page must be told
    /// comes through `events`; when that is full, the session ends and the sender is dropped.
    pub async fn open_session(
        &self,
        account: Option<Account>,
        events: mpsc::Sender<ToPage>,
    ) -> Result<SessionHandle, SessionError> {
        if let Some(account) = &account {
            account.check()?;
        }
        let opened = self.switchboard.send(OpenSession { account, page: events }).await;
        match opened {
            Ok(Ok(opened)) => {
                Ok(SessionHandle { id: opened.id, token: opened.token, session: opened.session })
            }
            Ok(Err(OpenError::Field(error))) => Err(error.into()),
            Ok(Err(OpenError::Full)) | Err(_) => Err(SessionError::Overload),
        }
    }

    /// Whether new calls are taken; if not, why.
    pub fn ready(&self) -> Result<(), String> {
        if !self.switchboard.connected() {
            return Err("the switchboard is gone".to_owned());
        }
        if self.sip.ports.free(std::time::Instant::now()) == 0 {
            return Err("no RTP port is free".to_owned());
        }
        Ok(())
    }

    /// All metrics in Prometheus' text format.
    pub fn metrics(&self) -> String {
        self.sip.ports.free(std::time::Instant::now()); // ports that have rested count as free
        self.sip.meters.text()
    }

    /// Holds the far side of a call, or lets it go; returns when that is decided, after 10 s at most, and at once where it is so already. The
    /// page sees it as if it had asked itself.
    ///
    /// # Errors
    /// [`AskError`]; unless it says so the call goes on as it was.
    pub async fn hold(&self, call_id: &CallId, wanted: bool) -> Result<(), AskError> {
        let found = self.find(call_id).await.ok_or(AskError::NoCall)?;
        decided(HOLD, found.call.send(Hold { by: found.page_side, wanted })).await
    }

    /// Asks the far side of a call to talk to somebody else; returns when that is decided, after 60 s at most.
    ///
    /// # Errors
    /// [`AskError`]; unless it says so the call goes on as it was.
    pub async fn transfer(&self, call_id: &CallId, to: &TransferTo) -> Result<(), AskError> {
        let found = self.find(call_id).await.ok_or(AskError::NoCall)?;
        let to = match to {
            TransferTo::Address(text) => {
                let account = found.account.as_ref();
                let account =
                    account.ok_or_else(|| FieldError::new("callId", "its page has no SIP account"))?;
                account.address_named("target", text)?
            }
            TransferTo::Call(other) => self.introduced(&found, other).await?,
        };
        decided(TRANSFER, found.call.send(Transfer { by: found.page_side, to })).await
    }

    /// How the far side of another call is taken over.
    async fn introduced(&self, found: &FoundCall, other: &CallId) -> Result<Uri, AskError> {
        let other = self.find(other).await.filter(|other| other.call != found.call);
        let ours = |other: &FoundCall| other.pages.iter().any(|page| found.pages.contains(page));
        let other =
            other.filter(ours).ok_or_else(|| FieldError::new("replaces", "is no other call of this page"))?;
        let introduced = other.call.send(Introduce(other.page_side.other())).await;
        introduced.ok().flatten().ok_or(AskError::WrongState)
    }

    async fn find(&self, call_id: &CallId) -> Option<FoundCall> {
        self.switchboard.send(FindCall(call_id.clone())).await.ok().flatten()
    }

    /// Ends all calls and sessions and un-registers; returns when nothing is left, or after 4 s.
    pub async fn stop(&self) {
        let end = tokio::time::Instant::now() + GOODBYE;
        let _ = self.switchboard.send(Shutdown).await; // gone already: nothing to end
        while tokio::time::Instant::now() < end && self.sip.meters.busy() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Behind the last calls' ends in its mailbox: their records are written now.
        let _ = self.switchboard.send(Shutdown).await;
        self.sip.endpoint.do_send(crate::sip::Close);
    }
}

/// What a call says to a wish, within a time.
async fn decided(
    limit: Duration,
    asked: impl Future<Output = Result<Result<(), AskFailed>, MailboxError>>,
) -> Result<(), AskError> {
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(AskFailed::WrongState))) => Err(AskError::WrongState),
        Ok(Ok(Err(AskFailed::Refused(why)))) => Err(AskError::Refused(why)),
        Ok(Err(_)) => Err(AskError::NoCall),
        Err(_) => Err(AskError::NoAnswer),
    }
}

impl SessionHandle {
    /// Names the session to its page (`authToken`): 128 random bits in hex.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The session's id, for logs.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Hands over what the page asked. False: the session is gone or cannot keep up; close the socket.
    pub fn tell(&self, ask: FromPage) -> bool {
        self.session.try_send(ask).is_ok()
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.session.do_send(FromPage::Gone);
    }
}
