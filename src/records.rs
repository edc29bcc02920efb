//! One line in the log for each call that is over: who ended it and why, how long it lasted, how both legs fared, how pictures went.
use actors::handle::{CallRecord, LegRecord, Side, VideoConversion};
use tracing::info;

/// Writes the line.
pub fn write(record: &CallRecord) {
    let CallRecord { call_id, direction, reason, setup, talked, legs, video, troubles } = record;
    let shown = |leg: &Option<LegRecord>| leg.as_ref().map(ToString::to_string);
    let passed = |video: &Option<VideoConversion>| video.as_ref().map(ToString::to_string);
    let no_sound: Vec<_> = troubles.iter().map(ToString::to_string).collect();
    let no_sound = (!no_sound.is_empty()).then(|| no_sound.join("; "));
    info!(
        %call_id, direction, by = reason.by.map_or("house", Side::as_str), cause = reason.cause.as_str(),
        class = reason.cause.class().as_str(), sip_code = reason.sip_code, detail = reason.detail,
        setup_seconds = setup.map(|time| time.as_secs_f64()), seconds = talked.map(|time| time.as_secs_f64()),
        caller = shown(&legs.caller), callee = shown(&legs.callee),
        caller_video = passed(&video.caller), callee_video = passed(&video.callee), no_sound, "call ended"
    );
}
