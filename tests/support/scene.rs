//! The usual cast: a PBX, a house, a phone or two, pages.

use super::baresip;
use super::browser::{Account, Page, Web};
use super::house;
use super::kamailio;
use super::{Baresip, Bench, House, Kamailio, Media, Tone, Wiretap, secs};

/// What a page says.
pub const PAGE_TONE: Tone = Tone::of(880);
/// What the phone says.
pub const PHONE_TONE: Tone = Tone::of(440);
/// What a second page says.
pub const OTHER_TONE: Tone = Tone::of(1320);

/// PBX and house on loopback, browsers ready to come.
pub struct Scene {
    // Dropped from top to bottom: first who talks, last who serves.
    /// The browsers.
    pub web: Web,
    /// The program under test.
    pub house: House,
    /// The PBX.
    pub pbx: Kamailio,
    /// The place.
    pub bench: Bench,
}

impl Scene {
    /// Direct media.
    #[track_caller]
    pub fn new() -> Self {
        Self::with(kamailio::Plan::new(), house::Plan::new())
    }

    /// With this PBX and this house.
    #[track_caller]
    pub fn with(pbx: kamailio::Plan, house: house::Plan) -> Self {
        let bench = Bench::new();
        Self::on(bench, pbx, house)
    }

    /// The same on a bench where something runs already.
    #[track_caller]
    pub fn on(bench: Bench, pbx: kamailio::Plan, house: house::Plan) -> Self {
        let pbx = pbx.start(&bench);
        let house = house.start(&bench);
        let web = Web::start(&bench);
        Self { web, house, pbx, bench }
    }

    /// A PBX that relays or does not.
    #[track_caller]
    pub fn with_media(media: Media) -> Self {
        Self::with(kamailio::Plan::new().media(media), house::Plan::new())
    }

    /// The page of account 1001, registered.
    #[track_caller]
    pub fn page(&self) -> Page<'_> {
        self.page_of("1001", PAGE_TONE)
    }

    /// The page of any account, registered.
    #[track_caller]
    pub fn page_of(&self, user: &str, says: Tone) -> Page<'_> {
        let page = self.web.page(user, says);
        page.connect_and_wait(&self.house, &Account::at(&self.pbx, user));
        page
    }

    /// The phone of account 1002, registered, which answers when told.
    #[track_caller]
    pub fn phone(&self) -> Baresip {
        Baresip::start(&self.bench, &self.pbx, "1002", PHONE_TONE)
    }

    /// The same, which answers at once.
    #[track_caller]
    pub fn ready_phone(&self) -> Baresip {
        baresip::Plan::new("1002", PHONE_TONE).auto_answer().start(&self.bench, &self.pbx)
    }

    /// A wiretap on loopback.
    #[track_caller]
    pub fn wiretap(&self) -> Wiretap {
        Wiretap::start(&self.bench)
    }

    /// Asserts that nothing of any call is left within five seconds of the end of all of them.
    #[track_caller]
    pub fn assert_no_call_left(&mut self) {
        self.house.assert_no_call_left(secs(5));
        self.house.assert_well();
    }
}

/// Asserts that the two ends of a finished call heard each other from `answered_at` until `ended_at`: the decoded sound
/// at the page, the decoded sound at the phone, and its time line on the wire.
#[track_caller]
pub fn assert_both_heard(
    page: &Page,
    call: &str,
    phone: &Baresip,
    wire: &super::wiretap::Capture,
    span: (f64, f64),
) {
    let (answered_at, ended_at) = span;
    let at_page = page.heard(call).between(answered_at - 500.0, ended_at);
    let at_phone = wire.heard(phone.rtp).between(answered_at - 500.0, ended_at);
    let page_heard = at_page.assert_tone_since(PHONE_TONE, answered_at);
    let phone_heard = at_phone.assert_tone_since(PAGE_TONE, answered_at);
    let decoded = phone.decoded().assert_tone(PAGE_TONE);
    println!(
        "page: first sound {:+.0} ms, gap {:.0} ms, {:.1} dBFS; phone: first sound {:+.0} ms, gap {:.0} ms, {:.1} dBFS, decoded {:.1} dBFS",
        page_heard.first_at - answered_at,
        page_heard.gap_ms,
        page_heard.dbfs,
        phone_heard.first_at - answered_at,
        phone_heard.gap_ms,
        phone_heard.dbfs,
        decoded.dbfs,
    );
}
