//! The video line of offers and answers. Unlike the audio line it may come to nothing without an error: then there are no pictures.

use super::crypto::OwnKeys;
use super::negotiate::{Common, Remote, keys, security, stream};
use super::offer_answer::answered_line;
use super::{Crypto, Direction, Feedback, Format, LocalMedia, Media, MediaKind, Rtcp, Session, Stream};

/// Our half for pictures.
#[derive(Debug, Clone)]
pub struct LocalVideo {
    /// Our RTP port.
    pub rtp_port: u16,
    /// Our RTCP port; written as `a=rtcp` unless it is the RTP port + 1.
    pub rtcp_port: u16,
    /// Formats in our order, with the payload types and parameters of our offers. Unlike those of sound they may be of one codec and differ in
    /// parameters alone; theirs may name any.
    pub formats: Vec<Format>,
    /// Which of them an offer has, and in which words: all would make an INVITE too long for a datagram.
    pub offered: fn(&[Format]) -> Vec<Format>,
    /// What RTCP feedback we understand.
    pub feedback: Feedback,
    /// Bits per second that we take at most; `None` writes none.
    pub limit: Option<u32>,
    /// Which ways pictures shall flow while nobody holds.
    pub direction: Direction,
    /// Given one of our formats and one of theirs with the same encoding and clock: what we answer if we can do with theirs, its
    /// number apart. What parameters mean is the codec's business (RFC 6184 §8.2.2), so it is for the caller to say.
    pub meet: fn(ours: &Format, theirs: &Format) -> Option<Format>,
}

impl LocalVideo {
    fn meets(&self, ours: &Format, theirs: &Format) -> Option<Format> {
        if ours.same_codec(theirs) { (self.meet)(ours, theirs) } else { None }
    }

    /// What we would answer to these formats, and theirs beside it: our first that meets any of theirs, and best one that it meets too.
    fn choose(&self, theirs: &[Format]) -> Option<(Format, Format)> {
        let pairs = || self.formats.iter().flat_map(|ours| theirs.iter().map(move |theirs| (ours, theirs)));
        let met = |(ours, theirs): (&Format, &Format)| {
            let met = self.meets(ours, theirs)?;
            Some((met.numbered(theirs.payload_type), theirs.clone()))
        };
        let mutual = pairs().filter(|(ours, theirs)| self.meets(theirs, ours).is_some()).find_map(met);
        mutual.or_else(|| pairs().find_map(met))
    }
}

/// Our line with the formats of an offer; `None` if we have no pictures.
pub(super) fn line(local: &LocalMedia, protocol: &str, direction: Direction) -> Option<Media> {
    let video = local.video.as_ref()?;
    let mut media = Media::new(MediaKind::Video, video.rtp_port, protocol);
    media.formats = (video.offered)(&video.formats);
    media.bandwidth = video.limit.iter().map(|bits| format!("AS:{}", bits.div_ceil(1000))).collect();
    media.rtcp = (video.rtp_port.checked_add(1) != Some(video.rtcp_port))
        .then_some(Rtcp { port: video.rtcp_port, address: None });
    media.rtcp_mux = local.rtcp_mux;
    media.direction = Some(direction);
    media.attributes = video.feedback.in_few_words().lines();
    Some(media)
}

/// Our answer to the first video line of an offer that will do, one in use before others; it has one format, so that both sides know what
/// will be sent.
pub(super) fn answer(
    offer: &Session,
    local: &LocalMedia,
    wish: Direction,
    in_use: Option<usize>,
    own_keys: &mut OwnKeys,
) -> Option<(Media, Stream)> {
    let rest = (0..offer.media.len()).filter(|line| Some(*line) != in_use);
    in_use.into_iter().chain(rest).find_map(|line| answer_line(offer, line, local, wish, own_keys))
}

fn answer_line(
    offer: &Session,
    line: usize,
    local: &LocalMedia,
    wish: Direction,
    own_keys: &mut OwnKeys,
) -> Option<(Media, Stream)> {
    let theirs = offer.media.get(line).filter(|media| media.kind == MediaKind::Video && media.port != 0)?;
    let chosen = local.video.as_ref()?.choose(&theirs.formats)?;
    let crypto = security(theirs, local.srtp, |media| media.crypto.first()).ok()?;
    let remote = Remote::of(offer, theirs).ok()?;
    let mut ours = self::line(local, &theirs.protocol, wish.and(remote.direction.reversed()))?;
    let understood = Feedback::of(theirs, chosen.1.payload_type);
    ours.attributes = local.video.as_ref()?.feedback.and(understood).lines();
    ours.formats = vec![chosen.0.clone()];
    ours.rtcp_mux = local.rtcp_mux && theirs.rtcp_mux;
    let mut stream = agreed(line, &ours, offer, theirs, &remote, chosen)?;
    if let Some(theirs) = crypto {
        let crypto = Crypto::new(theirs.tag, theirs.suite, own_keys.of(theirs.suite));
        stream.srtp = Some(keys(&crypto, theirs));
        ours.crypto = vec![crypto];
    }
    Some((ours, stream))
}

/// What an answer makes of our line.
pub(super) fn accept(ours: &Media, answer: &Session, line: usize, local: &LocalMedia) -> Option<Stream> {
    let theirs = answered_line(answer, line, &MediaKind::Video).filter(|media| media.port != 0)?;
    let offered = |suite| ours.crypto.iter().find(|crypto| crypto.suite == suite);
    let known = |media: &Media| media.crypto.iter().position(|crypto| offered(crypto.suite).is_some());
    let crypto =
        security(theirs, local.srtp, |media| known(media).and_then(|at| media.crypto.get(at))).ok()?;
    let remote = Remote::of(answer, theirs).ok()?;
    let mut stream = agreed(line, ours, answer, theirs, &remote, taken(ours, theirs, local)?)?;
    stream.srtp = crypto.and_then(|theirs| Some(keys(offered(theirs.suite)?, theirs)));
    Some(stream)
}

/// Their first format that goes with one of ours, which as a rule has its number; a number without `a=rtpmap` means what we offered. Some answer
/// with what they would have offered: then ours is what we left out of the offer, under the number of the row that they took.
fn taken(ours: &Media, theirs: &Media, local: &LocalMedia) -> Option<(Format, Format)> {
    let video = local.video.as_ref()?;
    theirs.formats.iter().find_map(|theirs| {
        let mut offered: Vec<&Format> = ours.formats.iter().collect();
        offered.sort_by_key(|ours| ours.payload_type != theirs.payload_type);
        if theirs.encoding.is_empty() {
            let ours = offered.first().filter(|ours| ours.payload_type == theirs.payload_type)?;
            return Some(((*ours).clone(), (*ours).clone()));
        }
        let row = offered.iter().find(|ours| ours.same_codec(theirs));
        let left_out = || {
            let ours = video.formats.iter().find(|ours| video.meets(ours, theirs).is_some())?;
            Some(ours.clone().numbered(row?.payload_type))
        };
        let meets = offered.iter().find(|ours| video.meets(ours, theirs).is_some());
        let ours = meets.map(|ours| (*ours).clone()).or_else(left_out)?;
        Some((ours, theirs.clone()))
    })
}

/// Both halves together.
fn agreed(
    line: usize,
    ours: &Media,
    session: &Session,
    theirs: &Media,
    remote: &Remote,
    chosen: (Format, Format),
) -> Option<Stream> {
    let (receive, send) = chosen.clone();
    let common = Common { codecs: vec![chosen], events: vec![] };
    let mut stream = stream(line, ours, theirs, remote, &common).ok()?;
    stream.receive.retain(|format| format.payload_type != receive.payload_type);
    stream.receive.insert(0, receive);
    stream.feedback = Feedback::of(theirs, send.payload_type);
    stream.limit = limit(theirs.bandwidth.iter().map(String::as_str))
        .or_else(|| limit(session.extra_lines.iter().filter_map(|line| line.as_str().strip_prefix("b="))));
    Some(stream)
}

/// Bits per second: `TIAS` before `AS`, which counts in thousands (RFC 3890 §6.2, RFC 8866 §5.8). A limit of 0 is no way to say that
/// there shall be no pictures, so it says nothing.
fn limit<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Option<u32> {
    let value = |name: &str, factor: u32| {
        let mut lines = lines.clone().filter_map(|line| line.split_once(':'));
        let (_, text) = lines.find(|(kind, _)| kind.eq_ignore_ascii_case(name))?;
        let number: u32 = text.trim().parse().ok()?;
        number.checked_mul(factor).filter(|bits| *bits > 0)
    };
    value("TIAS", 1).or_else(|| value("AS", 1000))
}
