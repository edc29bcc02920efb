//! The switch: sockets, lanes, legs and calls. Knows no HTTP and no JSON.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod browser;
#[path = "vocabulary/media.rs"]
pub mod vocabulary;
