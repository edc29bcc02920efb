//! Descriptions as the usual peers shape them.

use super::{OfferAnswer, local, parse, show};

/// The peer offers; what do we agree?
fn check(offer: &str, want: &str) {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(parse(offer)).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!(show(&agreed), want);
    assert_eq!(answer.media.len(), parse(offer).media.len());
    assert_eq!(parse(&answer.to_string()), answer, "what we write we read");
}

#[test]
fn asterisk_with_maxptime_and_events() {
    check(
        "v=0\r\no=- 1733230000 1733230000 IN IP4 192.0.2.10\r\ns=Asterisk\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 14772 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:140\r\na=sendrecv\r\n",
        "8 PCMA/8000 to 192.0.2.10:14772 rtcp 192.0.2.10:14773 sendrecv",
    );
}

#[test]
fn freeswitch_with_user_name_rtcp_line_and_secure_twin() {
    check(
        "v=0\no=FreeSWITCH 1733200000 1733200001 IN IP4 192.0.2.11\ns=FreeSWITCH\nc=IN IP4 192.0.2.11\nt=0 0\n\
         m=audio 26514 RTP/SAVP 102 0 8 103\na=rtpmap:102 opus/48000/2\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\n\
         m=audio 26514 RTP/AVP 102 9 0 8 103 101\na=rtpmap:102 opus/48000/2\na=fmtp:102 useinbandfec=1; maxaveragebitrate=30000\n\
         a=rtpmap:103 telephone-event/48000\na=fmtp:103 0-16\na=rtpmap:101 telephone-event/8000\na=rtcp:26600 IN IP4 192.0.2.12\na=ptime:20\n",
        "102 opus/48000/2 to 192.0.2.11:26514 rtcp 192.0.2.12:26600 sendrecv",
    );
}

#[test]
fn kamailio_with_rtpengine_and_its_leftovers() {
    check(
        "v=0\r\no=alice 3733200000 3733200001 IN IP4 192.0.2.20\r\ns=Talk\r\nc=IN IP4 192.0.2.20\r\nb=AS:380\r\nt=0 0\r\n\
         a=rtcp-xr:rcvr-rtt=all:10000\r\nm=audio 30044 RTP/AVP 96 97 98 0 8 18 101 99 100\r\na=rtpmap:96 opus/48000/2\r\n\
         a=fmtp:96 useinbandfec=1\r\na=rtpmap:97 speex/16000\r\na=fmtp:97 vbr=on\r\na=rtpmap:98 speex/8000\r\na=rtpmap:101 telephone-event/48000\r\n\
         a=rtpmap:99 telephone-event/16000\r\na=rtpmap:100 telephone-event/8000\r\na=sendrecv\r\na=rtcp:30045\r\n\
         m=video 30064 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:* nack pli\r\n",
        "96 opus/48000/2 to 192.0.2.20:30044 rtcp 192.0.2.20:30045 sendrecv",
    );
}

#[test]
fn cisco_like_with_static_numbers_and_media_level_connection() {
    check(
        "v=0\r\no=CiscoSystemsCCM-SIP 123456789012345678901234 1 IN IP4 10.1.1.1\r\ns=SIP Call\r\nb=AS:64\r\nt=0 0\r\n\
         m=audio 24580 RTP/AVP 18 0 8 101\r\nc=IN IP4 10.1.1.2\r\nb=TIAS:64000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\nm=application 0 UDP/BFCP *\r\n",
        "8 PCMA/8000 to 10.1.1.2:24580 rtcp 10.1.1.2:24581 sendrecv",
    );
}

#[test]
fn baresip_with_mux_label_and_ipv6() {
    check(
        "v=0\r\no=- 1388580480 4231 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\nt=0 0\r\na=tool:baresip 1.0.0\r\n\
         m=audio 17054 RTP/AVPF 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=rtcp:17055\r\na=sendrecv\r\na=label:1\r\na=rtcp-rsize\r\na=ssrc:1 cname:sip:x@y\r\na=ptime:20\r\n",
        "8 PCMA/8000 to [2001:db8::9]:17054 rtcp [2001:db8::9]:17055 sendrecv",
    );
}

#[test]
fn linphone_with_avpf_feedback_and_no_session_extras() {
    check(
        "v=0\r\no=bob 2890 3891 IN IP4 192.0.2.30\r\ns=Talk\r\nc=IN IP4 192.0.2.30\r\nb=AS:380\r\nt=0 0\r\n\
         a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\na=record:off\r\n\
         m=audio 7078 RTP/AVPF 96 0 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/48000\r\n\
         a=rtcp-fb:* trr-int 5000\r\na=rtcp-fb:* ccm tmmbr\r\n",
        "96 opus/48000/2 to 192.0.2.30:7078 rtcp 192.0.2.30:7079 sendrecv",
    );
}

#[test]
fn an_old_gateway_with_lf_blanks_and_half_the_lines_missing() {
    check(
        "v=0\n\no=gw 1 1 IN IP4 192.0.2.40  \nc=IN IP4 192.0.2.40 \nm=audio 5004   RTP/AVP  0 \na=sendrecv \n\n",
        "0 PCMU/8000 to 192.0.2.40:5004 rtcp 192.0.2.40:5005 sendrecv",
    );
}
