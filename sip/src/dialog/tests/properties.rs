//! Two dialogs talking to each other at random never disagree about numbers and tags.

use proptest::prelude::*;

use super::*;

const METHODS: [Method; 5] = [Method::Info, Method::Invite, Method::Update, Method::Options, Method::Bye];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_one_side_sends_the_other_takes(steps in proptest::collection::vec((any::<bool>(), 0..5usize, any::<bool>()), 0..40)) {
        let (mut alice, mut bob) = (alice(""), bob(""));
        for (from_alice, method, succeeds) in steps {
            let (from, to) = if from_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
            prop_assert!(!from.invite_is_open() && !to.invite_is_open());
            let request = from.request(METHODS[method].clone());
            prop_assert_eq!(&DialogId::of_request(&request).unwrap(), to.id());
            to.receive(&request).unwrap();
            if request.method == Method::Invite {
                let code = if succeeds { StatusCode::OK } else { StatusCode::NOT_ACCEPTABLE_HERE };
                let response = request.response(code).with_header(HeaderName::Contact, to.request(Method::Update).headers.contacts().unwrap().remove(0));
                to.answered(code);
                from.concluded(&Method::Invite, Some(&response)).unwrap();
                if succeeds {
                    let ack = from.ack(&request, None);
                    to.receive(&ack).unwrap();
                    prop_assert_eq!(from.repeated_ack(&response), Some(&ack));
                }
            }
        }
    }

    #[test]
    fn whatever_is_dialled_becomes_one_legal_uri_or_an_error(callee in any::<String>(), name in any::<String>()) {
        let domain: HostPort = "pbx.example".parse().unwrap();
        if let Ok(uri) = callee_uri(&callee, &domain) {
            prop_assert!(uri.to_string().parse::<Uri>().is_ok(), "{} → {}", callee, uri);
            let profile = Profile {
                address: "sip:a@b.example".parse::<Uri>().unwrap().as_sip().unwrap().clone(),
                display_name: Some(name),
                contact: bobs_contact(),
                route: vec![],
                user_agent: String::new(),
                methods: vec![],
                extensions: vec![],
            };
            let params = InviteParams { callee: &uri, display_name: None, sdp: None, ids: &Ids::random() };
            if let Ok(invite) = profile.invite(&params) {
                let mut sent = invite;
                sent.headers.push_text(HeaderName::Via, "SIP/2.0/UDP a;branch=z9hG4bKx").unwrap();
                let Ok(Message::Request(read)) = parse(&sent.to_bytes()) else { panic!("unreadable: {sent:?}") };
                prop_assert_eq!(&read.headers, &sent.headers, "nothing came in by the text");
                prop_assert_eq!(read.uri, sent.uri);
            }
        }
    }
}
