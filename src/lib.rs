//! The front door of Tandem: HTTP, WebSocket, settings, logs. Knows `actors::handle` and nothing below it.
//!
//! | module | what |
//! |---|---|
//! | [`commands`] | `serve`, `demo`, `check` |
//! | [`app`] | builds everything in order, stops everything in reverse order |
//! | [`listen`] | TCP listeners and the HTTP servers behind them |
//! | [`config`] | settings: file, environment, defaults |
//! | [`telemetry`] | logs |
//! | [`records`] | one line for each call that is over |
//! | [`tls`] | the certificate of the TLS listener |
//! | [`http`] | routes: the phone page, probes, metrics |
//! | [`ws`] | one task per page's socket |
//! | [`wire`] | the JSON of the socket; converted there and nowhere else |
//! | [`origin`] | which pages may use us |
//! | [`front`], [`counters`] | what all handlers share |
//!
//! No codec, no SIP message and no actor type is known here. The library exists so that tests can start the house.

pub mod app;
pub mod commands;
pub mod config;
pub mod counters;
pub mod front;
pub mod http;
pub mod listen;
pub mod origin;
pub mod records;
pub mod telemetry;
pub mod tls;
pub mod wire;
pub mod ws;
