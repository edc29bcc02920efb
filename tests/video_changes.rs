//! What changes in the middle of a call with pictures.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::browser::Account;
use support::cinema::{PASSED, TRANSCODED, first, pictures};
use support::pattern::{PAGE_MARK, PHONE_MARK};
use support::scene::PAGE_TONE;
use support::{Bench, House, Page, Videophone, Web, fairly, now_ms, secs, wait_for};

fn page<'w>(web: &'w Web, house: &House, phone: &Videophone) -> Page<'w> {
    let page = web.page_with_camera("1001", PAGE_TONE, PAGE_MARK, (320, 240));
    page.connect_and_wait(house, &Account::direct("1001", "127.0.0.1", phone.port));
    page
}

#[test]
fn rq19_pictures_change_their_size_within_the_call_both_ways() {
    fairly(|| {
        let bench = Bench::new();
        let (phone, house, web) = (Videophone::start(&bench), House::start(&bench), Web::start(&bench));
        let page = page(&web, &house, &phone);
        for (nth, codecs) in [PASSED, TRANSCODED].into_iter().enumerate() {
            let call = page.call_with("2001", pictures(codecs));
            phone.answered(nth);
            wait_for("a picture at the page", secs(10), || first(&page.seen(&call), PHONE_MARK));
            for (size, width) in [("small", 160), ("large", 320)] {
                let before = now_ms();
                phone.habits(json!({ "size": size }));
                page.eval(&format!(
                    "calls.get('{call}').display.local.querySelector('video').srcObject.getVideoTracks()[0]\
                     .applyConstraints({{ width: {width}, height: {} }})",
                    width * 3 / 4
                ));
                let right = |seen: &&support::pattern::Seen| {
                    seen.at > before && seen.width == width && matches!(seen.says, Some((PHONE_MARK, _)))
                };
                let at_page = wait_for("pictures of another size at the page", secs(10), || {
                    page.seen(&call).iter().filter(right).nth(5).map(|seen| seen.at)
                });
                let at_phone = wait_for("pictures of another size at the phone", secs(10), || {
                    let wide = phone.shown_wide(nth);
                    let last: Vec<_> = wide.iter().rev().take(5).collect();
                    last.iter()
                        .all(|(seen, wide)| *wide == width && matches!(seen.says, Some((PAGE_MARK, _))))
                        .then(now_ms)
                });
                println!(
                    "{codecs} to {width}: five pictures at the page {:.0} ms, at the phone {:.0} ms later",
                    at_page - before,
                    at_phone - before
                );
            }
            page.hang_up(&call);
            page.wait_call(&call, "FINISH", secs(5));
        }
    });
}
