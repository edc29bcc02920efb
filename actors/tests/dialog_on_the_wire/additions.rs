//! What a page adds to our SIP, and how much room there is for it.
use actors::vocabulary::{Additions, PageHeader};
use sip::sdp::{ExtraLine, SrtpPolicy};

use codecs::VideoFormat;
use codecs::video::H264Format;

use super::*;

fn lines() -> Additions {
    let lines = ["b=AS:3000", "b=TIAS:2500000", "a=x-note:1"].map(|line| ExtraLine::new(line).unwrap());
    let headers = [("X-Tenant", "blue"), ("X-Trace", "1;a=\"b\"")];
    let headers = headers.map(|(name, value)| PageHeader::new(name, value).unwrap());
    Additions { lines: lines.to_vec(), headers: headers.to_vec(), ..Additions::default() }
}

#[track_caller]
fn has_lines(body: &[u8]) {
    let sdp = String::from_utf8(body.to_vec()).unwrap();
    let wanted = "c=IN IP4 127.0.0.1\r\nb=AS:3000\r\nb=TIAS:2500000\r\na=x-note:1\r\nt=0 0\r\n";
    assert!(sdp.contains(wanted), "{sdp}");
}

#[track_caller]
fn has_headers(headers: &Headers) {
    let value = |name: &str| headers.get(&name.parse().unwrap()).map(str::to_owned);
    assert_eq!(value("X-Tenant").as_deref(), Some("blue"));
    assert_eq!(value("X-Trace").as_deref(), Some("1;a=\"b\""));
}

#[actix::test]
async fn a_pages_headers_stand_in_the_invite_and_in_its_next_try() {
    let scene = Scene::new().await;
    let account = Account {
        login: "1001".into(),
        auth_name: "1001".into(),
        password: Secret::new("pw"),
        domain: "127.0.0.1".into(),
        outbound_proxy: None,
        port: None,
        register: false,
    };
    let (_dialog, invite) = scene.calls_with(Some(account), lines(), vec![CodecId::Pcmu]).await;
    has_headers(&invite.headers);
    let mut refused = scene.response(&invite, StatusCode::UNAUTHORIZED, "pbx");
    let challenge = "Digest realm=\"pbx\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    refused.headers.push_text(HeaderName::WwwAuthenticate, challenge).unwrap();
    scene.phone.send(&refused.to_bytes()).await;
    let again = scene.hears(Method::Invite).await;
    has_headers(&again.headers);
    assert_eq!(again.headers.all(&"X-Tenant".parse().unwrap()).count(), 1);
}

#[actix::test]
async fn a_pages_lines_stand_in_every_description_of_a_call_of_ours() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.calls_with(None, lines(), vec![CodecId::Pcmu]).await;
    has_lines(&invite.body);
    scene.answers(&invite, StatusCode::OK, "phone").await;
    scene.hears(Method::Ack).await;
    scene.says(LegEvent::Answered).await;
    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    has_lines(&hold.body);
    scene.answers(&hold, StatusCode::OK, "phone").await;
    scene.says(LegEvent::Held).await;
    scene.inside(&invite, Method::Invite, "phone", 1, SDP).await;
    has_lines(&scene.accepted(Method::Invite).await.body);
}

#[actix::test]
async fn the_lines_of_a_page_that_answers_stand_in_the_200_and_after_it() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.called("").await;
    dialog.do_send(LegCommand::Add(lines()));
    dialog.do_send(LegCommand::Answer);
    let accepted = scene.accepted(Method::Invite).await;
    has_lines(&accepted.body);
    has_headers(&accepted.headers);
    scene.acknowledges(&invite, &accepted).await;
    dialog.do_send(LegCommand::Hold);
    has_lines(&scene.hears(Method::Invite).await.body);
}

/// The bytes of the INVITE that a call with the usual codecs begins with: the first one, and the one with credentials.
async fn invite_sizes(srtp: SrtpPolicy, video: &[VideoFormat]) -> [usize; 2] {
    let mut scene = Scene::with(SipSettings { srtp, ..settings() }).await;
    scene.video = video.to_vec();
    let account = Account {
        login: "1001".into(),
        auth_name: "1001".into(),
        password: Secret::new("pw"),
        domain: "pbx.example.org".into(),
        outbound_proxy: None,
        port: None,
        register: false,
    };
    let codecs = ["opus", "alaw", "ulaw", "g729", "speex16", "g722"]; // as config/tandem.toml
    let codecs = codecs.map(|name| CodecId::from_setting(name).unwrap()).to_vec();
    let (_dialog, invite) = scene.calls_with(Some(account), Additions::default(), codecs).await;
    let challenge = "Digest realm=\"pbx.example.org\", nonce=\"5f2b9c3f0a7d4e1b8c6a5d4e3f2b1a09\", algorithm=MD5, qop=\"auth\"";
    let mut refused = scene.response(&invite, StatusCode::UNAUTHORIZED, "pbx");
    refused.headers.push_text(HeaderName::WwwAuthenticate, challenge).unwrap();
    scene.phone.send(&refused.to_bytes()).await;
    let again = scene.hears(Method::Invite).await;
    assert!(again.headers.has(&HeaderName::Authorization));
    [invite.to_bytes().len(), again.to_bytes().len()]
}

#[actix::test]
async fn rq20_the_invite_fits_a_datagram() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required] {
        let [first, again] = invite_sizes(srtp, &[]).await;
        println!("INVITE with SRTP {srtp:?}: {first} bytes, with credentials {again}");
        assert!(first <= 1200, "{srtp:?}: {first} bytes");
        // More than 1,300 goes by TCP where the PBX has it (RFC 3261 §18.1.1): keys want TLS anyway. By UDP it must still pass Ethernet whole.
        let most = if srtp == SrtpPolicy::Off { 1300 } else { 1400 };
        assert!(again <= most, "{srtp:?}: {again} bytes");
    }
}

/// Sound, and pictures in the formats that browsers and phones have: of H.264 the first in each packetization-mode.
#[actix::test]
async fn rq20_the_invite_with_video_fits_a_datagram() {
    let h264 = |fmtp| VideoFormat::from_sdp("H264", 90_000, Some(fmtp)).unwrap();
    let formats = [
        VideoFormat::H264(H264Format::BROWSER),
        h264("level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
        h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640028"),
        VideoFormat::Vp8,
    ];
    let [first, again] = invite_sizes(SrtpPolicy::Off, &formats).await;
    println!("INVITE with video: {first} bytes, with credentials {again}");
    assert!(first <= 1200, "{first} bytes");
    assert!(again <= 1450, "{again} bytes"); // Ethernet, whole
}
