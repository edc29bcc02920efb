//! Pictures in SDP: what we offer and take, and what an agreed stream is to the call.
use codecs::VideoFormat;
use codecs::video::VideoCodec;
use codecs::video::format::VIDEO_CLOCK;
use sip::sdp::{Direction, Feedback, Format, LocalVideo, Stream};

use crate::vocabulary::VideoLine;

/// What we have for pictures, as our SDP has it.
pub fn local_video(formats: &[VideoFormat], port: u16) -> LocalVideo {
    let named = |(number, format): (u8, &VideoFormat)| {
        let row = Format::new(number, format.codec().name(), VIDEO_CLOCK, 1);
        Format { fmtp: format.fmtp(), ..row }
    };
    LocalVideo {
        rtp_port: port,
        rtcp_port: port + 1,
        formats: (FIRST_NUMBER..=127).zip(formats).map(named).collect(),
        offered,
        feedback: Feedback { pli: true, fir: true, nack: true, tmmbr: true },
        limit: None,
        direction: Direction::SendRecv,
        meet,
    }
}

/// Away from the numbers of our sound: some phones keep one table for all lines.
const FIRST_NUMBER: u8 = 120;

/// One of each codec, and of H.264 one of each packetization-mode: many phones know mode 0 alone, and an answer may not name what was not offered
/// (RFC 6184 §8.2.2). Mode 0 needs no word. Nor do we offer levels of our own: to be sent more than they take is all that phones would lose by it.
fn offered(formats: &[Format]) -> Vec<Format> {
    let mut offered: Vec<(VideoCodec, u8)> = vec![];
    let in_few_words = |format: &Format| {
        let video = video_of(format)?;
        let (mode, fmtp) = match video {
            VideoFormat::H264(h264) => (h264.packetization_mode, Some(h264.in_few_words())),
            VideoFormat::Vp8 => (0, None),
        };
        let new = !offered.contains(&(video.codec(), mode));
        offered.push((video.codec(), mode));
        new.then(|| Format { fmtp, ..format.clone() })
    };
    formats.iter().filter_map(in_few_words).collect()
}

/// Theirs of H.264 will do if it is of our profile or a smaller one, and we take its packets (RFC 6184 §8.2.2); what does not pass to the other leg is
/// encoded anew. We answer with their profile, to the byte, for some compare it so; with their mode; and with our level, but without both sides'
/// leave with the lower one.
fn meet(ours: &Format, theirs: &Format) -> Option<Format> {
    match (video_of(ours)?, video_of(theirs)?) {
        (VideoFormat::H264(own), VideoFormat::H264(theirs)) => {
            let (mine, other) = (own.profile_level, theirs.profile_level);
            let taken = other.at_level_of(&mine).is_taken_by(&mine)
                && theirs.packetization_mode <= own.packetization_mode;
            taken.then(|| Format { fmtp: Some(theirs.sent_to(&own).to_string()), ..ours.clone() })
        }
        (VideoFormat::Vp8, VideoFormat::Vp8) => Some(ours.clone()),
        _ => None,
    }
}

/// A format of SDP, if its codec is one of ours.
pub fn video_of(format: &Format) -> Option<VideoFormat> {
    VideoFormat::from_sdp(&format.encoding, format.clock, format.fmtp.as_deref())
}

/// What a stream is to the call.
pub(super) fn line(stream: &Stream) -> Option<VideoLine> {
    let (theirs, ours) = (video_of(&stream.send)?, video_of(stream.receive.first()?)?);
    let sends = match (theirs, ours) {
        (VideoFormat::H264(theirs), VideoFormat::H264(ours)) => VideoFormat::H264(theirs.sent_to(&ours)),
        (theirs, _) => theirs,
    };
    Some(VideoLine { takes: theirs, sends, direction: stream.direction, limit: stream.limit })
}

#[cfg(test)]
mod tests {
    use codecs::video::{H264Format, Passing, ProfileLevel};
    use sip::sdp::{LocalMedia, OfferAnswer, Session};

    use super::*;

    /// How pictures of a page with H.264 as browsers have it pass to a phone with this format alone, and back.
    fn ways(phone: &str, page_calls: bool) -> Option<(Passing, Passing)> {
        let h264 = |mode, profile: &str| {
            let profile_level = ProfileLevel::parse(profile).unwrap();
            VideoFormat::H264(H264Format { profile_level, packetization_mode: mode, level_asymmetry: true })
        };
        // As config/tandem.toml.
        let formats = [h264(1, "42e01f"), h264(1, "640028"), h264(0, "42e01f"), VideoFormat::Vp8];
        let sound = vec![Format::new(0, "PCMU", 8000, 1)];
        let local = LocalMedia::audio([127, 0, 0, 1].into(), 4000, sound);
        let local = LocalMedia { video: Some(local_video(&formats, 4002)), ..local };
        let theirs = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n\
             m=video 5002 RTP/AVP 120\r\na=rtpmap:120 H264/90000\r\na=fmtp:120 {phone}\r\n"
        );
        let theirs = Session::parse(theirs.as_bytes()).unwrap();
        let mut ours = OfferAnswer::new(1);
        let agreed = if page_calls {
            ours.make_offer(&local).unwrap();
            ours.receive_answer(&theirs).unwrap()
        } else {
            ours.receive_offer(theirs).unwrap();
            ours.answer(&local).unwrap().1
        };
        let (phone, page) = (line(&agreed.video?)?, VideoFormat::H264(H264Format::BROWSER));
        Some((VideoFormat::passing(&page, &phone.takes), VideoFormat::passing(&phone.sends, &page)))
    }

    #[test]
    fn rq17_h264_passes_where_it_can_and_is_transcoded_else_whatever_its_words() {
        let small = ["42e01f", "42E01F", "42001f", "42801F", "42801f"].map(|id| (id, Passing::Whole));
        // The page takes no more than constrained baseline.
        let large = ["4d001f", "4D001F", "640028"].map(|id| (id, Passing::Transcode));
        for (id, back) in small.into_iter().chain(large) {
            for (mode, there) in [
                ("", Passing::Repacketise),
                (";packetization-mode=0", Passing::Repacketise),
                (";packetization-mode=1", Passing::Whole),
            ] {
                for page_calls in [true, false] {
                    let phone = format!("profile-level-id={id}{mode}");
                    assert_eq!(ways(&phone, page_calls), Some((there, back)), "{phone}, {page_calls}");
                }
            }
        }
        assert_eq!(ways("profile-level-id=f4001f", true), None, "nobody here could decode it");
    }

    #[test]
    fn an_offer_has_one_format_of_each_codec_and_mode_in_few_words() {
        let h264 = |mode, id: &str| {
            let fmtp = format!("level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={id}");
            VideoFormat::from_sdp("H264", VIDEO_CLOCK, Some(&fmtp)).unwrap()
        };
        let check = |formats: &[VideoFormat], want: &[&str]| {
            let local = local_video(formats, 4000);
            let rows = (local.offered)(&local.formats).into_iter();
            let rows =
                rows.map(|format| format!("{} {}", format.payload_type, format.fmtp.unwrap_or_default()));
            assert_eq!(rows.collect::<Vec<_>>(), want);
        };
        let (one, single) = ("packetization-mode=1;profile-level-id=", "profile-level-id=");
        check(
            &[h264(1, "640028"), h264(1, "42e01f"), h264(0, "42e01f"), VideoFormat::Vp8],
            &[&format!("120 {one}640028"), &format!("122 {single}42e01f"), "123 "],
        );
        check(&[VideoFormat::Vp8, h264(1, "42e01f")], &["120 ", &format!("121 {one}42e01f")]);
        check(
            &[h264(0, "42e01f"), VideoFormat::Vp8, VideoFormat::Vp8],
            &[&format!("120 {single}42e01f"), "121 "],
        );
    }

    #[test]
    fn h264_of_one_profile_meets_whatever_its_bytes_and_levels() {
        let h264 =
            |fmtp: &str| Format { fmtp: Some(fmtp.to_owned()), ..Format::new(99, "H264", VIDEO_CLOCK, 1) };
        let ours = h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
        let check = |theirs: &str, answer: Option<&str>| {
            let met = meet(&ours, &h264(theirs)).and_then(|format| format.fmtp);
            assert_eq!(met.as_deref(), answer, "{theirs}");
        };
        check(
            "profile-level-id=42E01F;packetization-mode=1;level-asymmetry-allowed=1",
            Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        );
        check("profile-level-id=42801F", Some("packetization-mode=0;profile-level-id=42801f"));
        check(
            "profile-level-id=42e00c;packetization-mode=1",
            Some("packetization-mode=1;profile-level-id=42e00c"),
        );
        check(
            "profile-level-id=42e028;packetization-mode=1",
            Some("packetization-mode=1;profile-level-id=42e01f"),
        );
        check("profile-level-id=640028;packetization-mode=1", None);
        check("profile-level-id=4d001f", None);
        check("packetization-mode=2;profile-level-id=42e01f", None);
        let single = h264("profile-level-id=42e01f");
        assert_eq!(meet(&single, &ours), None, "we said that we take single units alone");
        let vp8 = Format::new(100, "VP8", VIDEO_CLOCK, 1);
        assert!(meet(&vp8, &vp8).is_some() && meet(&vp8, &ours).is_none());
    }
}
