//! Known answers, replays, garbage, new keys.
use proptest::prelude::*;

use super::*;

/// The master key and salt of RFC 3711 §B.3.
const CM: (&str, &str) = ("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6");
const GCM: (&str, &str) = ("000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7a8a9aaab");
const GCM_256: (&str, &str) =
    ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "a0a1a2a3a4a5a6a7a8a9aaab");
const RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
const RTCP: &str = "81c8000bcafebabeabababababababababababababababab";

const SUITES: [(Suite, (&str, &str)); 4] = [
    (Suite::AesCm128HmacSha1_80, CM),
    (Suite::AesCm128HmacSha1_32, CM),
    (Suite::AeadAes128Gcm, GCM),
    (Suite::AeadAes256Gcm, GCM_256),
];

fn bytes(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn key(suite: Suite, (key, salt): (&str, &str)) -> MasterKey {
    MasterKey::new(suite, [bytes(key), bytes(salt)].concat()).unwrap()
}

fn keys(suite: Suite, send: &MasterKey, receive: &MasterKey) -> SrtpKeys {
    SrtpKeys { suite, send: send.clone(), receive: receive.clone(), receive_mki: None }
}

/// Two ends of one session with fresh keys.
fn ends(suite: Suite) -> (Srtp, Srtp) {
    let (a, b) = (MasterKey::random(suite), MasterKey::random(suite));
    (Srtp::new(&keys(suite, &a, &b)), Srtp::new(&keys(suite, &b, &a)))
}

/// A packet of 160 bytes of sound.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = [&[0x80, 8], &sequence.to_be_bytes()[..], &[0, 0, 0, 1], &ssrc.to_be_bytes()].concat();
    [header, vec![0xd5; 160]].concat()
}

fn sealed(srtp: &mut Srtp, ssrc: u32, sequence: u16) -> Bytes {
    srtp.protect(Kind::Rtp, &rtp(ssrc, sequence)).unwrap().freeze()
}

fn check(suite: Suite, pair: (&str, &str), kind: Kind, plain: &str, encrypted: &str) {
    let key = key(suite, pair);
    let mut srtp = Srtp::new(&keys(suite, &key, &key));
    let got = srtp.protect(kind, &bytes(plain)).unwrap();
    assert_eq!(got, bytes(encrypted), "{suite:?} {kind:?}");
    assert_eq!(srtp.unprotect(kind, &got.freeze()), Ok(bytes(plain)));
}

/// The packets that libsrtp checks itself with, under the key of RFC 3711 §B.3 and, for GCM, a counting one.
#[test]
fn known_packets_are_encrypted_as_everybody_does() {
    let (cm, gcm) = (Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm);
    let want = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb";
    check(cm, CM, Kind::Rtp, RTP, want);
    check(Suite::AesCm128HmacSha1_32, CM, Kind::Rtp, RTP, &want[..want.len() - 12]);
    let want = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798";
    check(cm, CM, Kind::Rtcp, RTCP, want);
    check(Suite::AesCm128HmacSha1_32, CM, Kind::Rtcp, RTCP, want);
    let want = "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392";
    check(gcm, GCM, Kind::Rtp, RTP, want);
    let want = "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001";
    check(gcm, GCM, Kind::Rtcp, RTCP, want);
}

#[test]
fn each_packet_is_taken_once_and_only_if_it_is_not_too_old() {
    for (suite, _) in SUITES {
        let (mut far, mut ours) = ends(suite);
        let sent: Vec<Bytes> = (0..200).map(|n| sealed(&mut far, 7, 65_400u16.wrapping_add(n))).collect();
        // Across the roll-over, in blocks of 64 that come backwards: in order enough, but for the first packet, which fixes the count.
        assert!(ours.unprotect(Kind::Rtp, &sent[0]).is_ok());
        for block in sent[1..193].chunks(64) {
            let newest = block.last().unwrap();
            assert!(ours.unprotect(Kind::Rtp, newest).is_ok());
            for packet in block[..63].iter().rev() {
                assert!(ours.unprotect(Kind::Rtp, packet).is_ok());
            }
        }
        for packet in &sent[..193] {
            for _ in 0..10 {
                assert_eq!(ours.unprotect(Kind::Rtp, packet), Err(Refused::Replayed));
            }
        }
        assert!(ours.unprotect(Kind::Rtp, &sent[199]).is_ok());
        let late = sealed(&mut far, 7, 65_400u16.wrapping_add(400));
        assert!(ours.unprotect(Kind::Rtp, &late).is_ok());
        assert_eq!(ours.unprotect(Kind::Rtp, &sent[198]), Err(Refused::Replayed), "older than the window");

        let report = far.protect(Kind::Rtcp, &bytes(RTCP)).unwrap().freeze();
        assert_eq!(ours.unprotect(Kind::Rtcp, &report), Ok(bytes(RTCP)));
        assert_eq!(ours.unprotect(Kind::Rtcp, &report), Err(Refused::Replayed));
    }
}

#[test]
fn garbage_is_refused_takes_no_memory_and_harms_no_stream() {
    for (suite, _) in SUITES {
        let (mut far, mut ours) = ends(suite);
        // Before the stream begins, with its SSRC and a number far ahead: its window must not move.
        for sequence in [30_000, 40_000, 65_000] {
            let forged = Bytes::from([rtp(7, sequence), vec![0; 16]].concat());
            assert_eq!(ours.unprotect(Kind::Rtp, &forged), Err(Refused::NotAuthentic));
            let mut report = bytes(RTCP).to_vec();
            report.extend([0x80, 0, 0xff, sequence as u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
            assert!(ours.unprotect(Kind::Rtcp, &report.into()).is_err());
        }
        for n in 0..1000u32 {
            let mut packet = sealed(&mut far, 7, n as u16).to_vec();
            let forged = Bytes::from([rtp(n.wrapping_mul(0x9e37_79b9), n as u16), vec![0; 16]].concat());
            assert_eq!(ours.unprotect(Kind::Rtp, &forged), Err(Refused::NotAuthentic));
            let genuine = Bytes::copy_from_slice(&packet);
            let place = n as usize % (packet.len() - 12) + 12;
            packet[place] ^= 1;
            assert_eq!(ours.unprotect(Kind::Rtp, &packet.into()), Err(Refused::NotAuthentic));
            assert_eq!(ours.unprotect(Kind::Rtp, &genuine), Ok(rtp(7, n as u16).into()));
        }
        assert_eq!(ours.receiver.rtp.len(), 1);
        assert!(ours.receiver.rtcp.is_empty() && ours.receiver.tried <= MAX_TRIED);
    }
}

#[test]
fn a_report_without_its_encryption_flag_is_refused() {
    for (suite, _) in SUITES {
        let (mut far, mut ours) = ends(suite);
        let bare = [&bytes(RTCP)[..], &[0, 0, 0, 1], &[0; 10]].concat();
        assert!(ours.unprotect(Kind::Rtcp, &bare.into()).is_err());
        let mut report = far.protect(Kind::Rtcp, &bytes(RTCP)).unwrap();
        let flag = report.len() - tag_bytes(suite, Kind::Rtcp) - 4;
        report[flag] &= 0x7f;
        assert_eq!(ours.unprotect(Kind::Rtcp, &report.freeze()), Err(Refused::NotAuthentic));
    }
}

#[test]
fn streams_of_one_key_are_bounded() {
    let (mut far, mut ours) = ends(Suite::AesCm128HmacSha1_80);
    for ssrc in 0..100 {
        let packet = sealed(&mut far, ssrc, 1);
        assert!(ours.unprotect(Kind::Rtp, &packet).is_ok());
    }
    assert_eq!(ours.receiver.rtp.len(), MAX_STREAMS);
}

#[test]
fn the_roll_over_counter_goes_on_when_the_same_keys_are_agreed_again() {
    for (suite, _) in SUITES {
        let (mut far, mut ours) = ends(suite);
        for n in 0..150_000u32 {
            let packet = sealed(&mut far, 7, n as u16);
            if n == 70_000 {
                let (a, b) = (far.keys.clone(), ours.keys.clone());
                far.follow(&a);
                ours.follow(&b);
            }
            // A burst of 20,000 is lost.
            if !(80_000..100_000).contains(&n) {
                assert!(ours.unprotect(Kind::Rtp, &packet).is_ok(), "{suite:?}: packet {n}");
            }
        }
    }
}

#[test]
fn new_keys_take_over_and_the_old_ones_are_heard_until_then() {
    let (old, new) = (Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm);
    let (mut far, mut ours) = ends(old);
    let first = sealed(&mut far, 7, 1);
    let on_its_way = sealed(&mut far, 7, 2);
    let too_late = sealed(&mut far, 7, 3);
    assert!(ours.unprotect(Kind::Rtp, &first).is_ok());
    let (a, b) = (MasterKey::random(new), MasterKey::random(new));
    far.follow(&keys(new, &a, &b));
    ours.follow(&keys(new, &b, &a));
    assert!(ours.unprotect(Kind::Rtp, &on_its_way).is_ok());
    assert_eq!(ours.unprotect(Kind::Rtp, &first), Err(Refused::Replayed));
    let packet = sealed(&mut far, 7, 4);
    assert!(ours.unprotect(Kind::Rtp, &packet).is_ok());
    assert_eq!(ours.unprotect(Kind::Rtp, &too_late), Err(Refused::NotAuthentic));
    let back = sealed(&mut ours, 9, 1);
    assert!(far.unprotect(Kind::Rtp, &back).is_ok());
}

#[test]
fn a_key_identifier_in_the_packets_is_tested_and_taken_out() {
    for (suite, pair) in SUITES {
        let key = key(suite, pair);
        let mut far = Srtp::new(&keys(suite, &key, &key));
        let mki = Some(Mki { value: 0x102, bytes: 4 });
        let mut ours = Srtp::new(&SrtpKeys { receive_mki: mki, ..keys(suite, &key, &key) });
        for (kind, plain) in [(Kind::Rtp, RTP), (Kind::Rtcp, RTCP)] {
            let packet = far.protect(kind, &bytes(plain)).unwrap();
            let place = packet.len() - tag_bytes(suite, kind);
            let with = |mki: [u8; 4]| Bytes::from([&packet[..place], &mki, &packet[place..]].concat());
            assert_eq!(ours.unprotect(kind, &with([0, 0, 1, 3])), Err(Refused::NotAuthentic));
            assert!(ours.unprotect(kind, &packet.clone().freeze()).is_err());
            assert_eq!(ours.unprotect(kind, &with([0, 0, 1, 2])), Ok(bytes(plain)));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(datagram in proptest::collection::vec(any::<u8>(), 0..300), suite in 0..4usize, mki in any::<bool>()) {
        let suite = SUITES[suite].0;
        let key = MasterKey::random(suite);
        let receive_mki = mki.then_some(Mki { value: 1, bytes: 9 });
        let mut ours = Srtp::new(&SrtpKeys { receive_mki, ..keys(suite, &key, &key) });
        for first in [datagram.first().copied().unwrap_or_default(), 0x80, 0x81, 0x90, 0xb0] {
            let mut datagram = datagram.clone();
            if let Some(byte) = datagram.first_mut() {
                *byte = first;
            }
            let datagram = Bytes::from(datagram);
            prop_assert!(ours.unprotect(Kind::Rtp, &datagram).is_err());
            prop_assert!(ours.unprotect(Kind::Rtcp, &datagram).is_err());
        }
    }
}
