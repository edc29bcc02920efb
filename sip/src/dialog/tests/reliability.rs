//! Which provisional responses are acknowledged.

use super::*;

fn verdicts(responses: &[(u16, &str, &str)]) -> Vec<String> {
    let mut seen = ReliableProvisionals::default();
    let verdict = |(code, tag, more): &(u16, &str, &str)| match seen.receive(&response(*code, tag, more)) {
        Provisional::Fresh(rack) => rack.to_string(),
        other => format!("{other:?}"),
    };
    responses.iter().map(verdict).collect()
}

#[test]
fn each_reliable_response_is_acknowledged_once_and_in_order() {
    const REL: &str = "Require: 100rel\nRSeq: ";
    let rseq = |number: u32| format!("{REL}{number}");
    let all = verdicts(&[
        (180, "a", ""),
        (183, "a", &rseq(7)),
        (183, "a", &rseq(7)),
        (180, "a", &rseq(9)),
        (180, "a", &rseq(8)),
        (180, "a", &rseq(9)),
        (183, "b", &rseq(1)),
        (180, "a", &rseq(3)),
    ]);
    let expected =
        ["Plain", "7 10 INVITE", "Again", "Again", "8 10 INVITE", "9 10 INVITE", "1 10 INVITE", "Again"];
    assert_eq!(all, expected);
}

#[test]
fn what_only_looks_reliable_is_plain() {
    for (code, tag, more) in [
        (100, "a", "Require: 100rel\nRSeq: 1"),
        (183, "", "Require: 100rel\nRSeq: 1"),
        (183, "a", "RSeq: 1"),
        (183, "a", "Require: 100rel"),
        (183, "a", "Supported: 100rel\nRSeq: 1"),
        (183, "a", "Require: 100rel\nRSeq: one"),
        (183, "a", "Require: 100rel\nRSeq: 99999999999"),
    ] {
        assert_eq!(verdicts(&[(code, tag, more)]), ["Plain"], "{code} {more}");
    }
}

#[test]
fn the_last_number_of_all_has_no_next() {
    let last = "Require: 100rel\nRSeq: 4294967295";
    assert_eq!(verdicts(&[(183, "a", last), (183, "a", last)]), ["4294967295 10 INVITE", "Again"]);
}
