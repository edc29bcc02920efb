//! Two pages call each other through the PBX.

mod support;

use support::scene::{OTHER_TONE, PAGE_TONE, Scene};
use support::sound::moment;
use support::{fairly, secs};

#[test]
fn two_pages_hear_each_other_through_the_pbx() {
    fairly(|| {
        let mut scene = Scene::new();
        let caller = scene.page();
        let called = scene.page_of("1003", OTHER_TONE);

        let call = caller.call("1003");
        let incoming = called.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
        caller.wait_call(&call, "RING", secs(3));
        called.answer(&incoming);
        let answered = caller.wait_call(&call, "ESTABLISHED", secs(3));
        called.wait_call(&incoming, "ESTABLISHED", secs(3));
        std::thread::sleep(secs(4));
        let ended_at = moment();
        called.hang_up(&incoming);
        called.wait_call(&incoming, "FINISH", secs(3));
        caller.wait_call(&call, "FINISH", secs(3));

        let span = |page: &support::Page, id: &str| page.heard(id).between(answered.at - 500.0, ended_at);
        println!("{:?}", span(&caller, &call).assert_tone_since(OTHER_TONE, answered.at));
        println!("{:?}", span(&called, &incoming).assert_tone_since(PAGE_TONE, answered.at));
        drop((caller, called));
        scene.assert_no_call_left();
    });
}
