//! What things are called.
use std::fmt;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// The key of a call in every frame, log line and record: chosen by the page for the calls that it makes
/// (a UUID in the WebSDK), by us for the calls that come in. At most 128 bytes, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Arc<str>);

/// One browser session: lives from `connection` until its socket is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// The two ends of a call: who asked for it, and who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The leg that asked for the call.
    Caller,
    /// The leg that is asked.
    Callee,
}

impl CallId {
    /// The most bytes that a call id may have.
    pub const MAX_LEN: usize = 128;

    /// Takes an id from outside; `None` if it is empty, too long or not printable.
    pub fn parse(id: &str) -> Option<Self> {
        let fits = !id.is_empty() && id.len() <= Self::MAX_LEN;
        (fits && !id.chars().any(char::is_control)).then(|| Self(id.into()))
    }

    /// A fresh id for a call that comes in: 128 random bits in hex.
    pub fn random() -> Self {
        Self(random_hex::<16>().into())
    }

    /// The id as the page knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Side {
    /// The one across.
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    /// One word for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

/// `N` random bytes of the operating system's generator, in hex.
pub(crate) fn random_hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's generator does not fail after boot");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}
/// One for each side of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Both<T> {
    /// The caller's.
    pub caller: T,
    /// The callee's.
    pub callee: T,
}

impl<T> Index<Side> for Both<T> {
    type Output = T;
    fn index(&self, side: Side) -> &T {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }
}

impl<T> IndexMut<Side> for Both<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }
}
