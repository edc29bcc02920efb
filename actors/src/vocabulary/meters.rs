//! What the house counts. The only file that knows Prometheus; everyone else calls `inc` and `observe`.
//!
//! Prefix `tandem_`, base units. No call id, user or trunk in labels: those belong to logs and records.
use std::fmt;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::figures::{KeyFrameAsk, LegKind};

/// All counters of one switch. Cheap to clone: every clone counts into the same numbers.
#[derive(Clone)]
pub struct Meters {
    registry: Registry,
    /// Calls now, by direction (`outgoing`: a page called).
    pub calls_active: IntGaugeVec,
    /// Calls that ended, by direction and cause.
    pub calls_total: IntCounterVec,
    /// From the caller's wish to the answer, in seconds.
    pub call_setup_seconds: Histogram,
    /// From answer to end, in seconds.
    pub call_duration_seconds: Histogram,
    /// SIP requests by method and direction (`in`, `out`), retransmissions left out.
    pub sip_requests_total: IntCounterVec,
    /// SIP responses by method and code, both directions.
    pub sip_responses_total: IntCounterVec,
    /// Requests that went to TCP for their size (RFC 3261 §18.1.1).
    pub sip_oversize_requests_total: IntCounter,
    /// SIP messages dropped without an answer, by reason.
    pub sip_dropped_total: IntCounterVec,
    /// Accounts that are registered now.
    pub registrations_active: IntGauge,
    /// Failed attempts to register, by SIP code or `timeout`, `dns`, `transport`.
    pub registration_failures_total: IntCounterVec,
    /// Pages that are connected now.
    pub ws_sessions_active: IntGauge,
    /// From the first SDP to a working DTLS-SRTP path, in seconds.
    pub ice_connect_seconds: Histogram,
    /// Browser paths that never came up or were lost, by reason.
    pub ice_failures_total: IntCounterVec,
    /// RTP packets of sound and pictures, by leg (`browser`, `sip`) and direction (`in`, `out`).
    pub rtp_packets_total: IntCounterVec,
    /// RTP packets that never came, by leg.
    pub rtp_lost_total: IntCounterVec,
    /// Interarrival jitter at the end of a call, in seconds, by leg.
    pub rtp_jitter_seconds: HistogramVec,
    /// Scores of what came in, at the end of a call, by leg.
    pub mos: HistogramVec,
    /// Times that a direction of a leg had no sound, by leg, direction (`received`, `sent`) and cause.
    pub media_troubles_total: IntCounterVec,
    /// Calls in which sound was missing one way for some time, and not the other.
    pub one_way_calls_total: IntCounter,
    /// Answered calls in which no packet ever came that was owed, by leg.
    pub no_media_calls_total: IntCounterVec,
    /// RTP packets of a source other than the call's.
    pub rtp_foreign_source_packets_total: IntCounter,
    /// Packets dropped inside the house, by place: full mailboxes, full sockets, unknown peers, bad packets.
    pub packets_dropped_total: IntCounterVec,
    /// Transcoders now, by codec from and to.
    pub transcoders_active: IntGaugeVec,
    /// What became of the pictures of calls.
    pub video: VideoMeters,
    /// Digits by kind (`rfc4733`, `info`) and direction.
    pub dtmf_total: IntCounterVec,
    /// RTP ports that can be given out now.
    pub ports_free: IntGauge,
    /// Actors alive, by kind: what must be zero when all is over.
    pub actors_alive: IntGaugeVec,
}

/// Pictures of calls. All by leg and direction (`in`, `out`) are counted at the end of each call.
#[derive(Clone)]
pub struct VideoMeters {
    /// Directions of calls whose pictures passed without a codec,
    pub transcode_avoided_total: IntCounter,
    /// and those whose were encoded anew, by codec from and to.
    pub transcoded_total: IntCounterVec,
    /// Key frames asked for, by way (`pli`, `fir`, `info`), leg and direction (`in`: its far end asked).
    keyframe_requests_total: IntCounterVec,
    /// RTP packets.
    pub packets_total: IntCounterVec,
    /// Those that never came, as the receiving end says.
    pub lost_total: IntCounterVec,
    /// Pictures.
    pub pictures_total: IntCounterVec,
    /// Times that the motion stopped.
    pub freezes_total: IntCounterVec,
    /// For how long in a call, in seconds.
    pub frozen_seconds: HistogramVec,
    /// Mean bitrate of a call.
    pub bits_per_second: HistogramVec,
}

/// One counter of a family, looked up once: counting a packet must not look up labels.
pub type Counter = IntCounter;

/// Buckets of jitter, in seconds, and of scores.
const JITTER: [f64; 8] = [0.001, 0.003, 0.01, 0.02, 0.04, 0.08, 0.16, 0.5];
const SCORES: [f64; 10] = [1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.3, 4.4];
/// The same of bitrates, and of frozen seconds in a call.
const BITRATES: [f64; 8] = [30e3, 100e3, 200e3, 400e3, 800e3, 1.2e6, 2e6, 4e6];
const FROZEN: [f64; 7] = [0.0, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Counts one thing as alive until it is dropped, also when its actor panics.
#[derive(Debug)]
pub struct Alive(IntGauge);

impl Meters {
    /// Fresh counters, all zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let new = Maker { registry: &registry };
        let seconds = [0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 180.0];
        let length = [1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 14400.0];
        new.gauge_vec("build_info", "Always 1; the label tells the version.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            calls_active: new.gauge_vec("calls_active", "Calls now.", &["direction"]),
            calls_total: new.counter_vec("calls_total", "Calls that ended.", &["direction", "result"]),
            call_setup_seconds: new.histogram("call_setup_seconds", "From wish to answer.", &seconds),
            call_duration_seconds: new.histogram("call_duration_seconds", "From answer to end.", &length),
            sip_requests_total: new.counter_vec(
                "sip_requests_total",
                "SIP requests.",
                &["method", "direction"],
            ),
            sip_responses_total: new.counter_vec(
                "sip_responses_total",
                "SIP responses.",
                &["method", "code"],
            ),
            sip_oversize_requests_total: new
                .counter("sip_oversize_requests_total", "Requests sent by TCP for their size."),
            sip_dropped_total: new.counter_vec(
                "sip_dropped_total",
                "SIP messages dropped unanswered.",
                &["reason"],
            ),
            registrations_active: new.gauge("registrations_active", "Accounts registered now."),
            registration_failures_total: new.counter_vec(
                "registration_failures_total",
                "Failed REGISTERs.",
                &["code"],
            ),
            ws_sessions_active: new.gauge("ws_sessions_active", "Pages connected now."),
            ice_connect_seconds: new.histogram(
                "ice_connect_seconds",
                "From first SDP to a DTLS path.",
                &seconds,
            ),
            ice_failures_total: new.counter_vec(
                "ice_failures_total",
                "Browser paths that failed.",
                &["reason"],
            ),
            rtp_packets_total: new.counter_vec("rtp_packets_total", "RTP packets.", &["leg", "dir"]),
            rtp_lost_total: new.counter_vec("rtp_lost_total", "RTP packets that never came.", &["leg"]),
            rtp_jitter_seconds: new.histogram_vec(
                "rtp_jitter_seconds",
                "Jitter at call end.",
                &JITTER,
                &["leg"],
            ),
            mos: new.histogram_vec("mos", "Score of what came in (ITU-T G.107).", &SCORES, &["leg"]),
            media_troubles_total: new.counter_vec(
                "media_troubles_total",
                "No sound.",
                &["leg", "dir", "cause"],
            ),
            one_way_calls_total: new.counter("one_way_calls_total", "Calls with sound one way only."),
            no_media_calls_total: new.counter_vec(
                "no_media_calls_total",
                "Calls without a packet.",
                &["leg"],
            ),
            rtp_foreign_source_packets_total: new
                .counter("rtp_foreign_source_packets_total", "RTP from a foreign source."),
            packets_dropped_total: new.counter_vec(
                "packets_dropped_total",
                "Packets dropped in the house.",
                &["place"],
            ),
            transcoders_active: new.gauge_vec("transcoders_active", "Transcoders now.", &["from", "to"]),
            video: VideoMeters::new(&new),
            dtmf_total: new.counter_vec("dtmf_total", "Digits.", &["kind", "dir"]),
            ports_free: new.gauge("ports_free", "RTP ports free."),
            actors_alive: new.gauge_vec("actors_alive", "Actors alive.", &["actor"]),
            registry,
        }
    }

    /// Counts one more actor of `kind` until the guard is dropped.
    pub fn alive(&self, kind: &'static str) -> Alive {
        Alive::new(self.actors_alive.with_label_values(&[kind]))
    }

    /// Counts one more transcoder until the guard is dropped.
    pub fn transcoder(&self, from: &str, to: &str) -> Alive {
        Alive::new(self.transcoders_active.with_label_values(&[from, to]))
    }

    /// RTP packets of a leg (`browser`, `sip`) in a direction (`in`, `out`).
    pub fn rtp(&self, leg: &str, direction: &str) -> Counter {
        self.rtp_packets_total.with_label_values(&[leg, direction])
    }

    /// A key frame was asked for at this leg: `in`, by its far end.
    pub fn key_frame(&self, how: KeyFrameAsk, leg: LegKind, direction: &str) {
        let labels = [how.as_str(), leg.as_str(), direction];
        self.video.keyframe_requests_total.with_label_values(&labels).inc();
    }

    /// Packets dropped at a place in the house.
    pub fn dropped(&self, place: &str) -> Counter {
        self.packets_dropped_total.with_label_values(&[place])
    }

    /// Whether any session, call, leg or registration is left.
    pub fn busy(&self) -> bool {
        let kinds = ["session", "call", "browser", "dialog", "registration"];
        kinds.iter().any(|kind| self.actors_alive.with_label_values(&[kind]).get() > 0)
    }

    /// Everything in Prometheus' text format.
    pub fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("all metrics have names and labels")
    }
}

impl VideoMeters {
    fn new(new: &Maker<'_>) -> Self {
        let way = &["leg", "dir"];
        Self {
            transcode_avoided_total: new.counter(
                "video_transcode_avoided_total",
                "Directions of calls whose pictures passed without a codec.",
            ),
            transcoded_total: new.counter_vec(
                "video_transcoded_total",
                "Directions of calls whose pictures were encoded anew.",
                &["from", "to"],
            ),
            keyframe_requests_total: new.counter_vec(
                "keyframe_requests_total",
                "Key frames asked for.",
                &["how", "leg", "dir"],
            ),
            packets_total: new.counter_vec("video_packets_total", "RTP packets of pictures.", way),
            lost_total: new.counter_vec("video_lost_total", "Those that never came.", way),
            pictures_total: new.counter_vec("video_pictures_total", "Pictures.", way),
            freezes_total: new.counter_vec("video_freezes_total", "Times that motion stopped.", way),
            frozen_seconds: new.histogram_vec("video_frozen_seconds", "How long, in a call.", &FROZEN, way),
            bits_per_second: new.histogram_vec(
                "video_bits_per_second",
                "Mean bitrate in a call.",
                &BITRATES,
                way,
            ),
        }
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}

impl Alive {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Makes and registers metrics; names are constants of this file, so that registering cannot fail.
struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn keep<M: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("names and labels are well formed");
        self.registry.register(Box::new(metric.clone())).expect("names are unique");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::with_opts(opts(name, help)))
    }

    fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(IntCounterVec::new(opts(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::with_opts(opts(name, help)))
    }

    fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.keep(IntGaugeVec::new(opts(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.keep(Histogram::with_opts(HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec())))
    }

    fn histogram_vec(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.keep(HistogramVec::new(opts, labels))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("tandem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alive_is_counted_until_it_is_dropped() {
        let meters = Meters::new();
        let call = meters.alive("call");
        assert!(meters.text().contains("tandem_actors_alive{actor=\"call\"} 1"));
        drop(call);
        assert!(meters.text().contains("tandem_actors_alive{actor=\"call\"} 0"));
    }
}
