//! RQ24: what a registrar says or does not say, the account stays registered or comes back, and its owner knows.
use super::*;

/// 200 for fifty seconds.
fn fifty(request: &Request) -> Option<Response> {
    let mut response = request.response(StatusCode::OK);
    response.headers.set(HeaderName::Expires, 50_u32);
    Some(response)
}

fn challenge_with(request: &Request, nonce: &str) -> Option<Response> {
    let mut response = request.response(StatusCode::UNAUTHORIZED);
    let text = format!("Digest realm=\"pbx\", nonce=\"{nonce}\", qop=\"auth\"");
    response.headers.push_text(HeaderName::WwwAuthenticate, &text).unwrap();
    Some(response)
}

/// Answers only what is authorized under `nonce`.
fn wants(nonce: &'static str) -> impl Fn(&Request) -> Option<Response> {
    move |request| {
        let given = request.headers.get(&HeaderName::Authorization).unwrap_or_default();
        if given.contains(&format!("nonce=\"{nonce}\"")) {
            fifty(request)
        } else {
            challenge_with(request, nonce)
        }
    }
}

/// The codes of the failures told so far; 200 for `Registered`.
fn codes(stage: &Stage) -> Vec<u16> {
    let code = |event| match event {
        RegistrationEvent::Registered => Some(200),
        RegistrationEvent::Failed { sip_status, .. } => Some(sip_status.unwrap_or(0)),
        RegistrationEvent::Realm(_) => None,
        other => panic!("{other:?}"),
    };
    stage.told().into_iter().filter_map(code).collect()
}

#[actix::test]
async fn rq24_fifty_seconds_granted_where_an_hour_was_asked_are_refreshed_before_they_are_over() {
    for _ in 0..20 {
        let stage = stage(Ok(vec![hop()]), fifty);
        sleep(Duration::from_secs(30)).await;
        assert_eq!(stage.sent(), 1);
        assert_eq!(stage.seen.borrow()[0].headers.expires().unwrap(), Some(3600));
        sleep(Duration::from_secs(15)).await;
        assert_eq!(stage.sent(), 2, "45 s are over");
        tokio::time::resume();
    }
}

#[actix::test]
async fn rq24_a_new_nonce_that_is_not_called_stale_is_answered_once_and_nobody_hears_of_it() {
    let stage = stage(Ok(vec![hop()]), wants("one"));
    sleep(MOMENT).await;
    stage.now_plays(wants("two"));
    sleep(Duration::from_secs(45)).await;
    assert_eq!((stage.sent(), codes(&stage)), (4, vec![200]), "challenge, grant, challenge, grant");
    stage.now_plays(|request| challenge_with(request, "three"));
    sleep(Duration::from_secs(45)).await;
    assert_eq!((stage.sent(), codes(&stage)), (6, vec![200, 401]), "once more, then no");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(stage.sent(), 6, "a refused password is not tried again");
}

#[actix::test]
async fn rq24_the_account_is_back_within_five_seconds_after_two_minutes_without_a_network() {
    for _ in 0..10 {
        let stage = stage(Ok(vec![hop()]), fifty);
        sleep(MOMENT).await;
        stage.network.set(false);
        sleep(Duration::from_secs(120)).await;
        assert_eq!(codes(&stage), [200, 0]);
        let during = stage.sent();
        assert!((15..60).contains(&during), "{during} REGISTERs in two minutes");
        stage.network.set(true);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(codes(&stage), [200, 0, 200]);
        tokio::time::resume();
    }
}

#[actix::test]
async fn rq24_a_503_is_obeyed_for_as_long_as_it_says() {
    let stage = stage(Ok(vec![hop()]), |request| {
        let response = request.response(StatusCode::SERVICE_UNAVAILABLE);
        Some(response.with_header(HeaderName::RetryAfter, 30_u32))
    });
    sleep(Duration::from_secs(29)).await;
    assert_eq!((stage.sent(), codes(&stage)), (1, vec![503]));
    stage.now_plays(fifty);
    sleep(Duration::from_secs(2)).await;
    assert_eq!((stage.sent(), codes(&stage)), (2, vec![503, 200]));
}

#[actix::test]
async fn rq24_each_change_is_told_once_with_its_code() {
    let stage = stage(Ok(vec![hop()]), says(500));
    for (script, seconds) in [(500, 10), (480, 10), (200, 10), (503, 60), (200, 10), (403, 60)] {
        stage.now_plays(move |request| if script == 200 { fifty(request) } else { says(script)(request) });
        sleep(Duration::from_secs(seconds)).await;
    }
    assert_eq!(codes(&stage), [500, 480, 200, 503, 200, 403]);
}

#[actix::test]
async fn rq24_a_redirect_is_obeyed_until_the_server_that_it_names_fails() {
    let moves = |request: &Request| {
        if request.uri.to_string().contains("two.example") {
            return fifty(request);
        }
        let mut response = request.response(302_u16.try_into().unwrap());
        response.headers.push_text(HeaderName::Contact, "<sip:two.example>").unwrap();
        Some(response)
    };
    let stage = stage(Ok(vec![hop()]), moves);
    sleep(Duration::from_secs(45)).await;
    let asked = |stage: &Stage| -> Vec<String> {
        stage.seen.borrow().iter().map(|request| request.uri.to_string()).collect()
    };
    let (home, moved) = ("sip:pbx.example.org", "sip:two.example");
    assert_eq!((asked(&stage), codes(&stage)), (vec![home.into(), moved.into(), moved.into()], vec![200]));
    stage.now_plays(|request| {
        if request.uri.to_string().contains("two.example") { says(500)(request) } else { fifty(request) }
    });
    sleep(Duration::from_secs(45)).await;
    assert_eq!(asked(&stage)[3..5], [moved, home], "back to where the account says");
    assert_eq!(codes(&stage), [200, 500, 200]);
}

#[actix::test]
async fn rq24_servers_that_name_each_other_are_left_after_two_moves() {
    let stage = stage(Ok(vec![hop()]), |request| {
        let mut response = request.response(301_u16.try_into().unwrap());
        let other =
            if request.uri.to_string().contains("two") { "<sip:one.example>" } else { "<sip:two.example>" };
        response.headers.push_text(HeaderName::Contact, other).unwrap();
        Some(response)
    });
    sleep(MOMENT).await;
    assert_eq!((stage.sent(), codes(&stage)), (3, vec![301]));
}
