//! Audio codecs, one file each; each file is the only one that imports its library.

pub mod g711;
pub mod g722;
pub mod g729;
pub mod opus;
pub mod speex;
