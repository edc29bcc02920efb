//! The JSON of the WebSocket, as Flashphoner's WebSDK speaks it: text in, typed out, and back. Converted here and
//! nowhere else; nothing is decided here. `docs/websocket.md` has the protocol as a page sees it.
mod activity;
mod additions;
mod connection;
mod ended;
mod fields;
mod incoming;
mod outgoing;
mod sound;
mod stand_in;

pub use connection::{Connection, Wants};
pub use incoming::{Incoming, Refusal, StreamAsk, decode, name_of};
pub use outgoing::{
    CallFrame, available_stream, call_status, data_status, debug_status, fail, failed_call, ping, pong,
    refusal, stream_failed, to_page, user_data,
};
