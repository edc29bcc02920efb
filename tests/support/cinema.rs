//! A page behind a cable that can lose packets, a house and a videophone on its other end.

use super::browser::{Account, Page, Web};
use super::pattern::{Mark, PAGE_MARK, Seen};
use super::scene::PAGE_TONE;
use super::stage::BadCable;
use super::{Bench, House, Videophone, house, secs};
use serde_json::{Value, json};

/// All of it. Dropped from top to bottom: first who talks, last who serves.
pub struct Cinema {
    /// The browsers.
    pub web: Web,
    /// The program under test.
    pub house: House,
    /// The phone.
    pub phone: Videophone,
    /// Between the page and the others.
    pub cable: BadCable,
    /// The place.
    pub bench: Bench,
}

const SIZE: (usize, usize) = (320, 240);

/// What a page leaves out of its offer so that it speaks H.264, as the phone does.
pub const PASSED: &str = "SILK,VP8,VP9,AV1";
/// The same for VP8, which the phone has not.
pub const TRANSCODED: &str = "SILK,H264,VP9,AV1";

impl Cinema {
    /// A phone of H.264, a good cable.
    #[track_caller]
    pub fn new() -> Self {
        let bench = Bench::new();
        let cable = BadCable::new(&bench);
        let place = (&cable.there, BadCable::THERE);
        let phone = Videophone::of(&bench, "h264", Some(place));
        let house = house::Plan::new().inside(place.0, place.1).start(&bench);
        let web = Web::start_in(&bench, Some(&cable.here));
        Self { web, house, phone, cable, bench }
    }

    /// A page with a camera, which reaches the phone as 2001.
    #[track_caller]
    pub fn page(&self) -> Page<'_> {
        self.connected(self.web.page_with_camera("1001", PAGE_TONE, PAGE_MARK, SIZE))
    }

    /// The same with a camera in poor light: its pictures need many packets.
    #[track_caller]
    pub fn grainy_page(&self) -> Page<'_> {
        let camera = self.bench.path("grainy.y4m");
        super::pattern::write_grainy_y4m(&camera, PAGE_MARK, SIZE, 15, 60);
        self.connected(self.web.page_with("1001", PAGE_TONE, json!({ "camera": camera })))
    }

    #[track_caller]
    fn connected<'w>(&self, page: Page<'w>) -> Page<'w> {
        let account = Account::direct("1001", BadCable::THERE, self.phone.port);
        page.connect_with(&self.house.url(), &account, json!({}));
        page.wait_session("ESTABLISHED", secs(10));
        page
    }
}

impl Default for Cinema {
    fn default() -> Self {
        Self::new()
    }
}

/// Options of a call with pictures both ways, without these codecs in the page's offer.
pub fn pictures(stripped: &str) -> Value {
    json!({ "stripCodecs": stripped, "video": { "width": SIZE.0, "height": SIZE.1, "frameRate": 15 } })
}

/// When the first picture of somebody was seen.
pub fn first(seen: &[Seen], mark: Mark) -> Option<f64> {
    seen.iter().find(|picture| picture.says.is_some_and(|(from, _)| from == mark)).map(|picture| picture.at)
}

/// Milliseconds between two moments in which the picture stood still, as WebRTC counts it (`totalFreezesDuration`): pauses that are three times as long as
/// the usual one, or 150 ms longer.
pub fn frozen(seen: &[Seen], from: f64, to: f64) -> f64 {
    let mut times = vec![from];
    times.extend(seen.iter().map(|picture| picture.at).filter(|at| (from..to).contains(at)));
    times.push(to);
    let usual = 1000.0 / 15.0;
    let longest = f64::max(3.0 * usual, usual + 150.0);
    times.windows(2).map(|pair| pair[1] - pair[0]).filter(|pause| *pause > longest).sum()
}
