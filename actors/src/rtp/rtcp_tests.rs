//! RTCP, byte by byte.

use super::*;
use proptest::prelude::*;

const INFO: SenderInfo =
    SenderInfo { ntp: 0x1234_5678_9abc_def0, rtp_timestamp: 160, packets: 2, octets: 320 };
const BLOCK: ReportBlock = ReportBlock {
    ssrc: 2,
    fraction_lost: 25,
    lost: -3,
    highest_sequence: 70_000,
    jitter: 12,
    last_sr: 0x5678_9abc,
    delay_since_last_sr: 65_536,
};

fn report(sender: Option<SenderInfo>, block: Option<ReportBlock>, bye: bool) -> Report<'static> {
    Report { ssrc: 1, cname: "q8Fz3", sender, block, bye }
}

#[test]
fn a_report_reads_as_it_was_built() {
    let blocks = vec![BLOCK];
    let check = |report: Report<'_>, expected: &[Rtcp]| assert_eq!(parse(&report.build()).unwrap(), expected);
    let sent = Rtcp::SenderReport { ssrc: 1, info: INFO, blocks: blocks.clone() };
    check(report(Some(INFO), Some(BLOCK), false), std::slice::from_ref(&sent));
    check(report(Some(INFO), Some(BLOCK), true), &[sent, Rtcp::Bye { sources: vec![1] }]);
    check(report(None, Some(BLOCK), false), &[Rtcp::ReceiverReport { ssrc: 1, blocks }]);
    check(report(None, None, false), &[Rtcp::ReceiverReport { ssrc: 1, blocks: vec![] }]);
}

#[test]
fn a_compound_starts_with_a_report_and_names_its_source() {
    let bytes = report(None, None, false).build();
    assert_eq!(bytes[..8], [0x80, 201, 0, 1, 0, 0, 0, 1]);
    assert_eq!(bytes[8..], *b"\x81\xca\x00\x03\x00\x00\x00\x01\x01\x05q8Fz3\x00");
    let long = "ж".repeat(200);
    let bytes = Report { ssrc: 1, cname: &long, sender: None, block: None, bye: false }.build();
    assert_eq!(bytes[17], 254, "cut to what one length byte can say, between characters");
}

#[test]
fn key_frame_wishes_read_as_they_were_built() {
    assert_eq!(parse(&picture_loss(1, 2)), Ok(vec![Rtcp::PictureLoss { media_ssrc: 2 }]));
    assert_eq!(parse(&full_intra(1, 2, 7)), Ok(vec![Rtcp::FullIntra { wishes: vec![(2, 7)] }]));
}

#[test]
fn short_and_foreign_datagrams_are_refused_and_cut_ones_read_as_far_as_they_go() {
    let check = |bytes: &[u8], expected: Result<usize, RtcpError>| {
        let read = parse(&Bytes::copy_from_slice(bytes)).map(|packets| packets.len());
        assert_eq!(read, expected, "{bytes:02x?}");
    };
    check(&[], Ok(0));
    check(&[0x80, 201, 0], Err(RtcpError::Short(3)));
    check(&[0x80, 201, 0, 9], Err(RtcpError::Short(4)));
    check(&[0x00, 201, 0, 0], Err(RtcpError::Version(0)));
    check(&[0x80, 201, 0, 0], Ok(0)); // a header with nothing in it
    check(&[0x9f, 201, 0, 1, 0, 0, 0, 1], Ok(0)); // 31 blocks promised
    check(&[0x80, 207, 0, 1, 0, 0, 0, 1], Ok(0)); // XR: not ours
    let whole = report(Some(INFO), None, true).build();
    check(&whole[..whole.len() - 1], Ok(1)); // the BYE is cut
    check(&picture_loss(1, 2).repeat(100), Ok(MAX_PACKETS));
}

#[test]
fn the_round_trip_is_now_minus_lsr_minus_dlsr() {
    let check = |ntp_now: u64, block: ReportBlock, expected: Option<u64>| {
        assert_eq!(block.round_trip(ntp_now), expected.map(Duration::from_millis));
    };
    let at = |middle: u64| middle << 16;
    check(at(0x5678_9abc + 65_536 + 32_768), BLOCK, Some(500));
    check(at(0x5678_9abc), BLOCK, None); // the reporter's clock runs ahead
    check(at(5), ReportBlock { last_sr: 0, ..BLOCK }, None);
}

#[test]
fn the_wall_clock_runs_on_from_where_it_was_fixed() {
    let now = Instant::now();
    let clock = NtpClock::new(now, UNIX_EPOCH + Duration::from_millis(500));
    assert_eq!(clock.at(now), (NTP_TO_UNIX << 32) + (1 << 31));
    assert_eq!(clock.at(now + Duration::from_secs(2)) - clock.at(now), 2 << 32);
}

#[test]
fn reports_go_out_about_every_five_seconds_and_never_in_step() {
    assert!((2.0..2.1).contains(&interval(0.0).as_secs_f64()));
    assert!((4.0..4.2).contains(&interval(0.5).as_secs_f64()));
    assert!((6.1..6.2).contains(&interval(1.0).as_secs_f64()));
}

proptest! {
    #[test]
    fn any_bytes_read_or_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 198u8..210, words in 0u8..30) {
        let _ = parse(&Bytes::copy_from_slice(&bytes));
        if let [first, second, high, low, ..] = bytes.as_mut_slice() {
            (*first, *second, *high, *low) = (0x80 | (*first & 0x3f), kind, 0, words);
        }
        let _ = parse(&Bytes::from(bytes));
    }

    #[test]
    fn a_report_with_a_changed_byte_reads_or_is_refused(place in 0usize..60, value in any::<u8>()) {
        let mut bytes = report(Some(INFO), Some(BLOCK), true).build().to_vec();
        let place = place % bytes.len();
        bytes[place] = value;
        let _ = parse(&Bytes::from(bytes));
    }
}
