//! Whatever a peer sends as a challenge or as credentials: no panic, and no broken header from us.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::auth::{Client, SentTo, Tries, Verifier};
use crate::message::grammar;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_challenge_is_answered_legibly_or_not_at_all(
        value in r#"(Digest )?((realm|nonce|qop|algorithm|opaque|stale)=("[ -~é]{0,12}"|[a-zA-Z0-9-]{0,8}),? ?){0,6}[ -~]{0,6}"#,
    ) {
        let mut client = Client::new("1001", "x".into()).unwrap();
        let mut request = request(Method::Register);
        let challenge = challenge(StatusCode::UNAUTHORIZED, &[&value]);
        if client.challenged(&mut Tries::default(), &request, &challenge, SentTo::Home).is_ok() {
            client.authorize(&mut request);
            let sent = request.headers.get(&HeaderName::Authorization).unwrap();
            prop_assert!(grammar::check_text("Authorization", sent).is_ok());
            prop_assert_eq!(crate::auth::params::AuthParams::parse_all(sent).unwrap().len(), 1);
        }
        let mut verifier = Verifier::new("r", Duration::from_secs(1));
        request.headers.set_text(HeaderName::Authorization, &value).unwrap();
        verifier.verify(&request, |_| Some("x".into()), Instant::now());
    }
}
