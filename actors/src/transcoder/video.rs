//! One direction of one call's pictures through another codec, or into other packets. An encoder takes milliseconds for a picture, so it lives
//! on a codec lane, away from the sound; what only changes packets lives on the call's lane.
use std::time::Instant;

use actix::{Actor, Addr, ArbiterHandle, Context, Handler, Message, WeakRecipient};
use codecs::CodecError;
use codecs::video::{Passing, VideoSettings};
use tracing::debug;

use super::picture_path::PicturePath;
use crate::vocabulary::{Alive, Meters, Packet, Sink, VideoConversion};

/// The actor.
pub struct VideoTranscoder {
    path: PicturePath,
    sink: Sink,
    id: u64,
    owner: WeakRecipient<VideoSaid>,
    meters: Meters,
    _alive: [Option<Alive>; 2],
}

/// What a video transcoder is told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum VideoAsk {
    /// The target cannot go on without a key frame.
    KeyFrame,
    /// The target takes no more than so many bits per second.
    Limit(u32),
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct VideoSaid {
    /// Which transcoder.
    pub id: u64,
    /// What.
    pub news: VideoNews,
}

/// News of a video transcoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoNews {
    /// The source must make a key frame.
    WantsKeyFrame,
    /// The source must send no more than so many bits per second.
    Limits(u32),
    /// The source's packets do not fit the target: its pictures must be encoded anew.
    DoesNotFit,
    /// It is gone: its codec panicked, or it was replaced.
    Gone,
}

/// Packets that wait for their turn: two key frames. What comes while more wait is late anyway.
const MAILBOX: usize = 256;

impl VideoTranscoder {
    /// Starts one in front of `sink`; one that encodes, on `lane`. `owner` hears when it is gone, by panic too.
    pub fn begin(
        conversion: VideoConversion,
        settings: &VideoSettings,
        sink: Sink,
        (id, owner): (u64, WeakRecipient<VideoSaid>),
        lane: &ArbiterHandle,
        meters: &Meters,
    ) -> Result<Addr<Self>, CodecError> {
        let VideoConversion { from, to, passing } = conversion;
        let random = getrandom::u32().expect("the operating system's generator does not fail after boot");
        let path = PicturePath::new(&from, &to, passing, settings, random)?;
        let encodes = passing == Passing::Transcode;
        let transcoder = encodes.then(|| meters.transcoder(from.codec().name(), to.codec().name()));
        let alive = [Some(meters.alive("video_transcoder")), transcoder];
        let transcoder = Self { path, sink, id, owner, meters: meters.clone(), _alive: alive };
        Ok(match passing {
            Passing::Transcode => Self::start_in_arbiter(lane, move |_| transcoder),
            Passing::Whole | Passing::Repacketise => transcoder.start(),
        })
    }

    fn say(&self, news: VideoNews) {
        if let Some(owner) = self.owner.upgrade() {
            owner.do_send(VideoSaid { id: self.id, news });
        }
    }
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for VideoTranscoder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Drop for VideoTranscoder {
    fn drop(&mut self) {
        debug!(path = %self.path, "video transcoder");
        self.meters.dropped("sink").inc_by(self.sink.refused());
        self.say(VideoNews::Gone);
    }
}

impl Handler<Packet> for VideoTranscoder {
    type Result = ();
    fn handle(&mut self, packet: Packet, _: &mut Self::Context) {
        let sink = &mut self.sink;
        let outcome = self.path.push(packet, now(), &mut |packet| {
            sink.send(packet);
        });
        if outcome.bad {
            self.meters.dropped("transcoder_undecodable").inc();
        }
        if outcome.ask {
            self.say(VideoNews::WantsKeyFrame);
        }
        if outcome.does_not_fit {
            self.say(VideoNews::DoesNotFit);
        }
    }
}

impl Handler<VideoAsk> for VideoTranscoder {
    type Result = ();
    fn handle(&mut self, ask: VideoAsk, _: &mut Self::Context) {
        match ask {
            VideoAsk::KeyFrame if self.path.key_frame_wanted() => self.say(VideoNews::WantsKeyFrame),
            VideoAsk::Limit(bits) if self.path.limit(bits) => self.say(VideoNews::Limits(bits)),
            VideoAsk::KeyFrame | VideoAsk::Limit(_) => {}
        }
    }
}
