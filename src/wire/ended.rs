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
//! | no sign of a far end | `Failed by RTP activity` |
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
        Cause::MediaTimeout => "Failed by RTP activity",
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

    /// The rows of the first table with these words in its head, cell by cell.
    fn table(page: &str, head: &str) -> Vec<Vec<String>> {
        let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().skip_while(|line| !line.contains(head)).skip(2);
        let cells =
            |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        rows.take_while(|line| line.starts_with('|')).map(cells).collect()
    }

    /// The words in backquotes.
    fn quoted(cell: &str) -> Vec<&str> {
        cell.split('`').skip(1).step_by(2).collect()
    }

    /// The SIP codes in a cell.
    fn codes(cell: &str) -> Vec<u16> {
        let numbers = cell.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() == 3);
        numbers.map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn each_end_is_told_as_the_table_in_docs_says() {
        let rows = table("sip.md", "| what happened | `reason` |");
        for code in 300..700 {
            let reason = EndReason::from_sip(Side::Callee, code, "");
            let named = |row: &&Vec<String>| codes(&row[0]).contains(&code);
            let row = rows.iter().find(named).or(rows.iter().find(|row| row[0].starts_with("any other")));
            assert_eq!(quoted(&row.unwrap()[1]), [reason.cause.as_str()], "{code}");
        }
        for cause in Cause::ALL {
            let reason = EndReason::new(None, *cause);
            let of_cause = rows.iter().filter(|row| quoted(&row[1]).contains(&cause.as_str()));
            let [row] = &of_cause.collect::<Vec<_>>()[..] else { panic!("{cause:?} stands once") };
            let status = if reason.is_failure() { "FAILED" } else { "FINISH" };
            assert_eq!((&*row[2], &*row[3]), (status, info(&reason)), "{cause:?}");
        }
        assert_eq!(rows.len(), Cause::ALL.len());
    }

    #[test]
    fn pages_are_promised_the_same() {
        let rows = table("websocket.md", "| end | `reason` |");
        for cause in Cause::ALL {
            let of_cause = rows.iter().find(|row| quoted(&row[1]).contains(&cause.as_str()));
            let row = of_cause.unwrap_or_else(|| panic!("{cause:?} is missing"));
            assert_eq!(row[3], info(&EndReason::new(None, *cause)), "{cause:?}");
        }
        for (row, code) in rows.iter().flat_map(|row| codes(&row[0]).into_iter().map(move |code| (row, code)))
        {
            let cause = EndReason::from_sip(Side::Callee, code, "").cause;
            assert!(quoted(&row[1]).contains(&cause.as_str()), "{code}");
        }
    }

    /// The column `sipStatus` of websocket.md: a code, what was received, or – for none.
    #[test]
    fn pages_are_told_the_sip_status_that_they_are_promised() {
        let rows = table("websocket.md", "| end | `reason` | `sipStatus` |");
        let promised = |cause: Cause| {
            let row = rows.iter().find(|row| quoted(&row[1]).contains(&cause.as_str()));
            row.unwrap_or_else(|| panic!("{cause:?}"))[2].clone()
        };
        let mut of_sip = std::collections::HashSet::new();
        for code in 300..700 {
            let reason = EndReason::from_sip(Side::Callee, code, "");
            let cell = promised(reason.cause);
            assert_eq!(reason.sip_code, Some(code));
            assert!(cell.contains("as received") || codes(&cell).contains(&code), "{code}: {cell}");
            of_sip.insert(reason.cause.as_str());
        }
        for cause in Cause::ALL.iter().filter(|cause| !of_sip.contains(cause.as_str())) {
            assert!(promised(*cause).contains('–'), "{cause:?} comes without a code");
        }
    }

    #[test]
    fn busy_is_what_the_callee_said() {
        for (code, busy) in [(486, true), (600, true), (603, true), (487, false), (480, false)] {
            assert_eq!(is_busy(&EndReason::from_sip(Side::Callee, code, "")), busy, "{code}");
        }
    }
}
