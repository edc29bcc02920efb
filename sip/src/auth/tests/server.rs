//! The verifier against our own client, and against what a careless or hostile one sends.

use std::time::{Duration, Instant};

use super::*;
use crate::auth::{Client, Secret, SentTo, Tries, Verdict, Verifier};

const LIFETIME: Duration = Duration::from_secs(300);

fn password_of(user: &str) -> Option<Secret> {
    (user == "1001").then(|| "demo1001".into())
}

/// A client that has answered the challenge of this verifier, and its request.
fn logged_in(verifier: &mut Verifier, password: &str, now: Instant) -> (Client, Request) {
    let mut client = Client::new("1001", password.into()).unwrap();
    let mut request = request(Method::Register);
    let challenge = verifier.challenge(&request, false, now);
    client.challenged(&mut Tries::default(), &request, &challenge, SentTo::Home).unwrap();
    client.authorize(&mut request);
    (client, request)
}

fn authorization(request: &Request) -> String {
    request.headers.get(&HeaderName::Authorization).unwrap().to_owned()
}

#[test]
fn the_right_password_is_accepted_with_the_stronger_hash() {
    let (now, mut verifier) = (Instant::now(), Verifier::new("demo", LIFETIME));
    let (mut client, mut request) = logged_in(&mut verifier, "demo1001", now);
    assert!(authorization(&request).contains("algorithm=SHA-256"));
    assert_eq!(verifier.verify(&request, password_of, now), Verdict::Accepted("1001".into()));
    assert_eq!(
        verifier.verify(&request, password_of, now),
        Verdict::Stale,
        "the same count again is a replay"
    );
    client.authorize(&mut request);
    assert_eq!(verifier.verify(&request, password_of, now), Verdict::Accepted("1001".into()));
}

#[test]
fn md5_is_accepted_from_those_who_know_no_better() {
    let (now, mut verifier) = (Instant::now(), Verifier::new("demo", LIFETIME));
    let mut request = request(Method::Register);
    let mut challenge = verifier.challenge(&request, false, now);
    let md5 = challenge.headers.all(&HeaderName::WwwAuthenticate).nth(1).unwrap().to_owned();
    challenge.headers.set_text(HeaderName::WwwAuthenticate, &md5).unwrap();
    let mut client = Client::new("1001", "demo1001".into()).unwrap();
    client.challenged(&mut Tries::default(), &request, &challenge, SentTo::Home).unwrap();
    client.authorize(&mut request);
    assert!(authorization(&request).contains("algorithm=MD5"));
    assert_eq!(verifier.verify(&request, password_of, now), Verdict::Accepted("1001".into()));
}

#[test]
fn an_old_nonce_is_stale_and_the_next_challenge_says_so() {
    let (now, mut verifier) = (Instant::now(), Verifier::new("demo", LIFETIME));
    let (_, request) = logged_in(&mut verifier, "demo1001", now);
    assert_eq!(verifier.verify(&request, password_of, now + LIFETIME), Verdict::Stale);
    let again = verifier.challenge(&request, true, now + LIFETIME);
    assert!(again.headers.get(&HeaderName::WwwAuthenticate).unwrap().ends_with("stale=true"));
}

#[test]
fn an_unknown_nonce_is_stale_only_with_the_right_password() {
    let now = Instant::now();
    let (_, right) = logged_in(&mut Verifier::new("demo", LIFETIME), "demo1001", now);
    let (_, wrong) = logged_in(&mut Verifier::new("demo", LIFETIME), "guess", now);
    let mut other = Verifier::new("demo", LIFETIME);
    assert_eq!(other.verify(&right, password_of, now), Verdict::Stale);
    assert_eq!(other.verify(&wrong, password_of, now), Verdict::Denied);
}

/// Right credentials with this piece replaced.
fn check_denied(piece: &str, by: &str) {
    let (now, mut verifier) = (Instant::now(), Verifier::new("demo", LIFETIME));
    let (_, mut request) = logged_in(&mut verifier, "demo1001", now);
    let value = authorization(&request);
    assert!(value.contains(piece), "{piece} in {value}");
    request.headers.set_text(HeaderName::Authorization, &value.replacen(piece, by, 1)).unwrap();
    assert_eq!(verifier.verify(&request, password_of, now), Verdict::Denied, "{piece} → {by}");
}

#[test]
fn credentials_with_anything_wrong_are_denied() {
    check_denied(r#"username="1001""#, r#"username="1002""#);
    check_denied(r#"realm="demo""#, r#"realm="other""#);
    check_denied(r#"response=""#, r#"response="0"#);
    check_denied("nc=00000001", "nc=1");
    check_denied("nc=00000001", "nc=0000000g");
    check_denied("nc=00000001", "nc=00000002");
    check_denied("qop=auth", "qop=auth-int");
    check_denied("algorithm=SHA-256", "algorithm=SHA-256-sess");
    check_denied(r#"uri="sip:example.com""#, r#"uri="sip:elsewhere.example""#);
    check_denied("Digest ", "Basic ");
    check_denied("cnonce", "x");
    check_denied("nonce", "x");
}

#[test]
fn a_wrong_password_and_no_credentials_are_denied() {
    let (now, mut verifier) = (Instant::now(), Verifier::new("demo", LIFETIME));
    let (_, wrong) = logged_in(&mut verifier, "demo1002", now);
    assert_eq!(verifier.verify(&wrong, password_of, now), Verdict::Denied);
    assert_eq!(verifier.verify(&request(Method::Register), password_of, now), Verdict::Denied);
}

#[test]
fn a_flood_of_challenges_pushes_out_old_nonces_only() {
    let (now, mut verifier) = (Instant::now(), Verifier::new("demo", LIFETIME));
    let (_, first) = logged_in(&mut verifier, "demo1001", now);
    for _ in 0..Verifier::MAX_NONCES {
        verifier.challenge(&first, false, now);
    }
    let (_, last) = logged_in(&mut verifier, "demo1001", now);
    assert_eq!(verifier.verify(&first, password_of, now), Verdict::Stale);
    assert_eq!(verifier.verify(&last, password_of, now), Verdict::Accepted("1001".into()));
}
