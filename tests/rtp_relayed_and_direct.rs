//! The two schemes of a PBX: its relay carries the sound, or phone and gateway exchange it themselves.

mod support;

use support::scene::{self, Scene};
use support::sound::moment;
use support::{Media, fairly, secs};

fn sound_goes(media: Media) {
    let mut scene = Scene::with_media(media);
    let phone = scene.phone();
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("1002");
    phone.wait("CALL_INCOMING", secs(5));
    phone.answer();
    let answered = page.wait_call(&call, "ESTABLISHED", secs(3));
    std::thread::sleep(secs(4));
    let ended_at = moment();
    phone.hang_up();
    page.wait_call(&call, "FINISH", secs(3));

    let wire = wire.stop();
    scene::assert_both_heard(&page, &call, &phone, &wire, (answered.at, ended_at));
    let sender = if media == Media::Relayed { scene.pbx.relay_ports } else { scene.house.rtp };
    for (from, to) in
        [(sender, phone.rtp), (if media == Media::Relayed { sender } else { phone.rtp }, scene.house.rtp)]
    {
        for packet in wire.rtp_to(to) {
            assert!(
                (from.0..=from.1).contains(&packet.from.port()),
                "RTP from {} to {}",
                packet.from,
                packet.to
            );
        }
    }
    scene.assert_no_call_left();
}

#[test]
fn the_relay_of_the_pbx_carries_the_sound() {
    fairly(|| sound_goes(Media::Relayed));
}

#[test]
fn phone_and_gateway_exchange_the_sound_themselves() {
    fairly(|| sound_goes(Media::Direct));
}
