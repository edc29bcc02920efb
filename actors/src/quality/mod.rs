//! What the figures of a call's legs mean. Pure: numbers and `now` in, verdicts out.
//!
//! - [`activity`]: whether a far end still lives
//! - [`emodel`]: how good a hop sounds (ITU-T G.107)
//! - [`outlook`]: how much will be lost on the way to a far end
//! - [`trouble`]: why there is no sound
//! - [`monitor`]: all of them for the two legs of a call
//! - [`record`]: what is left of a call

pub mod activity;
pub mod emodel;
pub mod monitor;
pub mod outlook;
pub mod record;
pub mod trouble;

pub use emodel::Mos;
pub use record::{CallRecord, LegRecord, Recorder, SoundNews};
pub use trouble::Trouble;
