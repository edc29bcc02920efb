//! The bench proves that it sees, before it proves anything else: pictures that say which they are, through real codecs and peers,
//! without Tandem.

mod support;

use serde_json::json;
use std::process::Command;
use support::pattern::{self, Mark, PAGE_MARK, PHONE_MARK};
use support::{Bench, Kamailio, Tone, Web, baresip, secs};

const SIZE: (usize, usize) = (320, 240);

#[test]
fn pictures_can_be_read_after_a_codec_and_not_when_they_are_turned() {
    let bench = Bench::new();
    let source = bench.path("source.y4m");
    pattern::write_y4m(&source, PAGE_MARK, SIZE, 15, 40);
    let through = |name: &str, options: &[&str]| {
        let file = bench.path(name);
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(&source)
            .args(options)
            .arg(&file)
            .status();
        assert!(status.expect("ffmpeg").success(), "{name}");
        pattern::of_file(&file)
    };
    for (name, options) in [
        ("a.h264", vec!["-c:v", "libx264", "-b:v", "200k", "-pix_fmt", "yuv420p"]),
        ("a.ivf", vec!["-c:v", "libvpx", "-b:v", "200k"]),
        ("small.ivf", vec!["-c:v", "libvpx", "-b:v", "200k", "-vf", "scale=160:120"]),
    ] {
        let seen = through(name, &options);
        assert_eq!(seen.len(), 40, "{name}");
        assert_eq!(pattern::assert_moving(&seen, PAGE_MARK, 40), 40, "{name}");
    }
    for turn in ["hflip", "vflip", "hflip,vflip", "transpose=1", "negate"] {
        let seen = through("turned.ivf", &["-c:v", "libvpx", "-b:v", "200k", "-vf", turn]);
        let right = seen.iter().filter(|picture| matches!(picture.says, Some((PAGE_MARK, _)))).count();
        assert_eq!(right, 0, "{turn}");
    }
    assert!(pattern::of_file(&bench.path("nothing.ivf")).is_empty());
    assert_ne!(PAGE_MARK, Mark(0));
}

#[test]
fn a_page_shows_the_pictures_of_its_camera() {
    let bench = Bench::new();
    let web = Web::start(&bench);
    let page = web.page_with_camera("alice", Tone::of(880), PAGE_MARK, SIZE);
    page.run("loopback", json!([{ "width": 320, "height": 240, "frameRate": 15 }]));
    std::thread::sleep(secs(4));
    let seen = page.seen("loopback");
    let moving = pattern::assert_moving(&seen, PAGE_MARK, 25);
    println!("{} pictures, {moving} different, {}x{}", seen.len(), seen[0].width, seen[0].height);
}

/// Two phones show each other their pictures.
fn two_phones_see_each_other(codec: &str) {
    let bench = Bench::new();
    let pbx = Kamailio::start(&bench);
    let camera = |mark, name: &str| {
        let file = bench.path(name);
        pattern::write_y4m(&file, mark, SIZE, 15, 60);
        file
    };
    let (low, high) = (camera(PAGE_MARK, "low.y4m"), camera(PHONE_MARK, "high.y4m"));
    let caller = baresip::Plan::new("1001", Tone::of(440)).camera(codec, &low).start(&bench, &pbx);
    let called =
        baresip::Plan::new("1002", Tone::of(1000)).camera(codec, &high).auto_answer().start(&bench, &pbx);
    caller.dial("1002");
    called.wait("CALL_ESTABLISHED", secs(5));
    std::thread::sleep(secs(3));
    for (phone, mark) in [(&caller, PHONE_MARK), (&called, PAGE_MARK)] {
        let seen: Vec<_> = (0..2).map(|_| phone.sees()).collect();
        pattern::assert_moving(&seen, mark, 2);
    }
    caller.hang_up();
    called.wait("CALL_CLOSED", secs(5));
}

#[test]
fn two_phones_see_each_other_in_vp8() {
    two_phones_see_each_other("vp8");
}

#[test]
fn two_phones_see_each_other_in_h264() {
    two_phones_see_each_other("h264");
}
