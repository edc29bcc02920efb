//! What is left of a call: one record, for logs today.
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::emodel::{Hop, Mos};
use super::monitor::Told;
use super::trouble::Trouble;
use crate::vocabulary::{
    Both, CallId, EndReason, Flow, Measured, Playout, VideoConversion, VideoFlow, VideoMeasured,
};

/// Is told of each call that is over, on the switchboard's thread: it must not wait.
pub type Recorder = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// A call that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Which call.
    pub call_id: CallId,
    /// `outgoing` (a page called), `incoming` or `demo`.
    pub direction: &'static str,
    /// Who ended it, and why.
    pub reason: EndReason,
    /// From the caller's wish to the answer, if there was one.
    pub setup: Option<Duration>,
    /// From the answer to the end.
    pub talked: Option<Duration>,
    /// How each leg fared; of a side that was transferred, its last leg's. `None`: there was no leg, or several rang.
    pub legs: Both<Option<LegRecord>>,
    /// How the pictures of each side went to the other, if they did: the last way.
    pub video: Both<Option<VideoConversion>>,
    /// The first times that sound was missing.
    pub troubles: Vec<Told>,
}

/// What a page that asks for it hears of its call's sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoundNews {
    /// How both legs fared in the last seconds.
    Quality(Vec<LegRecord>),
    /// A direction of a leg has had no sound for so long.
    Trouble(Trouble, Duration),
    /// It has sound again.
    Well(Trouble),
}

/// How a leg fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegRecord {
    /// What it counted.
    pub measured: Measured,
    /// What became of what came in before a decoder, if it was decoded.
    pub playout: Playout,
    /// The score of what we heard of its far end; `None`: nothing came.
    pub mos_received: Option<Mos>,
    /// The score of what its far end heard of us; `None`: nothing was sent, or it has not said what became of it.
    pub mos_sent: Option<Mos>,
}

impl LegRecord {
    /// Judges what a leg counted.
    pub fn of(measured: Measured, playout: Playout) -> Self {
        let received = &measured.received;
        let lost = received.reception.map_or(0, |reception| reception.lost);
        let mos_received = mos(&measured, received, playout.late, received.packets + lost);
        let mos_sent = mos(&measured, &measured.sent, 0, measured.sent.packets);
        Self { measured, playout, mos_received, mos_sent }
    }
}

/// The score of one direction of a leg, as a hop of its own, of which so many packets should have come and some came too late. Delay: half of the round trip, the packet,
/// and a playout buffer of twice the jitter.
fn mos(leg: &Measured, flow: &Flow, late: u64, expected: u64) -> Option<Mos> {
    let (codec, reception) = (leg.codec?, flow.reception.filter(|_| expected > 0)?);
    let loss = (reception.lost + late) as f64 / expected as f64;
    let delay = leg.round_trip.unwrap_or_default() / 2 + PACKET + reception.jitter * 2;
    Some(Hop { codec, loss, delay }.mos())
}

/// What most packets last.
const PACKET: Duration = Duration::from_millis(20);

impl fmt::Display for LegRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { kind, codec, received, sent, round_trip, video, .. } = &self.measured;
        f.write_str(kind.as_str())?;
        if let Some(codec) = codec {
            write!(f, " {codec}")?;
        }
        if let Some(round_trip) = round_trip {
            write!(f, ", round trip {:.1} ms", millis(*round_trip))?;
        }
        flow(f, "received", received, self.mos_received)?;
        if self.playout != Playout::default() {
            let Playout { late, concealed } = self.playout;
            write!(f, ", late {late}, concealed {} ms", concealed.as_millis())?;
        }
        flow(f, "sent", sent, self.mos_sent)?;
        if let Some(VideoMeasured { received, sent }) = video.as_deref() {
            pictures(f, "received", received)?;
            pictures(f, "sent", sent)?;
        }
        Ok(())
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { trouble, after, lasted } = self;
        let (leg, way) = (trouble.leg.as_str(), trouble.way.as_str());
        write!(
            f,
            "{leg} {way}: {}, {} s after the answer for {} s",
            trouble.word(),
            after.as_secs(),
            lasted.as_secs()
        )
    }
}

fn pictures(f: &mut fmt::Formatter<'_>, word: &str, video: &VideoFlow) -> fmt::Result {
    f.write_str("; video")?;
    if let Some(codec) = video.codec {
        write!(f, " {}", codec.name())?;
    }
    write!(f, " {word} {} packets, {} bytes", video.flow.packets, video.flow.bytes)?;
    reception(f, &video.flow)?;
    let VideoFlow { pictures, key_frames, key_frames_asked, freezes, frozen, .. } = video;
    write!(f, ", pictures {pictures}, key frames {key_frames} (asked {key_frames_asked})")?;
    write!(f, ", freezes {freezes} ({} ms)", frozen.as_millis())?;
    video.bitrate().map_or(Ok(()), |bits| write!(f, ", rate {} kbit/s", bits / 1000))
}

fn flow(f: &mut fmt::Formatter<'_>, word: &str, flow: &Flow, mos: Option<Mos>) -> fmt::Result {
    write!(f, "; {word} {} packets, {} bytes", flow.packets, flow.bytes)?;
    reception(f, flow)?;
    mos.map_or(Ok(()), |mos| write!(f, ", MOS {mos}"))
}

fn reception(f: &mut fmt::Formatter<'_>, flow: &Flow) -> fmt::Result {
    let Some(reception) = flow.reception else { return Ok(()) };
    write!(f, ", lost {}, jitter {:.1} ms", reception.lost, millis(reception.jitter))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use codecs::CodecId;

    use super::*;
    use crate::vocabulary::{LegKind, Reception};

    fn leg(received: Flow, sent: Flow) -> LegRecord {
        let codec = Some(CodecId::Pcmu);
        let round_trip = Some(Duration::from_millis(30));
        let measured = Measured { codec, received, sent, round_trip, ..Measured::nothing(LegKind::Sip) };
        LegRecord::of(measured, Playout { late: 0, concealed: Duration::from_millis(100) })
    }

    #[test]
    fn a_leg_is_told_in_one_line() {
        let reception = Some(Reception { lost: 5, jitter: Duration::from_millis(4) });
        let record = leg(
            Flow { packets: 95, bytes: 15_200, reception },
            Flow { packets: 100, bytes: 16_000, reception: None },
        );
        let line = "sip PCMU/8000, round trip 30.0 ms; received 95 packets, 15200 bytes, lost 5, jitter 4.0 ms, MOS 3.92, \
                    late 0, concealed 100 ms; \
                    sent 100 packets, 16000 bytes";
        assert_eq!(record.to_string(), line);
    }

    #[test]
    fn pictures_are_told_behind_the_sound() {
        let reception = Some(Reception { lost: 1, jitter: Duration::from_millis(2) });
        let received = VideoFlow {
            codec: Some(codecs::VideoCodec::H264),
            flow: Flow { packets: 200, bytes: 100_000, reception },
            pictures: 60,
            key_frames: 2,
            key_frames_asked: 1,
            freezes: 1,
            frozen: Duration::from_millis(400),
            lasted: Duration::from_secs(4),
        };
        let video = Some(Box::new(VideoMeasured { received, ..VideoMeasured::default() }));
        let measured = Measured { video, ..Measured::nothing(LegKind::Browser) };
        assert_eq!(
            LegRecord::of(measured, Playout::default()).to_string(),
            "browser; received 0 packets, 0 bytes; sent 0 packets, 0 bytes\
             ; video H264 received 200 packets, 100000 bytes, lost 1, jitter 2.0 ms, pictures 60, key frames 2 (asked 1), \
             freezes 1 (400 ms), rate 200 kbit/s\
             ; video sent 0 packets, 0 bytes, pictures 0, key frames 0 (asked 0), freezes 0 (0 ms)"
        );
    }

    #[test]
    fn what_comes_too_late_sounds_as_if_it_were_lost() {
        let reception = |lost| Some(Reception { lost, jitter: Duration::ZERO });
        let score = |lost, late| {
            let received = Flow { packets: 100 - lost, bytes: 0, reception: reception(lost) };
            let measured =
                Measured { codec: Some(CodecId::Pcmu), received, ..Measured::nothing(LegKind::Sip) };
            LegRecord::of(measured, Playout { late, ..Playout::default() }).mos_received
        };
        assert_eq!(score(0, 10), score(10, 0));
        assert!(score(0, 10) < score(0, 0));
    }

    #[test]
    fn what_nobody_counted_has_no_score() {
        let record = leg(Flow::default(), Flow { packets: 3, bytes: 3, reception: None });
        assert_eq!((record.mos_received, record.mos_sent), (None, None));
        assert_eq!(
            LegRecord::of(Measured::nothing(LegKind::Browser), Playout::default()).to_string(),
            "browser; received 0 packets, 0 bytes; sent 0 packets, 0 bytes"
        );
    }
}
