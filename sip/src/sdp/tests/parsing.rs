//! The parser's leniency and its limits.

use super::*;

const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

/// Reads and prints again; `want` holds the lines after `t=`.
fn check(text: &[u8], want: &str) {
    let printed =
        Session::parse(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)));
    let printed = printed.to_string();
    let rest = printed.split_once("t=0 0\r\n").expect("t= is always written").1;
    assert_eq!(rest, want.replace('|', "\r\n"), "{}", String::from_utf8_lossy(text));
}

fn check_body(lines: &str, want: &str) {
    check(format!("{HEAD}{lines}").as_bytes(), want);
}

#[test]
fn line_ends_may_be_mixed_and_lines_may_be_blank_or_padded() {
    check(
        b"v=0\no=- 1 2 IN IP4 192.0.2.1\rs=-\r\n\r\n\n m=audio 9  RTP/AVP 0 \na=ptime:20\r\n",
        "m=audio 9 RTP/AVP 0|a=rtpmap:0 PCMU/8000|a=ptime:20|",
    );
}

#[test]
fn bytes_that_are_not_utf8_do_not_matter() {
    check(
        b"v=0\r\no=M\xfcller 1 2 IN IP4 192.0.2.1\r\ns=\xe9\r\nm=audio 9 RTP/AVP 0\r\n",
        "m=audio 9 RTP/AVP 0|a=rtpmap:0 PCMU/8000|",
    );
}

#[test]
fn lines_that_nobody_reads_may_be_missing_doubled_or_broken() {
    check(b"v=0", "");
    check(
        b"v=0\r\no=broken\r\nt=now\r\nz=\r\nk=x\r\nr=1\r\nu\r\nhello\r\ns=\r\ns=again\r\nb=AS:many\r\n",
        "",
    );
    check(
        b"v=0\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\nm=audio 9 RTP/AVP 0\r\nb=X-YZ:128\r\nb=:\r\n",
        "m=audio 9 RTP/AVP 0|b=X-YZ:128|a=rtpmap:0 PCMU/8000|",
    );
}

#[test]
fn an_m_line_may_have_lost_its_formats() {
    check_body("m=audio 9 RTP/AVP\r\n", "m=audio 9 RTP/AVP 0|");
    check_body(
        "m=audio 9 UDP/TLS/RTP/SAVPF \nm=video 0 RTP/AVP 96\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0|m=video 0 RTP/AVP 96|",
    );
    assert!(parse(&format!("{HEAD}m=audio 9 RTP/AVP\r\n")).media[0].formats.is_empty());
}

#[test]
fn formats_are_numbers_once_each_and_below_128() {
    check_body(
        "m=audio 9 RTP/AVP 0 0 300 x 128 96\r\na=rtpmap:96 opus/48000\r\na=rtpmap:96 speex/8000\r\na=rtpmap:200 x/1\r\na=fmtp:96 a=1\r\na=fmtp:96 b=2\r\na=fmtp:96\r\n",
        "m=audio 9 RTP/AVP 0 96|a=rtpmap:0 PCMU/8000|a=rtpmap:96 opus/48000/2|a=fmtp:96 a=1;b=2|",
    );
}

#[test]
fn other_kinds_and_profiles_keep_their_words() {
    check_body(
        "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "m=image 4000 udptl t38|a=T38FaxVersion:0|m=application 9 UDP/DTLS/SCTP webrtc-datachannel|",
    );
}

#[test]
fn media_attributes_find_their_fields() {
    let session = parse(&format!(
        "{HEAD}a=sendonly\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 233.252.0.1/127\r\na=ptime:30.0\r\na=maxptime:60\r\na=rtcp:99 IN IP6 2001:db8::1\r\na=rtcp-mux\r\n\
         m=video 10/2 RTP/AVP 34\r\nc=IN IP6 fe80::1%eth0\r\na=RecvOnly\r\na=mid:1\r\n"
    ));
    let [audio, video] = &session.media[..] else { panic!("two lines") };
    assert_eq!(session.direction_of(audio), Direction::SendOnly);
    assert_eq!(session.direction_of(video), Direction::RecvOnly);
    assert_eq!((audio.ptime, audio.max_ptime, audio.rtcp_mux), (Some(30), Some(60), true));
    assert_eq!(audio.rtcp, Some(Rtcp { port: 99, address: Some("2001:db8::1".into()) }));
    assert_eq!(session.connection_of(audio), Some("233.252.0.1"));
    assert_eq!(session.connection_of(video), Some("fe80::1"));
    assert_eq!((video.port, video.attribute("mid")), (10, Some("1")));
}

#[test]
fn limits_are_named() {
    let many = format!("{HEAD}{}", "m=audio 9 RTP/AVP 0\r\n".repeat(MAX_MEDIA + 1));
    assert_eq!(Session::parse(many.as_bytes()), Err(SdpError::TooManyMedia(33)));
    assert_eq!(parse(&many[..many.len() - 21]).media.len(), MAX_MEDIA);
    assert_eq!(Session::parse(&vec![b'a'; MAX_BYTES + 1]), Err(SdpError::TooLong(MAX_BYTES + 1)));
}

#[test]
fn broken_lines_that_matter_are_errors() {
    for text in [
        "",
        "hello",
        "v=1\r\n",
        "o=- 1 1 IN IP4 1.1.1.1\r\nv=0\r\n",
        "v=0\r\nc=IN\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
    ] {
        assert!(matches!(Session::parse(text.as_bytes()), Err(SdpError::Syntax(_))), "{text:?}");
    }
}

#[test]
fn no_value_can_add_a_line_to_what_we_write() {
    let mut session = parse(HEAD);
    session.origin.username = "x\r\nm=audio 1 RTP/AVP 0".into();
    session.attributes.push(Attribute { name: "\n".into(), value: Some("\n".into()) });
    session.connection = Some("10.0.0.1\r\na=evil".into());
    let lines = session.to_string().lines().count();
    assert_eq!(lines, 6, "v o s c t a");
}
