//! Video calls to far sides that send no pictures, or stop: the page hears them at once, and sees a still picture meanwhile.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::browser::{Account, Page};
use support::pattern::{self, PAGE_MARK, PHONE_MARK, Seen};
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Baresip, Bench, baresip, fairly, house, kamailio, secs, sipp, wait_for};

/// Of the page's camera. A still picture has another size, so that nobody takes one for the other.
const SIZE: (usize, usize) = (480, 360);
const STILL: (u32, u32) = (320, 240);

const H264: &str = "a=rtpmap:120 H264/90000\na=fmtp:120 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1";

fn with_video() -> Value {
    json!({ "video": { "width": SIZE.0, "height": SIZE.1, "frameRate": 15 } })
}

/// Keeps the page's peer connections, to ask them for their figures, and what `setRemoteDescription` complains of.
const KEEP_CONNECTIONS: &str = "(() => { window.kept = []; window.complaints = []; \
    const set = RTCPeerConnection.prototype.setRemoteDescription; \
    RTCPeerConnection.prototype.setRemoteDescription = function (...args) { kept.push(this); \
    const done = set.apply(this, args); done.catch(error => complaints.push(String(error))); return done; }; })()";

/// Bytes with RTP headers and packets of pictures that the page has had so far, and when (ms).
const PICTURES_SO_FAR: &str = "(async () => { for (const s of (await kept[0].getStats()).values()) \
    if (s.type === 'inbound-rtp' && s.kind === 'video') return [s.bytesReceived + s.headerBytesReceived, s.packetsReceived, s.timestamp]; \
    return null; })()";

fn page_with_camera(scene: &Scene) -> Page<'_> {
    let page = scene.web.page_with_camera("1001", PAGE_TONE, PAGE_MARK, SIZE);
    page.connect_and_wait(&scene.house, &Account::at(&scene.pbx, "1001"));
    page.eval(KEEP_CONNECTIONS);
    page
}

/// Bytes, packets and time of the pictures that came to the page so far.
fn so_far(page: &Page) -> [f64; 3] {
    let value = page.eval(PICTURES_SO_FAR);
    std::array::from_fn(|at| value[at].as_f64().unwrap_or_default())
}

/// Dark at the edges, letters in the middle, of the size that we draw.
fn is_still(cells: &[f64], size: (u32, u32)) -> bool {
    let edge = cells[..8].iter().chain(&cells[40..]).fold(0.0, |most: f64, cell| most.max(*cell));
    let middle = cells[16..32].iter().fold(0.0, |most: f64, cell| most.max(*cell));
    size == STILL && edge < 60.0 && middle > edge + 15.0
}

/// Times of the pictures since `from`, and whether each is the still one.
fn pictures_since(page: &Page, call: &str, from: f64) -> Vec<(f64, bool)> {
    let pictures = page.run("pictures", json!([call]));
    let one = |picture: &Value| {
        let cells: Vec<f64> =
            picture["cells"].as_array().unwrap().iter().map(|cell| cell.as_f64().unwrap()).collect();
        let side = |name: &str| picture[name].as_u64().unwrap_or_default() as u32;
        (picture["at"].as_f64().unwrap(), is_still(&cells, (side("width"), side("height"))))
    };
    let all = pictures.as_array().map(|all| all.iter().map(one).collect()).unwrap_or(vec![]);
    all.into_iter().filter(|(at, _)| *at >= from).collect()
}

/// Waits for a still picture; gives its time.
#[track_caller]
fn wait_still(page: &Page, call: &str, from: f64) -> f64 {
    wait_for("a still picture", secs(10), || {
        pictures_since(page, call, from).into_iter().find(|(_, still)| *still).map(|(at, _)| at)
    })
}

/// Nothing but still pictures for some seconds: 1 to 5 a second, of at most 30 kbit/s.
#[track_caller]
fn assert_still_and_small(page: &Page, call: &str) {
    let (from, before) = (moment(), so_far(page));
    std::thread::sleep(secs(4));
    let (to, after) = (moment(), so_far(page));
    let seen = pictures_since(page, call, from);
    let a_second = seen.len() as f64 / (to - from) * 1000.0;
    let took = after[2] - before[2];
    // UDP and IP besides.
    let bits = (after[0] - before[0] + 28.0 * (after[1] - before[1])) * 8.0 / took * 1000.0;
    println!("{a_second:.1} still pictures a second, {bits:.0} bit/s");
    assert!(seen.iter().all(|(_, still)| *still), "{seen:?}");
    assert!((0.9..=5.5).contains(&a_second), "{a_second} a second");
    assert!(bits > 0.0 && bits <= 30_000.0, "{bits} bit/s");
}

/// A phone that answers with `video` behind its sound, and says what it hears.
fn answered_with(video: &str, house: house::Plan, then: impl Fn(&Page, &str, f64)) {
    let bench = Bench::new();
    let mut phone = sipp::Plan::new("uas_answer").describing(video).start(&bench);
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house);
    let page = page_with_camera(&scene);
    let call = page.call_with("2001", with_video());
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5)).at;
    let first = page.wait_heard(&call, PAGE_TONE, secs(5));
    println!("heard {:.0} ms after the answer", first - answered);
    assert!(first - answered < 1000.0, "{:.0} ms", first - answered);
    then(&page, &call, answered);
    assert_eq!(page.run("element", json!([call]))["muted"], false, "a muted element is heard by nobody");
    assert_eq!(page.eval("complaints"), json!([]));
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    phone.assert_passed(secs(5));
}

fn a_still_picture_for(video: &str) {
    fairly(|| {
        answered_with(video, house::Plan::new(), |page, call, answered| {
            let seen = wait_still(page, call, 0.0);
            println!("seen {:.0} ms after the answer", seen - answered);
            // Until then its element is muted.
            assert!(seen - answered < 1000.0, "{:.0} ms", seen - answered);
            assert_still_and_small(page, call);
        });
    });
}

#[test]
fn rq15_port_0() {
    a_still_picture_for(&format!("m=video 0 RTP/AVP 120\n{H264}"));
}

#[test]
fn rq15_no_video_line() {
    a_still_picture_for("");
}

#[test]
fn rq15_inactive() {
    a_still_picture_for(&format!("m=video [media_port+2] RTP/AVP 120\n{H264}\na=inactive"));
}

#[test]
fn rq15_a_codec_that_was_not_offered() {
    a_still_picture_for("m=video [media_port+2] RTP/AVP 34\na=rtpmap:34 H263/90000");
}

#[test]
fn rq15_without_still_pictures_the_track_is_muted_and_the_sound_is_not() {
    fairly(|| {
        let others = house::Plan::new().set("generate_av_for_ua", "[\"Grandstream\"]");
        answered_with("", others, |page, call, _| {
            assert_eq!(pictures_since(page, call, 0.0), []);
            assert_eq!(so_far(page)[1], 0.0);
        });
    });
}

#[test]
fn rq15_a_call_may_do_without_still_pictures_whatever_the_settings_say() {
    fairly(|| {
        let scene = Scene::new();
        let _phone = scene.ready_phone();
        let page = page_with_camera(&scene);
        let mut options = with_video();
        options["custom"] = json!({ "generateAvForUa": false });
        let call = page.call_with("1002", options);
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5)).at;
        let first = page.wait_heard(&call, PHONE_TONE, secs(5));
        assert!(first - answered < 1000.0, "{:.0} ms", first - answered);
        assert_eq!(pictures_since(&page, &call, 0.0), []);
        assert_eq!(page.run("element", json!([call]))["muted"], false);
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
    });
}

/// Waits until the page sees the phone's camera; gives when.
#[track_caller]
fn wait_camera(page: &Page, call: &str, from: f64) -> f64 {
    let of_phone = |seen: &Seen| seen.at >= from && seen.says.is_some_and(|(mark, _)| mark == PHONE_MARK);
    wait_for("the phone's camera", secs(10), || {
        page.seen(call).into_iter().find(of_phone).map(|seen| seen.at)
    })
}

/// The phone asks for pictures two seconds after it has answered without, and sends back what it gets.
fn pictures_are_added(options: Value, port: &str, then: impl Fn(&Page, &str)) {
    let bench = Bench::new();
    let mut phone = sipp::Plan::new("uas_adds_video").key("port", port).start(&bench);
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = page_with_camera(&scene);
    let call = page.call_with("2001", options);
    page.wait_call(&call, "ESTABLISHED", secs(5));
    phone.wait_for_message("CSeq: 1 ACK", secs(10));
    then(&page, &call);
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    phone.assert_passed(secs(5));
}

#[test]
fn rq15_video_is_added_later_where_a_still_picture_held_its_place() {
    fairly(|| {
        pictures_are_added(with_video(), "[1-9]", |page, call| {
            wait_still(page, call, 0.0);
            let of_page = |seen: &Seen| seen.says.is_some_and(|(mark, _)| mark == PAGE_MARK);
            wait_for("the page's own camera", secs(10), || page.seen(call).into_iter().find(of_page));
        });
    });
}

#[test]
fn rq15_video_that_is_added_where_the_page_has_none_gets_port_0() {
    fairly(|| {
        let mut options = with_video();
        options["custom"] = json!({ "generateAvForUa": "" });
        pictures_are_added(options, "0 ", |page, call| {
            page.wait_heard(call, PAGE_TONE, secs(5));
        });
    });
}

fn phone_with_camera(scene: &Scene, codec: &str) -> Baresip {
    let file = scene.bench.path("phone-sees.y4m");
    pattern::write_y4m(&file, PHONE_MARK, (320, 240), 15, 60);
    baresip::Plan::new("1002", PHONE_TONE).camera(codec, &file).auto_answer().start(&scene.bench, &scene.pbx)
}

/// The phone takes its pictures out of the call by re-INVITE, and back in.
fn pictures_go_and_come(codec: &str) {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = phone_with_camera(&scene, codec);
        let page = page_with_camera(&scene);
        let call = page.call_with("1002", with_video());
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5)).at;
        wait_camera(&page, &call, answered);

        let dropped = moment();
        phone.command("video_dir", "inactive");
        let still = wait_still(&page, &call, dropped);
        println!("{codec}: still picture {:.0} ms after the camera went", still - dropped);
        assert!(still - dropped < 1000.0, "{:.0} ms", still - dropped);
        assert_still_and_small(&page, &call);
        assert_eq!(page.run("element", json!([call]))["muted"], false);

        let back = moment();
        phone.command("video_dir", "sendrecv");
        let camera = wait_camera(&page, &call, back);
        println!("{codec}: the camera {:.0} ms after it came back", camera - back);
        // From then on no still picture comes any more.
        std::thread::sleep(secs(2));
        assert!(pictures_since(&page, &call, camera).iter().all(|(_, still)| !still));
        let ended = moment();
        page.heard(&call).between(answered + 500.0, ended).assert_tone(PHONE_TONE);
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        scene.assert_no_call_left();
    });
}

#[test]
fn rq15_h264_goes_in_the_middle_of_a_call_and_comes_back() {
    pictures_go_and_come("h264");
}

#[test]
fn rq15_vp8_goes_in_the_middle_of_a_call_and_comes_back() {
    pictures_go_and_come("vp8");
}

#[test]
fn a_page_without_microphone_and_camera_is_a_still_picture_to_the_phone() {
    fairly(|| {
        let scene = Scene::new();
        let phone = phone_with_camera(&scene, "h264");
        let page = scene.page();
        let options = json!({ "constraints": { "audio": false, "video": false }, "receiveVideo": true });
        let call = page.call_with("1002", options);
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5)).at;
        wait_camera(&page, &call, answered);
        let seen = wait_for("pictures at the phone", secs(10), || {
            let seen = phone.sees();
            ((seen.width, seen.height) == STILL).then_some(seen)
        });
        assert_eq!(seen.says, None, "it is no camera's");
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
    });
}
