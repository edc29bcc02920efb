//! What the client answers, how, and to whom not.

use super::*;
use crate::auth::{Client, GiveUp, SentTo, Tries};

const C401: StatusCode = StatusCode::UNAUTHORIZED;
const C407: StatusCode = StatusCode::PROXY_AUTHENTICATION_REQUIRED;

fn client() -> Client {
    Client::new("1001", "secret".into()).unwrap().with_cnonces(|| "c".into())
}

/// Challenges to a REGISTER with the body `body`: the response, the qop and the algorithm that come back.
fn check(challenges: &[&str], want: Result<&str, GiveUp>) {
    let mut client = client();
    let mut request = request(Method::Register).with_body("text/plain", "body");
    let got = client
        .challenged(&mut Tries::default(), &request, &challenge(C401, challenges), SentTo::Home)
        .map(|()| authorization(&mut client, &mut request));
    let got = got.map(|value| {
        value.replacen(
            r#"Digest username="1001", realm="r", nonce="n", uri="sip:example.com", response="#,
            "",
            1,
        )
    });
    assert_eq!(got, want.map(str::to_owned), "{challenges:?}");
}

fn authorization(client: &mut Client, request: &mut Request) -> String {
    client.authorize(request);
    request.headers.get(&HeaderName::Authorization).unwrap_or_default().to_owned()
}

/// The responses were computed with another implementation of the hashes.
#[test]
fn the_answer_follows_the_challenge() {
    check(&[r#"Digest realm="r", nonce="n""#], Ok(r#""06e66b7d09de165c0218ea390920d3bc""#));
    check(
        &[r#"Digest realm="r",nonce="n",qop="auth",algorithm=MD5,opaque="o\"p""#],
        Ok(
            r#""a0b5e4fe6d75a75767967a1ab13a99e8", algorithm=MD5, opaque="o\"p", qop=auth, nc=00000001, cnonce="c""#,
        ),
    );
    check(
        &[r#"Digest realm="r",nonce="n",qop="auth-int""#],
        Ok(r#""50f5339bbd3dccd872bfc915b4deebca", qop=auth-int, nc=00000001, cnonce="c""#),
    );
    check(
        &[r#"Digest realm="r",nonce="n",qop="auth",algorithm=MD5-sess"#],
        Ok(r#""54ef520421b4672d92fa87f241000083", algorithm=MD5-sess, qop=auth, nc=00000001, cnonce="c""#),
    );
    check(
        &[r#"Digest realm="r",nonce="n",algorithm=md5-SESS"#],
        Ok(r#""dcd56140805f13a95ae4ad079db13058", algorithm=MD5-sess, cnonce="c""#),
    );
    check(
        &[r#"Digest realm="r",nonce="n",qop="auth-int",algorithm=SHA-256"#],
        Ok(
            r#""afd764d96921835abcfe3e9272c10aabd5e52b434f7c942d7bf44e11d69fc450", algorithm=SHA-256, qop=auth-int, nc=00000001, cnonce="c""#,
        ),
    );
}

#[test]
fn the_strongest_challenge_that_we_know_is_taken() {
    let sha_256 = Ok(
        r#""ccbd7c9fdb9d3b1e76e6894221ab6bf1ada123fc240a73124cc9c9871263f6a5", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c""#,
    );
    let (md5, sha) = (
        r#"Digest realm="r", nonce="n", qop="auth,auth-int""#,
        r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256"#,
    );
    check(&[md5, sha], sha_256.clone());
    check(&[sha, md5], sha_256.clone());
    check(&[&format!("{md5}, {sha}")], sha_256.clone());
    check(
        &[r#"Digest realm="r", nonce="x", algorithm=SHA-1024"#, r#"Basic realm="r""#, "Digest \"", sha],
        sha_256,
    );
}

#[test]
fn what_cannot_be_answered_is_not_answered() {
    check(&[], Err(GiveUp::Unanswerable));
    check(&[r#"Basic realm="r""#], Err(GiveUp::Unanswerable));
    check(&[r#"Digest realm="r", nonce="n", algorithm=AKAv1-MD5"#], Err(GiveUp::Unanswerable));
    check(&[r#"Digest realm="r", nonce="n", qop="later""#], Err(GiveUp::Unanswerable));
    check(&[r#"Digest realm="r", nonce="""#], Err(GiveUp::Unanswerable));
    check(&[r#"Digest nonce="n""#], Err(GiveUp::Unanswerable));
}

#[test]
fn the_nonce_count_grows_with_every_use_and_starts_anew_with_a_nonce() {
    let (mut client, request) = (client(), request(Method::Register));
    let ask = |client: &mut Client, nonce: &str| {
        let value = format!(r#"Digest realm="r", nonce="{nonce}", qop="auth""#);
        client
            .challenged(&mut Tries::default(), &request, &challenge(C401, &[&value]), SentTo::Home)
            .unwrap();
    };
    ask(&mut client, "n1");
    let mut request = request.clone();
    assert!(authorization(&mut client, &mut request).contains("nc=00000001"));
    assert!(authorization(&mut client, &mut request).contains("nc=00000002"));
    ask(&mut client, "n2");
    let value = authorization(&mut client, &mut request);
    assert!(value.contains("nc=00000001") && value.contains(r#"nonce="n2""#), "{value}");
    assert_eq!(request.headers.all(&HeaderName::Authorization).count(), 1);
    client.forget();
    assert_eq!(authorization(&mut client, &mut request), "");
}

/// A run of challenges to one request, `s` for stale: what the client says to each.
fn check_tries(run: &[(StatusCode, bool)], want: &[Result<(), GiveUp>]) {
    let (mut client, mut tries, request) = (client(), Tries::default(), request(Method::Invite));
    let got: Vec<_> = run
        .iter()
        .map(|(code, stale)| {
            let value = format!(r#"Digest realm="r", nonce="n", qop="auth", stale={stale}"#);
            client.challenged(&mut tries, &request, &challenge(*code, &[&value]), SentTo::Home)
        })
        .collect();
    assert_eq!(got, want, "{run:?}");
}

#[test]
fn one_request_is_tried_twice_and_once_more_if_the_nonce_was_stale() {
    check_tries(&[(C401, false), (C401, false)], &[Ok(()), Err(GiveUp::Refused)]);
    check_tries(&[(C401, true), (C401, false)], &[Ok(()), Err(GiveUp::Refused)]);
    check_tries(&[(C401, false), (C401, true), (C401, true)], &[Ok(()), Ok(()), Err(GiveUp::StaleAgain)]);
    check_tries(&[(C401, false), (C401, true), (C401, false)], &[Ok(()), Ok(()), Err(GiveUp::Refused)]);
    check_tries(&[(C407, false), (C401, false), (C407, false)], &[Ok(()), Ok(()), Err(GiveUp::Refused)]);
}

#[test]
fn a_proxy_and_the_server_behind_it_both_get_theirs() {
    let (mut client, mut tries, mut request) = (client(), Tries::default(), request(Method::Invite));
    let value = r#"Digest realm="r", nonce="n", qop="auth""#;
    for code in [C407, C401] {
        client.challenged(&mut tries, &request, &challenge(code, &[value]), SentTo::Home).unwrap();
    }
    client.authorize(&mut request);
    assert!(
        request.headers.has(&HeaderName::Authorization)
            && request.headers.has(&HeaderName::ProxyAuthorization)
    );
}

/// Who may ask, after the registrar has asked in realm `home`.
fn check_who(method: Method, sent_to: SentTo, realm: &str, want: Result<(), GiveUp>) {
    let mut client = client();
    let first = challenge(C401, &[r#"Digest realm="home", nonce="n""#]);
    client.challenged(&mut Tries::default(), &request(Method::Register), &first, SentTo::Home).unwrap();
    assert_eq!(client.realm(), Some("home"));
    let value = format!(r#"Digest realm="{realm}", nonce="x", qop="auth""#);
    let got = client.challenged(
        &mut Tries::default(),
        &request(method.clone()),
        &challenge(C407, &[&value]),
        sent_to,
    );
    assert_eq!(got, want, "{method} {sent_to:?} {realm}");
}

#[test]
fn only_home_gets_credentials_only_for_its_realm_and_never_for_a_bye() {
    check_who(Method::Invite, SentTo::Home, "home", Ok(()));
    check_who(Method::Invite, SentTo::Home, "evil", Err(GiveUp::Realm("evil".into())));
    check_who(Method::Invite, SentTo::Home, "HOME", Err(GiveUp::Realm("HOME".into())));
    check_who(Method::Invite, SentTo::Elsewhere, "home", Err(GiveUp::Elsewhere));
    check_who(Method::Bye, SentTo::Home, "home", Err(GiveUp::Bye));
    check_who(Method::Bye, SentTo::Elsewhere, "home", Err(GiveUp::Elsewhere));
}

#[test]
fn a_challenge_from_elsewhere_pins_nothing_and_a_given_realm_holds() {
    let mut client = client();
    let foreign = challenge(C401, &[r#"Digest realm="evil", nonce="n""#]);
    let request = request(Method::Invite);
    assert!(client.challenged(&mut Tries::default(), &request, &foreign, SentTo::Elsewhere).is_err());
    assert_eq!(client.realm(), None);
    let mut client = client.with_realm(Some("mine".into()));
    let refused = client.challenged(&mut Tries::default(), &request, &foreign, SentTo::Home);
    assert_eq!(refused, Err(GiveUp::Realm("evil".into())));
    let both = challenge(C401, &[r#"Digest realm="evil", nonce="n""#, r#"Digest realm="mine", nonce="n""#]);
    assert_eq!(client.challenged(&mut Tries::default(), &request, &both, SentTo::Home), Ok(()));
}

#[test]
fn names_with_quotes_are_escaped_and_with_control_characters_refused() {
    let mut client = Client::new(r#"a"b\c"#, "x".into()).unwrap();
    let mut request = request(Method::Register);
    client
        .challenged(
            &mut Tries::default(),
            &request,
            &challenge(C401, &[r#"Digest realm="r", nonce="n""#]),
            SentTo::Home,
        )
        .unwrap();
    let value = authorization(&mut client, &mut request);
    assert!(value.starts_with(r#"Digest username="a\"b\\c", realm"#), "{value}");
    assert_eq!(Client::new("a\r\nVia: x", "x".into()).unwrap_err().field, "user name");
    assert_eq!(Client::new("a", "\0".into()).unwrap_err().field, "password");
}

#[test]
fn no_debug_output_shows_the_password() {
    assert!(!format!("{:?}", client()).contains("secret"));
}
