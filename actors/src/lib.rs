//! The switch.

pub mod browser;
