//! What an INVITE of ours offers, out of the settings and the page's own offer. Pure.
use codecs::{Browsers, VideoFormat};

use crate::browser::sdp::Description;
use crate::vocabulary::{CodecId, MediaSettings};

/// Media as our INVITE offers them.
#[derive(Debug, PartialEq, Eq)]
pub struct Offered {
    /// By preference; empty: nothing that both the settings and the page allow.
    pub codecs: Vec<CodecId>,
    /// Whether telephone-events are offered.
    pub telephone_events: bool,
    /// Pictures, by preference; empty: the page has none.
    pub video: Vec<VideoFormat>,
}

/// Of the settings' codecs those that the page allows. Every browser has Opus, G.711 and telephone-event (RFC 7874 §3): a page's offer
/// without one had it taken out (`stripCodecs`), and so have we. What browsers need not have is up to `allow_outside_codecs`; so is G.711 for
/// a client that has neither law: nearly every phone has nothing else, and a transcoded call is better than none.
///
/// A page's SDP that cannot be read takes nothing away: its browser leg says what is wrong.
pub fn offered(media: &MediaSettings, page: &str) -> Offered {
    let (mut codecs, mut telephone_events) = (media.audio_codecs.clone(), media.telephone_events);
    let mut video = vec![];
    if let Ok(page) = Description::parse(page) {
        let theirs: Vec<CodecId> = page.audio_codecs().iter().map(|numbered| numbered.codec).collect();
        let g711 = theirs.iter().any(|codec| is_g711(*codec));
        codecs.retain(|codec| {
            let stripped = codec.spec().browsers == Browsers::All && (g711 || !is_g711(*codec));
            theirs.contains(codec) || !stripped && media.allow_outside_codecs
        });
        telephone_events &= page.has_telephone_events();
        if page.has_video() {
            video.clone_from(&media.video.sip);
        }
    }
    Offered { codecs, telephone_events, video }
}

fn is_g711(codec: CodecId) -> bool {
    matches!(codec, CodecId::Pcma | CodecId::Pcmu)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use CodecId::{G722, Opus, Pcma, Pcmu};

    use super::*;
    use crate::vocabulary::AnswerTiming;

    const OFFER: &str = include_str!("../../tests/sdp/offer-audio.sdp");

    fn media(codecs: &[CodecId], events: bool) -> MediaSettings {
        MediaSettings {
            lanes: 1,
            webrtc_port: 0,
            webrtc_addresses: vec![],
            rtp_ports: (0, 1),
            port_rest: Duration::ZERO,
            advertised_address: None,
            audio_codecs: codecs.to_vec(),
            page_codecs: vec![],
            telephone_events: events,
            allow_outside_codecs: true,
            answer_audio: AnswerTiming::AtOnce,
            video: Default::default(),
            hold_music: None,
            ring_back: None,
            encoding: Default::default(),
        }
    }

    #[track_caller]
    fn check(codecs: &[CodecId], events: bool, page: &str, want: (&[CodecId], bool)) {
        let media = media(codecs, events);
        let (codecs, telephone_events) = (want.0.to_vec(), want.1);
        assert_eq!(offered(&media, page), Offered { codecs, telephone_events, video: vec![] });
    }

    /// The page's offer without the formats of these names.
    fn without(names: &str) -> String {
        let gone: Vec<&str> = OFFER
            .lines()
            .filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '))
            .filter(|(_, codec)| names.split(',').any(|name| codec.to_ascii_lowercase().contains(name)))
            .map(|(number, _)| number)
            .collect();
        assert!(!gone.is_empty(), "{names} stands in the offer");
        let mut text = String::new();
        for line in OFFER.lines() {
            let about = |prefix: &str| {
                let number = line.strip_prefix(prefix).and_then(|rest| rest.split(' ').next());
                number.is_some_and(|number| gone.contains(&number))
            };
            if about("a=rtpmap:") || about("a=fmtp:") || about("a=rtcp-fb:") {
                continue;
            }
            // Behind kind, port and profile stand the formats.
            let keeps = |at: usize, word: &str| !line.starts_with("m=") || at < 3 || !gone.contains(&word);
            let words = line.split(' ').enumerate().filter(|(at, word)| keeps(*at, word));
            text += &(words.map(|(_, word)| word).collect::<Vec<_>>().join(" ") + "\r\n");
        }
        text
    }

    #[test]
    fn codecs_go_out_in_the_order_of_the_settings() {
        check(&[Opus, Pcma, Pcmu], true, OFFER, (&[Opus, Pcma, Pcmu], true));
        check(&[Pcmu, Opus], true, OFFER, (&[Pcmu, Opus], true));
        check(&[Pcma], false, OFFER, (&[Pcma], false));
    }

    #[test]
    fn what_the_page_has_stripped_is_not_offered() {
        check(&[Opus, Pcma, Pcmu], true, &without("opus"), (&[Pcma, Pcmu], true));
        check(&[Opus, Pcma, Pcmu], true, &without("pcma"), (&[Opus, Pcmu], true));
        check(&[Opus, Pcma], true, &without("telephone-event"), (&[Opus, Pcma], false));
        check(&[Opus], true, &without("opus"), (&[], true));
    }

    #[test]
    fn a_client_without_any_g711_is_transcoded_to_it() {
        check(&[Opus, Pcma, Pcmu], true, &without("pcma,pcmu"), (&[Opus, Pcma, Pcmu], true));
    }

    #[test]
    fn allow_outside_codecs_says_whether_sip_is_offered_what_the_page_has_not() {
        for (allowed, page, want) in [
            (true, without("g722"), vec![G722, Opus]),
            (false, without("g722"), vec![Opus]),
            (false, OFFER.to_owned(), vec![G722, Opus]),
            (true, without("opus"), vec![G722]),
        ] {
            let media = MediaSettings { allow_outside_codecs: allowed, ..media(&[G722, Opus], true) };
            assert_eq!(offered(&media, &page).codecs, want, "{allowed}");
        }
    }

    #[test]
    fn an_offer_that_cannot_be_read_takes_nothing_away() {
        check(&[Opus, Pcma], true, "hello", (&[Opus, Pcma], true));
    }
}
