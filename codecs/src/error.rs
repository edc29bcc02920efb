//! Why a payload or a request was refused.

/// Bad input to a codec. A payload that gives one is dropped and counted by the caller; the codec lives on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The payload has no bytes.
    #[error("payload: empty")]
    EmptyPayload,
    /// The payload is longer than [`crate::MAX_PAYLOAD`] or shorter than its format asks.
    #[error("payload: {length} bytes, expected {least} to {most}")]
    PayloadLength {
        /// Bytes that came.
        length: usize,
        /// Least that the format allows.
        least: usize,
        /// Most that we take.
        most: usize,
    },
    /// The codec's library found no sense in the payload.
    #[error("payload: not valid {codec}: {reason}")]
    Malformed {
        /// Encoding name.
        codec: &'static str,
        /// What the library says.
        reason: &'static str,
    },
    /// The caller's buffer is too small: a bug of the caller, reported and not fatal.
    #[error("buffer: {have} given, {need} needed")]
    BufferTooSmall {
        /// Room that was given, in samples or bytes.
        have: usize,
        /// Room that is needed.
        need: usize,
    },
    /// The codec does not run at this sample rate.
    #[error("sample rate: {codec} does not run at {rate} Hz")]
    SampleRate {
        /// Encoding name.
        codec: &'static str,
        /// Rate asked for, in Hz.
        rate: u32,
    },
    /// The codec has no packets of this duration.
    #[error("ptime: {codec} has no packets of {ptime_ms} ms")]
    Ptime {
        /// Encoding name.
        codec: &'static str,
        /// Duration asked for, in ms.
        ptime_ms: u32,
    },
    /// A picture so large or so small that no call has it.
    #[error("picture: {width}x{height} refused")]
    PictureSize {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A setting that the codec's library refuses.
    #[error("setting: {name} = {value} refused by {codec}")]
    Setting {
        /// Encoding name.
        codec: &'static str,
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: u32,
    },
    /// The library could not make or run a codec (out of memory, internal error).
    #[error("{codec}: {reason}")]
    Library {
        /// Encoding name.
        codec: &'static str,
        /// What the library says.
        reason: &'static str,
    },
}
