//! What the figures of a call's legs mean. Pure: numbers and `now` in, verdicts out.
//!
//! - [`activity`]: whether a far end still lives
//! - [`emodel`]: how good a hop sounds (ITU-T G.107)
//! - [`record`]: what is left of a call

pub mod activity;
pub mod emodel;
pub mod record;

pub use emodel::Mos;
pub use record::{CallRecord, LegRecord, Recorder};
