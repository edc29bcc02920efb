//! How a page's sound and pictures fare.
use std::time::Duration;

use super::peer::Report;
use super::{BrowserLeg, now};
use crate::vocabulary::{Ear, LegKind, Measured, Owes};

impl BrowserLeg {
    /// What the page says of our packets.
    pub(super) fn page_reports(&mut self, report: &Report) {
        self.count_refused();
        self.limit_again(now());
        let Some(lost) = report.lost else { return };
        let clock = self.codec.map_or(48_000, |format| format.codec.spec().clock_rate);
        let jitter = Duration::from_secs(u64::from(report.jitter)) / clock;
        self.tally.told(lost, jitter, report.round_trip);
    }

    /// Puts into the meters what the peer connection has refused since the last time.
    pub(super) fn count_refused(&mut self) {
        let Some(peer) = &self.peer else { return };
        let (now, before) = (peer.counts(), std::mem::replace(&mut self.refused, peer.counts()));
        for (place, count) in [
            ("webrtc_unproven", now.unproven - before.unproven),
            ("webrtc_too_many_sources", now.sources - before.sources),
            ("webrtc_malformed", now.malformed - before.malformed),
            ("webrtc_not_authentic", now.undecryptable - before.undecryptable),
            ("webrtc_unknown_payload_type", now.wrong_payload_type - before.wrong_payload_type),
        ] {
            if count > 0 {
                self.order.meters.dropped(place).inc_by(count);
            }
        }
    }

    /// How the leg fares.
    pub(super) fn measured(&self) -> Measured {
        let Some(peer) = &self.peer else { return Measured::nothing(LegKind::Browser) };
        let owes = if peer.agreed().page_sends { Owes::Sound } else { Owes::NothingEver };
        let (ear, counts) = (self.tally.ear(owes, peer.is_connected()), peer.counts());
        let ear = Ear {
            signs: ear.signs + peer.checks(),
            undecryptable: counts.undecryptable,
            wrong_payload_type: counts.wrong_payload_type,
            ..ear
        };
        Measured {
            kind: LegKind::Browser,
            codec: self.codec.map(|format| format.codec),
            received: self.tally.received(),
            sent: self.tally.gone_out(),
            round_trip: self.tally.round_trip(),
            ear,
            video: peer.agreed().video.is_some().then(|| Box::new(self.pictures.measured(now()))),
        }
    }
}
