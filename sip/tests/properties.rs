//! Laws that hold for any input: nothing panics, what is printed reads back, nothing is smuggled, framing does not care for splits.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use sip::message::{HeaderName, Message, Method, NameAddr, Request, SipUri, Uri, Via, parse};
use sip::transaction::{Layer, Limits, Timers};
use sip::transport::{Flow, Frame, Framer, Transport};

/// Text that would like to be more than text.
const SLY: &str = "[a-zé \\r\\n\\x00\\t\"\\\\<>;,:@%?=/&\\[\\]\u{2028}]{0,8}|[a-z;@%\"<>]{1,8}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        reads_back(&bytes);
    }

    #[test]
    fn mutated_torture_is_read_or_refused_and_what_is_read_prints_and_reads_back(bytes in mutated()) {
        reads_back(&bytes);
    }

    #[test]
    fn the_layer_survives_anything_and_stays_bounded(messages in vec(mutated(), 1..20)) {
        let mut layer = Layer::new(Timers::default(), Limits { servers: 8, clients: 8 });
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.9:5060".parse().unwrap(),
        };
        let mut now = Instant::now();
        for bytes in &messages {
            layer.receive(now, bytes, flow);
        }
        prop_assert!(layer.running().1 <= 10);
        while let Some(at) = layer.next_deadline().filter(|at| *at < now + Timers::default().life() * 3) {
            now = at;
            layer.handle_timeout(now);
        }
        prop_assert!(std::iter::from_fn(|| layer.poll()).count() < 1_000);
    }

    #[test]
    fn names_and_numbers_cannot_add_a_field(name in SLY, user in SLY, text in SLY) {
        let host = || SipUri::new("example.com".parse().unwrap());
        let Ok(uri) = host().with_user(&user) else { return Ok(()) };
        prop_assert_eq!(uri.user().unwrap(), user);
        let Ok(from) = NameAddr::new(uri.clone()).with_display_name(&name) else { return Ok(()) };
        let from = from.with_tag("a").unwrap();
        let to = NameAddr::new(host());
        let mut request = Request::new(Method::Invite, uri.into(), from.clone(), to, "c", 1).unwrap();
        let via = Via::new(Transport::Udp, "192.0.2.1:5060".parse().unwrap(), "z9hG4bK1").unwrap();
        request.headers.prepend(HeaderName::Via, via);
        if request.headers.push_text(HeaderName::Subject, &text).is_err() { return Ok(()) };
        let Ok(Message::Request(read)) = parse(&request.to_bytes()) else { panic!("we print what can be read") };
        prop_assert_eq!(read.headers.from().unwrap(), from);
        prop_assert_eq!(read, request);
    }

    #[test]
    fn addresses_print_and_read_back(text in "[a-z\"<> ]{0,4}(sip|sips|tel|urn):[a-zA-Z0-9@:;=?&%+.*#\\[\\]-]{1,20}[>;a-z= ]{0,6}") {
        if let Ok(uri) = text.parse::<Uri>() {
            prop_assert_eq!(uri.to_string().parse::<Uri>().unwrap(), uri.clone());
            prop_assert!(uri.is_equivalent(&uri));
        }
        if let Ok(party) = text.parse::<NameAddr>() {
            prop_assert_eq!(party.to_string().parse::<NameAddr>().unwrap(), party);
        }
    }

    #[test]
    fn a_stream_gives_the_same_frames_however_it_is_split(
        messages in vec(mutated(), 1..4),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream = messages.concat();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let parts: Vec<&[u8]> = places.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
        prop_assert_eq!(frames(&parts), frames(&[&stream]));
    }
}

/// Parses; what was understood must print to something that is understood alike; what is answered must be printable.
fn reads_back(bytes: &[u8]) {
    match parse(bytes) {
        Ok(message) => assert_eq!(parse(&message.to_bytes()).unwrap(), message),
        Err(failure) => drop(failure.response.map(|response| response.to_bytes())),
    }
}

fn frames(parts: &[&[u8]]) -> Vec<Frame> {
    let (mut framer, now) = (Framer::new(), Instant::now());
    let mut frames = Vec::new();
    for part in parts {
        framer.push(part);
        frames.extend(std::iter::from_fn(|| framer.next_frame(now)));
    }
    frames
}

/// A torture message, hurt in a few places.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let wounds = vec((0..5_u8, any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(torture()), wounds).prop_map(|(mut bytes, wounds)| {
        for (kind, place, byte) in wounds {
            let at = place.index(bytes.len() + 1);
            let end = (at + usize::from(byte)).min(bytes.len());
            match kind {
                0 => bytes.insert(at, byte),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.extend_from_within(at..end),
                3 => bytes.splice(at..at, *b"\r\n").for_each(drop),
                _ => bytes.insert(at, b"\",;<>:=@ \r"[usize::from(byte % 10)]),
            }
        }
        bytes
    })
}

fn torture() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/torture/rfc4475");
    let folders = ["valid", "invalid", "other"].map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut files: Vec<_> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}
