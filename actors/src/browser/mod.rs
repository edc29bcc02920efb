//! A browser as a leg: the peer connection of one page.

mod messages;
pub mod peer;
pub mod rtc;
pub mod sdp;
mod state;
pub use messages::PageWord;
