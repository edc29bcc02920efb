//! One INVITE, several answerers.

use super::*;

const CONTACT: &str = "Contact: <sip:bob@192.0.2.2>";

/// What each response of a run means, in one word.
fn check(run: &[(u16, &str)], want: &str) {
    let mut forks = Forks::new(invite(""));
    let words: Vec<String> = run
        .iter()
        .map(|(code, tag)| match forks.receive(&response(*code, tag, CONTACT)).unwrap() {
            ForkEvent::Progress => "progress".into(),
            ForkEvent::Early(tag) => format!("early({tag})"),
            ForkEvent::Won(mut dialog) => {
                let ack = dialog.ack(forks.invite(), None);
                forks.acknowledged(&dialog, ack);
                format!("won({})", dialog.id().remote_tag)
            }
            ForkEvent::Lost(mut dialog) => {
                let ack = dialog.ack(forks.invite(), None);
                forks.acknowledged(&dialog, ack);
                format!("lost({})", dialog.id().remote_tag)
            }
            ForkEvent::AckAgain(ack) => {
                format!("again({})", ack.headers.to().unwrap().tag().unwrap_or("-"))
            }
            ForkEvent::Nothing => "nothing".into(),
        })
        .collect();
    assert_eq!(words.join(" "), want, "{run:?}");
}

#[test]
fn one_answerer_rings_answers_and_repeats() {
    check(
        &[(100, ""), (180, ""), (180, "b"), (183, "b"), (200, "b"), (200, "b")],
        "progress progress early(b) early(b) won(b) again(b)",
    );
    check(&[(200, "b"), (180, "b")], "won(b) nothing");
}

#[test]
fn several_answerers_each_have_a_dialog_and_the_first_2xx_wins() {
    check(
        &[(183, "a"), (183, "b"), (183, "c"), (200, "d"), (200, "a"), (200, "d"), (200, "a"), (180, "c")],
        "early(a) early(b) early(c) won(d) lost(a) again(d) again(a) nothing",
    );
}

#[test]
fn a_2xx_repeated_before_its_ack_is_ready_changes_nothing() {
    let mut forks = Forks::new(invite(""));
    let ok = response(200, "b", CONTACT);
    assert!(matches!(forks.receive(&ok), Ok(ForkEvent::Won(_))));
    assert!(matches!(forks.receive(&ok), Ok(ForkEvent::Nothing)));
}

#[test]
fn an_early_dialog_can_be_used_and_takes_routes_and_target_from_its_2xx() {
    let mut forks = Forks::new(invite(""));
    forks
        .receive(&response(183, "b", "Record-Route: <sip:old.example;lr>\nContact: <sip:b@192.0.2.5>"))
        .unwrap();
    let early = forks.early("b").unwrap();
    assert!(!early.is_confirmed() && early.invite_is_open());
    assert_eq!(number(&early.request(Method::Prack)), 11);
    assert!(forks.early("x").is_none());
    let Ok(ForkEvent::Won(mut dialog)) =
        forks.receive(&response(200, "b", "Record-Route: <sip:new.example;lr>\nContact: <sip:b@192.0.2.6>"))
    else {
        panic!("the first 2xx wins")
    };
    assert_eq!(dialog.next_hop().to_string(), "sip:new.example;lr");
    assert_eq!(dialog.remote_target().to_string(), "sip:b@192.0.2.6");
    assert_eq!(number(&dialog.request(Method::Bye)), 12, "it goes on counting");
    assert!(forks.early("b").is_none());
}

#[test]
fn forks_without_end_are_bounded() {
    let mut forks = Forks::new(invite(""));
    let kinds = |code, forks: &mut Forks| {
        let events = (0..100).map(|n| forks.receive(&response(code, &format!("t{n}"), CONTACT)).unwrap());
        events.filter(|event| !matches!(event, ForkEvent::Nothing)).count()
    };
    assert_eq!(kinds(180, &mut forks), 32);
    assert_eq!(kinds(200, &mut forks), 32);
}

#[test]
fn a_second_try_forgets_the_early_dialogs_of_the_first() {
    let mut forks = Forks::new(invite(""));
    forks.receive(&response(183, "a", CONTACT)).unwrap();
    forks.restarted(invite("").again());
    assert!(forks.early("a").is_none());
    assert_eq!(number(forks.invite()), 11);
}
