//! Why an offer or an answer fails, and the SIP status that says so.

/// Why an offer or an answer cannot be made or taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferAnswerError {
    /// Our own offer waits for its answer.
    #[error("an offer of ours is outstanding")]
    OfferPending,
    /// Their offer waits for our answer.
    #[error("an offer of theirs is not answered yet")]
    AnswerOwed,
    /// Nothing to answer, or an answer to nothing.
    #[error("there is no offer to answer")]
    NoOffer,
    /// No live audio line.
    #[error("no audio line, or only with port 0")]
    NoAudio,
    /// The audio line wants a transport that we do not have, or that the policy forbids.
    #[error("audio over {0} is not taken here")]
    Protocol(String),
    /// No key that we can use, where there must be one.
    #[error("SRTP is required, and there is no key that can be used")]
    NoCrypto,
    /// No codec in common.
    #[error("no codec in common")]
    NoCommonCodec,
    /// Neither the session nor the line has a `c=`.
    #[error("no c= line")]
    NoAddress,
    /// `c=` holds a name: resolve it, put the address into the description and try again.
    #[error("c= names the host {0} instead of an address")]
    HostName(String),
}

impl OfferAnswerError {
    /// The SIP status that refuses the request which carried the offer.
    pub fn status(&self) -> u16 {
        match self {
            Self::OfferPending => 491,
            Self::AnswerOwed => 500,
            _ => 488,
        }
    }
}
