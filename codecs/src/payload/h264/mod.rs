//! The H.264 payload format (RFC 6184): packetization-modes 0 and 1, that is single NAL units, STAP-A and FU-A.
//!
//! A picture is in Annex B, as decoders take it and encoders make it: NAL units behind start codes.

mod bits;
mod complete;
mod depacketise;
mod nal;
mod packetise;
mod parameter_sets;
mod repacketise;
mod sequence;

pub use complete::Completer;
pub use depacketise::{AnnexB, Depacketiser};
pub use nal::begins_key_picture;
pub(crate) use nal::{annex_b, kind, kind_of};
pub use packetise::Packetiser;
pub use parameter_sets::{MAX_PARAMETER_SET, ParameterSets};
pub use repacketise::Repacketiser;
pub use sequence::SequenceParameters;
