//! Transactions (RFC 3261 17, RFC 6026): what belongs to one request, and the care for loss.
//!
//! Four pure machines, each with its table, and [`Layer`], which owns all running transactions, finds the one that a message
//! belongs to, and speaks with the transaction user (TU) in [`Output`]s.

mod build;
mod client;
mod clients;
mod clock;
mod invite_client;
mod invite_server;
mod layer;
mod matching;
mod non_invite_client;
mod non_invite_server;
mod output;
mod schedule;
mod server;
mod servers;
mod timers;

pub use layer::{Counters, Layer, Limits, SendError};
pub use output::{ClientKey, Output, ServerFailure, ServerKey};
pub use timers::Timers;
