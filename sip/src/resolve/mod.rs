//! Where to send a request (RFC 3263), and where never to.
//!
//! [`Resolution`] is the whole of RFC 3263 as a machine without sockets: it says which DNS questions to ask, takes the
//! answers, and ends with an ordered list of [`Hop`]s. [`AddressPolicy`] then judges each address before anything is sent there.

mod dns;
mod policy;
mod resolution;
mod srv_order;
mod target;
#[cfg(test)]
mod tests;

pub use dns::{Answer, Naptr, Question, Srv};
pub use policy::{AddressClass, AddressPolicy, DeniedAddress, UnknownClass};
pub use resolution::{Families, Hop, Resolution, ResolveError, Step};
pub use target::Target;
