//! The front door of Tandem: HTTP, WebSocket, settings, logs. Knows `actors::handle` and nothing below it.
pub mod config;
pub mod origin;
pub mod wire;
