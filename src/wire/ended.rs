//! How a call's end is told to a page: one table.
//!
//! `info` holds one of the WebSDK's `CALL_STATUS_INFO` strings, which WCS puts into call objects and hooks;
//! `reason` and `by` are ours, for pages that want to say more.
//!
//! | cause | `info` |
//! |---|---|
//! | hang-up, transferred, cancelled, answered elsewhere, busy, declined, longest duration, session closed, shutdown | `Normal call clearing` |
//! | nobody answered, no response to SIP | `Failed by request timeout` |
//! | no common codec | `No common codecs` |
//! | browser's path | `Failed by ICE error`, `Failed by DTLS error` |
//! | everything else | `Failed by error` |
//!
//! The status is the switch's word: `FINISH` for what people or the far side wanted, `FAILED` for what broke.
//! `BUSY` is never sent: none of WCS's demo pages handles it, and they stay stuck with a live "Hangup" button.
use actors::handle::{Cause, EndReason};

/// The WebSDK's `CALL_STATUS_INFO` string for an end.
pub(super) fn info(reason: &EndReason) -> &'static str {
    match reason.cause {
        Cause::HangUp
        | Cause::Transferred
        | Cause::Cancelled
        | Cause::AnsweredElsewhere
        | Cause::Busy
        | Cause::Declined
        | Cause::MaxDuration
        | Cause::SessionClosed
        | Cause::Shutdown => "Normal call clearing",
        Cause::NoAnswer | Cause::SignallingTimeout => "Failed by request timeout",
        Cause::NoCommonCodec => "No common codecs",
        Cause::IceFailed => "Failed by ICE error",
        Cause::DtlsFailed => "Failed by DTLS error",
        Cause::NotFound
        | Cause::Forbidden
        | Cause::BadDescription
        | Cause::BadRequest
        | Cause::Unreachable
        | Cause::Refused
        | Cause::Overload
        | Cause::Internal => "Failed by error",
    }
}

/// Whether older pages are told `busy` before `finish`: the callee said so (486, 600, 603).
pub(super) fn is_busy(reason: &EndReason) -> bool {
    matches!(reason.cause, Cause::Busy | Cause::Declined)
}

#[cfg(test)]
mod tests {
    use actors::handle::Side;

    use super::*;

    #[test]
    fn ends_of_a_sip_response_have_the_info_of_the_table() {
        let check = |code, wanted, busy| {
            let reason = EndReason::from_sip(Side::Callee, code, "");
            assert_eq!((info(&reason), is_busy(&reason)), (wanted, busy), "{code}");
        };
        check(486, "Normal call clearing", true);
        check(600, "Normal call clearing", true);
        check(603, "Normal call clearing", true);
        check(487, "Normal call clearing", false);
        check(404, "Failed by error", false);
        check(403, "Failed by error", false);
        check(408, "Failed by request timeout", false);
        check(480, "Failed by request timeout", false);
        check(488, "No common codecs", false);
        check(500, "Failed by error", false);
    }
}
