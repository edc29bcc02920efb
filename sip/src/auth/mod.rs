//! Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22; RFC 2617 and 2069 peers are understood).
//!
//! - [`Client`]: one per account. Learns challenges, adds credentials to requests, knows when to give up and to whom not to
//!   talk. [`Tries`]: one per request.
//! - [`Verifier`]: the other side, for a small registrar.
//! - [`Secret`]: a password that no log can show.

mod challenge;
mod client;
mod digest;
mod params;
mod secret;
mod server;
#[cfg(test)]
mod tests;

pub use challenge::Challenge;
pub use client::{Client, GiveUp, SentTo, Tries};
pub use digest::{Algorithm, Hash, Qop};
pub use secret::Secret;
pub use server::{Verdict, Verifier};
