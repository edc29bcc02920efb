//! Speech over a link that loses, delays and reorders: Opus between browser and house, G.711 between house and phone.
//!
//! RQ09 by its name. `make soak` runs the whole grid.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::browser::Account;
use support::scene::PHONE_TONE;
use support::sound::moment;
use support::speech::{Heard, TURN_S};
use support::stage::BadCable;
use support::{Bench, Speech, Web, Wiretap, baresip, fairly, house, kamailio, secs};

/// Percent lost, jitter in ms, the least MOS.
type Network = (u32, u32, f64);

const CALM: Network = (0, 0, 3.6);

/// So many turns of speech are heard on each bad network and judged together: which packets are lost is luck.
const TURNS: usize = 2;

fn networks() -> Vec<Network> {
    if std::env::var_os("TANDEM_SOAK").is_none() {
        return vec![(5, 40, 3.6), (20, 100, 2.0)];
    }
    let losses = [(5, 3.6), (10, 3.0), (20, 2.0)];
    losses.iter().flat_map(|(loss, mos)| [40, 60, 80, 100].map(|jitter| (*loss, jitter, *mos))).collect()
}

#[test]
fn rq09_speech_stays_speech_and_delay_goes_with_the_jitter() {
    fairly(|| {
        let bench = Bench::new();
        let cable = BadCable::new(&bench);
        let speech = Speech::new(&bench);
        let (page_says, phone_says) = (bench.path("page.wav"), bench.path("phone.wav"));
        speech.write(&page_says, 48_000, 1);
        speech.write(&phone_says, 8_000, 60);
        let pbx = kamailio::Plan::new().inside(&cable.there, BadCable::THERE).start(&bench);
        let phone = baresip::Plan::new("1002", PHONE_TONE).saying(&phone_says).auto_answer();
        let phone = phone.inside(&cable.there, BadCable::THERE).start(&bench, &pbx);
        let house = house::Plan::new().inside(&cable.there, BadCable::THERE).start(&bench);
        let web = Web::start_in(&bench, Some(&cable.here));
        let page = web.page_of_file("1001", &page_says, json!({}));
        page.connect_with(&house.url(), &Account::at(&pbx, "1001"), json!({}));
        page.wait_session("REGISTERED", secs(10));
        let wire = Wiretap::on(&bench, "lo", Some(&cable.there));
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(3));

        // Each bad network is measured once the page believes in it: Chromium spends FEC by an average of its far side's reports
        // over ten seconds. The calm one after it is measured from its sixth second on.
        let mut turns = vec![(CALM, moment())];
        sleep(TURN_S);
        for network in networks() {
            cable.set(network.0, network.1);
            sleep(10.0);
            for _ in 0..TURNS {
                turns.push((network, moment()));
                sleep(TURN_S);
            }
            cable.set(0, 0);
            sleep(5.0);
            turns.push((CALM, moment()));
            sleep(TURN_S);
        }
        sleep(0.5);
        assert!(
            !page.has(|event| event.kind == "call" && event.body["status"] == "FINISH"),
            "the call stays"
        );
        page.hang_up(&call);
        let at_page = page.heard(&call);
        let at_phone = wire.stop().heard(phone.rtp);

        let starts: Vec<f64> = turns.iter().map(|(_, at)| *at).collect();
        let at_phone = speech.judge(&bench, &at_phone, &starts);
        let at_page = speech.judge(&bench, &at_page, &starts);
        for (place, (network, _)) in turns.iter().enumerate() {
            let (loss, jitter, mos) = network;
            let (phone, page) = (&at_phone[place], &at_page[place]);
            let what = format!("{loss} % lost, {jitter} ms of jitter");
            println!("{what}: phone {}; page {}", told(phone, &at_phone[0]), told(page, &at_page[0]));
            let mean = |who: &[Heard]| {
                let same = turns.iter().zip(who).filter(|(turn, _)| turn.0 == *network);
                let (sum, count) =
                    same.fold((0.0, 0.0), |(sum, count), (_, heard)| (sum + heard.mos, count + 1.0));
                sum / count
            };
            assert!(mean(&at_phone) >= *mos && mean(&at_page) >= *mos, "{what}: below {mos}");
            // The page's delay is Chromium's affair: we hold nothing on that way.
            let later = phone
                .parts_later_than(&at_phone[0])
                .into_iter()
                .fold(phone.later_than(&at_phone[0]), f64::max);
            let most = match jitter {
                0 => 60.0,
                40 => 80.0,
                more => 1.5 * f64::from(*more),
            };
            assert!(later <= most, "{what}: {later:.0} ms later than without");
        }
    });
}

fn told(heard: &Heard, first: &Heard) -> String {
    format!("MOS {:.2}, {:+.0} ms {:+.0?}", heard.mos, heard.later_than(first), heard.parts_later_than(first))
}

fn sleep(seconds: f64) {
    std::thread::sleep(std::time::Duration::from_secs_f64(seconds));
}
