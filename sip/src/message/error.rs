//! What can be wrong with a value: from us or our user ([`InvalidField`]), or from the network ([`Malformed`], [`HeaderError`]).

use super::HeaderName;

/// A value offered for a message that we build was refused; the caller can tell its user which field to correct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The field as the caller knows it, for example `display name`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Text from the network does not follow the grammar of RFC 3261 25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// A typed reading of a header field failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {problem}")]
pub struct HeaderError {
    /// The header field that was asked for.
    pub header: HeaderName,
    /// Why there is no value.
    pub problem: HeaderProblem,
}

/// Why a header field has no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderProblem {
    /// The field is not there.
    #[error("missing")]
    Missing,
    /// A field that may stand once stands several times.
    #[error("stands more than once")]
    Duplicate,
    /// The value does not follow the grammar.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}
