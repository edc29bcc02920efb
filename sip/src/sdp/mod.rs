//! SDP (RFC 8866) and the offer/answer model (RFC 3264, RFC 6337): what two sides send each other and how.
//!
//! # Layout
//! - [`Session`], [`Media`], [`Format`]: our small model of one SDP text; `parse` reads it, `write` prints it.
//! - [`LocalMedia`]: what this side has: address, ports, codecs with payload types, extra lines; [`LocalVideo`]: the same for pictures, if there
//!   are any.
//! - [`Agreed`], [`Stream`]: what came out of one offer and one answer, in the words of an RTP stack.
//! - [`OfferAnswer`]: the state of one dialog. Feed it offers and answers; it keeps versions, hold, payload numbers and the
//!   order of m-lines.
//! - [`Crypto`], [`SrtpPolicy`], [`SrtpKeys`]: SRTP with keys in SDP (RFC 4568), whether it is wanted, and what came of it.
//!
//! # Use
//! ```
//! use sip::sdp::{Format, LocalMedia, OfferAnswer, Session};
//!
//! let local = LocalMedia::audio("203.0.113.5".parse()?, 20000, vec![Format::new(111, "opus", 48000, 2), Format::new(0, "PCMU", 8000, 1)]);
//! let mut ours = OfferAnswer::new(1);
//! let offer = ours.make_offer(&local)?.to_string();                       // body of the INVITE
//!
//! let mut theirs = OfferAnswer::new(2);
//! let far = LocalMedia::audio("198.51.100.7".parse()?, 4000, vec![Format::new(0, "PCMU", 8000, 1)]);
//! theirs.receive_offer(Session::parse(offer.as_bytes())?)?;               // INVITE arrives
//! let (answer, _) = theirs.answer(&far)?;                                 // body of the 200
//!
//! let agreed = ours.receive_answer(&Session::parse(answer.to_string().as_bytes())?)?;
//! let audio = agreed.audio.expect("the far side took the audio line");
//! assert_eq!(audio.send.to_string(), "PCMU/8000");
//! assert_eq!(audio.remote_rtp, Some("198.51.100.7:4000".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agreed;
mod crypto;
mod direction;
mod error;
mod feedback;
mod format;
mod local;
mod model;
mod negotiate;
mod numbers;
mod offer_answer;
mod parse;
mod video;
mod write;

#[cfg(test)]
mod tests;

pub use agreed::{Agreed, Stream};
pub use crypto::{Crypto, MasterKey, Mki, SrtpKeys, SrtpPolicy, Suite};
pub use direction::Direction;
pub use error::OfferAnswerError;
pub use feedback::Feedback;
pub use format::Format;
pub use local::{ExtraLine, ExtraLineError, LocalMedia};
pub use model::{Attribute, Media, MediaKind, Origin, Rtcp, Session};
pub use negotiate::common_codecs;
pub use offer_answer::OfferAnswer;
pub use parse::{MAX_BYTES, MAX_MEDIA, SdpError};
pub use video::LocalVideo;
