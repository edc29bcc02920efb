//! What an INVITE from outside becomes: what a page is shown, or a refusal. Pure.
use codecs::VideoFormat;
use codecs::video::Passing;
use sip::message::{HeaderName, NameAddr, Request};
use sip::sdp::{MediaKind, Session};

use crate::page::{CallView, InviteHeaders};
use crate::vocabulary::CallId;

/// What a page is shown of an INVITE.
pub fn view_of(invite: &Request, call_id: CallId, callee: &str) -> CallView {
    let from = invite.headers.from().ok();
    let caller = from.as_ref().map(who).unwrap_or_default();
    let name = from.as_ref().and_then(|from| from.display_name()).map(str::to_owned);
    CallView {
        call_id,
        incoming: true,
        visible_name: name.unwrap_or_else(|| caller.clone()),
        caller,
        callee: callee.to_owned(),
        has_audio: true,
        has_video: false,
    }
}

/// What a page is offered for pictures: of ours, those first that the caller has too, for then nothing is transcoded; empty if the INVITE
/// offers no pictures that we can use.
pub fn video_for_page(invite: &Request, ours: &[VideoFormat]) -> Vec<VideoFormat> {
    let offer = Session::parse(&invite.body).unwrap_or_default();
    let live = offer.media.iter().filter(|media| media.kind == MediaKind::Video && media.port != 0);
    let theirs: Vec<VideoFormat> = live
        .flat_map(|media| &media.formats)
        .filter_map(|format| VideoFormat::from_sdp(&format.encoding, format.clock, format.fmtp.as_deref()))
        .collect();
    if theirs.is_empty() {
        return vec![];
    }
    // How far down the caller's list stands one that passes as it is; the list's length: nowhere.
    let place = |ours: &VideoFormat| {
        let passes = |theirs: &VideoFormat| VideoFormat::passing(ours, theirs) == Passing::Whole;
        theirs.iter().position(passes).unwrap_or(theirs.len())
    };
    let mut offered = ours.to_vec();
    offered.sort_by_key(place);
    offered
}

/// Most header fields of an INVITE that a page is shown, and the longest value: what a person's software can use, and no more than
/// some 16 KiB for a stranger to fill.
const MAX_SHOWN: (usize, usize) = (32, 512);

/// The header fields that a page may care for: `X-…`, and who called whom by way of whom. Values of one name stand in one text, by commas
/// (RFC 3261 §7.3.1); an identity that its owner wants hidden is (RFC 3325 §9.3).
pub fn shown_headers(invite: &Request) -> InviteHeaders {
    let privacy = invite.headers.get(&HeaderName::Privacy).unwrap_or_default();
    let hidden = privacy.split(';').any(|word| word.trim().eq_ignore_ascii_case("id"));
    let mut shown = InviteHeaders::new();
    for field in invite.headers.iter() {
        let (name, value) = (field.name(), field.value());
        let fits = value.len() <= MAX_SHOWN.1 && !value.chars().any(char::is_control);
        if !fits || !is_shown(name, hidden) {
            continue;
        }
        match shown.iter().position(|(known, _)| known.eq_ignore_ascii_case(name.as_str())) {
            Some(at) if shown[at].1.len() + value.len() <= MAX_SHOWN.1 => {
                shown[at].1.push_str(", ");
                shown[at].1.push_str(value);
            }
            Some(_) => {}
            None if shown.len() < MAX_SHOWN.0 => shown.push((name.as_str().to_owned(), value.to_owned())),
            None => break,
        }
    }
    shown
}

fn is_shown(name: &HeaderName, identity_hidden: bool) -> bool {
    const TELLING: [&str; 4] = ["History-Info", "Alert-Info", "Call-Info", "User-to-User"];
    match name {
        HeaderName::Reason | HeaderName::Diversion | HeaderName::Subject => true,
        HeaderName::PAssertedIdentity | HeaderName::RemotePartyId => !identity_hidden,
        HeaderName::Other(name) => {
            name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"))
                || TELLING.iter().any(|known| name.eq_ignore_ascii_case(known))
        }
        _ => false,
    }
}

/// User or number behind a From, else the whole URI.
pub(super) fn who(from: &NameAddr) -> String {
    from.uri.user().map_or_else(|| from.uri.to_string(), |user| user.into_owned())
}

#[cfg(test)]
mod tests {
    use sip::message::{Message, parse};

    use super::*;

    fn invite(from: &str, lines: &str) -> Request {
        let text = format!(
            "INVITE sip:c1@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: {from};tag=1\r\nTo: <sip:1001@pbx>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        let Ok(Message::Request(invite)) = parse(text.as_bytes()) else { panic!("{text}") };
        invite
    }

    fn check(from: &str, caller: &str, name: &str) {
        let invite = invite(from, "");
        let view = view_of(&invite, CallId::random(), "1001");
        assert_eq!((view.caller.as_str(), view.visible_name.as_str()), (caller, name));
    }

    #[track_caller]
    fn check_headers(lines: &str, want: &str) {
        let shown = shown_headers(&invite("<sip:a@b>", lines));
        assert_eq!(shown.iter().map(|(name, value)| format!("{name}={value}|")).collect::<String>(), want);
    }

    #[test]
    fn a_page_is_shown_the_headers_that_it_may_care_for() {
        check_headers("", "");
        check_headers(
            "X-Queue: sales\r\nx-QUEUE: vip\r\nSubject: hi\r\nServer: s\r\n",
            "X-Queue=sales, vip|Subject=hi|",
        );
        let who = "P-Asserted-Identity: \"A\" <sip:a@b>\r\nP-Asserted-Identity: <tel:+1>\r\n";
        check_headers(who, "P-Asserted-Identity=\"A\" <sip:a@b>, <tel:+1>|");
        check_headers(&format!("{who}Privacy: header; id\r\nX-A: 1\r\n"), "X-A=1|");
        check_headers(
            "Diversion: <sip:1@b>;reason=busy\r\nHistory-Info: <sip:2@b>;index=1\r\nReason: SIP;cause=302\r\n",
            "Diversion=<sip:1@b>;reason=busy|History-Info=<sip:2@b>;index=1|Reason=SIP;cause=302|",
        );
        check_headers("Authorization: Digest x=y\r\nContact: <sip:a@b>\r\n", "");
    }

    #[test]
    fn a_stranger_cannot_fill_a_page_with_headers() {
        let long = "v".repeat(513);
        check_headers(&format!("X-Long: {long}\r\nX-A: 1\r\n"), "X-A=1|");
        let many: String = (0..200).map(|n| format!("X-{n}: {}\r\n", "v".repeat(200))).collect();
        assert_eq!(shown_headers(&invite("<sip:a@b>", &many)).len(), 32);
        let same: String = (0..200).map(|_| format!("X-A: {}\r\n", "v".repeat(200))).collect();
        let shown = shown_headers(&invite("<sip:a@b>", &same));
        assert!(shown.len() == 1 && shown[0].1.len() <= 520, "{}", shown[0].1.len());
    }

    #[test]
    fn a_page_is_offered_the_callers_pictures_first_and_none_where_there_are_none() {
        let h264 = |text| VideoFormat::from_sdp("H264", 90_000, Some(text)).unwrap();
        let (mode_1, mode_0) = ("packetization-mode=1;profile-level-id=42e01f", "profile-level-id=42e01f");
        let ours = [h264(mode_1), h264(mode_0), VideoFormat::Vp8];
        let check = |sdp: &str, wanted: &[VideoFormat]| {
            let invite = invite("<sip:a@b>", &format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len()));
            assert_eq!(video_for_page(&invite, &ours), wanted, "{sdp}");
        };
        let sdp = |video: &str| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n{video}"
            )
        };
        check(&sdp(""), &[]);
        check("", &[]);
        check(&sdp("m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"), &[]);
        check(&sdp("m=video 6 RTP/AVP 34\r\na=rtpmap:34 H263/90000\r\n"), &[]);
        let vp8 = "m=video 6 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
        check(&sdp(vp8), &[ours[2], ours[0], ours[1]]);
        let simple = format!("m=video 6 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 {mode_0}\r\n");
        check(&sdp(&simple), &[ours[1], ours[0], ours[2]]);
    }

    #[test]
    fn a_page_is_shown_who_calls() {
        check("\"Alice <b>\" <sip:1002@pbx>", "1002", "Alice <b>");
        check("<sip:1002@pbx>", "1002", "1002");
        check("<sip:pbx.example.org>", "sip:pbx.example.org", "sip:pbx.example.org");
    }
}
