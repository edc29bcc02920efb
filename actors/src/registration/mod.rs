//! A registration.
pub(crate) mod backoff;
pub(crate) mod state;
