//! Floor 0: words that every floor may use. Imports nothing of the house but the crates below.
mod account;
mod activity;
mod additions;
mod ended;
mod figures;
mod ids;
mod media;
mod meters;
mod settings;
mod stand_in;

pub use account::{Account, FieldError, Way};
pub use activity::{ActivityLimits, ActivityWish};
pub use additions::{Additions, HeaderRule, HeaderRules, PageHeader};
pub use codecs::CodecId;
pub use ended::{Cause, Class, EndReason};
pub use figures::{
    Ear, Flow, KeyFrameAsk, LegKind, Measured, Owes, Playout, Reception, VideoFlow, VideoMeasured,
};
pub(crate) use ids::random_hex;
pub use ids::{Both, CallId, SessionId, Side};
pub use media::{AudioFormat, MediaFormat, Packet, Payload, Sink, VideoConversion, VideoLine};
pub use meters::{Alive, Counter, Meters};
pub use settings::{
    Alpn, AnswerTiming, Fingerprint, MediaSettings, NoFingerprint, ReferPolicy, SipSettings, SwitchSettings,
    TlsSettings, VideoSettings,
};
pub use sip::auth::Secret;
pub use stand_in::{FarSides, StandInRules, StandInWish};
