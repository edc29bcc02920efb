//! How a call fares, for pages that asked: `notifyCallQuality`, `notifyMediaTrouble`. Ours alone.
use std::time::Duration;

use actors::handle::{CallId, Flow, LegRecord, Mos, SoundNews, Trouble, VideoFlow};
use serde_json::{Value, json};

use super::outgoing::frame;

pub(super) fn frame_of(call_id: &CallId, news: &SoundNews) -> String {
    let call_id = call_id.as_str();
    match news {
        SoundNews::Quality(legs) => {
            let legs: Vec<Value> = legs.iter().map(leg).collect();
            frame("notifyCallQuality", json!([{"callId": call_id, "legs": legs}]))
        }
        SoundNews::Trouble(it, lasted) => trouble(call_id, it, true, Some(*lasted)),
        SoundNews::Well(it) => trouble(call_id, it, false, None),
    }
}

fn leg(record: &LegRecord) -> Value {
    let leg = &record.measured;
    let mut data = json!({
        "leg": leg.kind.as_str(),
        "received": flow(&leg.received, record.mos_received),
        "sent": flow(&leg.sent, record.mos_sent),
    });
    if let Some(codec) = leg.codec {
        data["codec"] = codec.to_string().into();
    }
    if let Some(round_trip) = leg.round_trip {
        data["roundTripMs"] = millis(round_trip).into();
    }
    if let Some(video) = &leg.video {
        data["video"] = json!({"received": pictures(&video.received), "sent": pictures(&video.sent)});
    }
    data
}

fn pictures(video: &VideoFlow) -> Value {
    let mut data = flow(&video.flow, None);
    data["pictures"] = video.pictures.into();
    data["keyFrames"] = video.key_frames.into();
    data["keyFramesAsked"] = video.key_frames_asked.into();
    data["freezes"] = video.freezes.into();
    data["frozenMs"] = millis(video.frozen).into();
    if let Some(codec) = video.codec {
        data["codec"] = codec.name().into();
    }
    if let Some(bitrate) = video.bitrate() {
        data["bitrate"] = bitrate.into();
    }
    data
}

fn flow(flow: &Flow, mos: Option<Mos>) -> Value {
    let mut data = json!({"packets": flow.packets, "bytes": flow.bytes});
    if let Some(reception) = flow.reception {
        data["lost"] = reception.lost.into();
        data["jitterMs"] = millis(reception.jitter).into();
    }
    if let Some(mos) = mos {
        data["mos"] = mos.as_f64().into();
    }
    data
}

fn trouble(call_id: &str, trouble: &Trouble, active: bool, lasted: Option<Duration>) -> String {
    let mut data = json!({
        "callId": call_id,
        "active": active,
        "leg": trouble.leg.as_str(),
        "direction": trouble.way.as_str(),
        "cause": trouble.word(),
        "fault": trouble.is_fault(),
    });
    if let Some(lasted) = lasted {
        data["seconds"] = lasted.as_secs().into();
    }
    frame("notifyMediaTrouble", json!([data]))
}

/// To a tenth.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use actors::handle::{
        CodecId, LegKind, Measured, Playout, Reception, Silence, VideoCodec, VideoMeasured, Way,
    };

    use super::*;

    fn check(news: &SoundNews, message: &str, data: Value) {
        let frame = frame_of(&CallId::parse("c1").unwrap(), news);
        let frame: Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame, json!({"message": message, "data": [data]}));
    }

    #[test]
    fn a_page_is_told_how_both_legs_sound() {
        let reception = Some(Reception { lost: 5, jitter: Duration::from_micros(4_020) });
        let sip = Measured {
            codec: Some(CodecId::Pcmu),
            received: Flow { packets: 95, bytes: 15_200, reception },
            sent: Flow { packets: 100, bytes: 16_000, reception: None },
            round_trip: Some(Duration::from_millis(30)),
            ..Measured::nothing(LegKind::Sip)
        };
        let sip = LegRecord::of(sip, Playout::default());
        let seen = VideoFlow {
            codec: Some(VideoCodec::H264),
            flow: Flow { packets: 200, bytes: 100_000, reception },
            pictures: 75,
            key_frames: 2,
            key_frames_asked: 1,
            freezes: 1,
            frozen: Duration::from_millis(400),
            lasted: Duration::from_secs(5),
        };
        let video = Some(Box::new(VideoMeasured { received: seen, sent: VideoFlow::default() }));
        let browser = Measured { video, ..Measured::nothing(LegKind::Browser) };
        let browser = LegRecord::of(browser, Playout::default());
        let none = json!({"packets": 0, "bytes": 0, "pictures": 0, "keyFrames": 0, "keyFramesAsked": 0, "freezes": 0,
            "frozenMs": 0.0});
        let pictures = json!({"packets": 200, "bytes": 100_000, "lost": 5, "jitterMs": 4.0, "pictures": 75, "keyFrames": 2,
            "keyFramesAsked": 1, "freezes": 1, "frozenMs": 400.0, "codec": "H264", "bitrate": 160_000});
        let nothing = json!({"packets": 0, "bytes": 0});
        let data = json!({"callId": "c1", "legs": [
            {"leg": "browser", "received": nothing, "sent": nothing, "video": {"received": pictures, "sent": none}},
            {"leg": "sip", "codec": "PCMU/8000", "roundTripMs": 30.0, "sent": {"packets": 100, "bytes": 16_000},
             "received": {"packets": 95, "bytes": 15_200, "lost": 5, "jitterMs": 4.0, "mos": 3.92}},
        ]});
        check(&SoundNews::Quality(vec![browser, sip]), "notifyCallQuality", data);
    }

    #[test]
    fn a_page_is_told_why_there_is_no_sound_and_when_there_is() {
        let (leg, since) = (LegKind::Sip, Instant::now());
        let trouble = Trouble { leg, way: Way::Received, cause: Silence::NoPackets, since };
        let mut data = json!({"callId": "c1", "active": true, "leg": "sip", "direction": "received",
            "cause": "no_packets_from_far_side", "fault": true, "seconds": 3});
        let news = SoundNews::Trouble(trouble, Duration::from_secs(3));
        check(&news, "notifyMediaTrouble", data.clone());
        data["active"] = false.into();
        data.as_object_mut().unwrap().remove("seconds");
        check(&SoundNews::Well(trouble), "notifyMediaTrouble", data);
    }
}
