//! The arrows of the house: crates know only what they may, and inside `actors` a module uses only lower floors.
#![allow(clippy::unwrap_used, missing_docs)]
use std::fs;
use std::path::{Path, PathBuf};

/// Floors of `actors/src`, lowest first; neighbours on one floor are strangers.
const FLOORS: &[&[&str]] = &[
    &["vocabulary", "udp"],
    &["rtp", "quality", "sip", "lanes"],
    &["leg", "transcoder", "generator"],
    &["page"],
    &["browser", "dialog", "registration", "courier", "mailbox", "call"],
    &["session", "demo"],
    &["switchboard"],
    &["handle"],
];

/// Folders of `sip/src`, lowest first.
const SIP_FLOORS: &[&[&str]] =
    &[&["message"], &["transport", "sdp", "auth"], &["transaction", "resolve", "dialog"]];

/// Crates that a crate of the house must not name in its manifest.
const STRANGERS: &[(&str, &[&str])] = &[
    ("codecs", &["actix", "actix-rt", "tokio", "actors", "sip", "str0m"]),
    ("sip", &["actix", "actix-rt", "tokio", "actors", "codecs", "str0m"]),
    ("actors", &["actix-web", "actix-ws", "actix-files", "serde", "serde_json"]),
];

/// Foreign crates that exactly one file may import: a swap touches one file.
const ONE_FILE: &[(&str, &str)] = &[
    ("str0m", "actors/src/browser/stack.rs"),
    ("dimpl", "actors/src/browser/dtls.rs"),
    ("hickory_resolver", "actors/src/sip/dns.rs"),
    ("tokio_rustls", "actors/src/sip/tls.rs"),
    ("rustls_native_certs", "actors/src/sip/tls.rs"),
    ("rtc_rtp", "actors/src/rtp/packet.rs"),
    ("rtc_rtcp", "actors/src/rtp/rtcp.rs"),
    ("rtc_srtp", "actors/src/rtp/srtp.rs"),
    ("prometheus", "actors/src/vocabulary/meters.rs"),
    ("opus", "codecs/src/audio/opus.rs"),
    ("openh264", "codecs/src/video/openh264.rs"),
    ("vpx_sys", "codecs/src/video/libvpx.rs"),
    ("libloading", "codecs/src/audio/g729.rs"),
    ("sdp_types", "sip/src/sdp/parse.rs"),
    ("toml", "src/config/mod.rs"),
];

/// Longest file; the aim is 250 lines.
const MAX_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    let mut found = vec![];
    walk(&root().join(folder), &mut found);
    found
}

/// Lines of code with their numbers, comments left out.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.map(|(index, line)| (index + 1, line.to_owned())).collect()
}

/// The words that follow `mark` in a line.
fn words_after<'a>(line: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    line.split(mark).skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

fn none(wrong: Vec<String>, what: &str) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

fn check_floors(folder: &str, floors: &[&[&str]]) {
    let floor = |module: &str| floors.iter().position(|floor| floor.contains(&module));
    let mut wrong = vec![];
    for file in rust_files(folder) {
        let inside = file.strip_prefix(folder).unwrap();
        let me = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let Some(mine) = floor(me) else { continue };
        for (number, line) in code(&file) {
            let up = |to: &&str| *to != me && floor(to).is_some_and(|its| its >= mine);
            wrong.extend(
                words_after(&line, "crate::")
                    .filter(up)
                    .map(|to| format!("{}:{number}: {to}", file.display())),
            );
        }
    }
    none(wrong, "arrows that point up or sideways");
}

#[test]
fn arrows_inside_actors_point_down() {
    check_floors("actors/src", FLOORS);
}

#[test]
fn arrows_inside_sip_point_down() {
    check_floors("sip/src", SIP_FLOORS);
}

#[test]
fn crates_name_only_whom_they_may_know() {
    for (name, strangers) in STRANGERS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for stranger in *strangers {
            let named = |line: &str| line.trim_start().split([' ', '.', '=']).next() == Some(stranger);
            assert!(!manifest.lines().any(named), "{name} must not know {stranger}");
        }
    }
}

#[test]
fn src_enters_actors_by_its_one_door() {
    let mut wrong = vec![];
    for file in rust_files("src") {
        for (number, line) in code(&file) {
            let side = words_after(&line, "actors::").filter(|to| *to != "handle");
            wrong.extend(side.map(|to| format!("{}:{number}: actors::{to}", file.display())));
        }
    }
    none(wrong, "side doors");
}

#[test]
fn each_foreign_library_has_one_file() {
    let folders = ["src", "actors/src", "sip/src", "codecs/src"];
    let mut wrong = vec![];
    for file in folders.into_iter().flat_map(rust_files) {
        let code = code(&file);
        for (library, home) in ONE_FILE {
            let path = format!("{library}::");
            let inner =
                |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let imports = |line: &String| line.split_once(&path).is_some_and(|(before, _)| !inner(before));
            if file != Path::new(home) && code.iter().any(|(_, line)| imports(line)) {
                wrong.push(format!("{}: {library} belongs to {home}", file.display()));
            }
        }
    }
    none(wrong, "foreign libraries out of their file");
}

#[test]
fn only_codecs_that_wrap_c_are_unsafe() {
    let folders = ["src", "actors", "sip", "codecs", "tests", "benches"];
    let wraps_c = |file: &PathBuf| {
        let video = ["codecs/src/video/openh264.rs", "codecs/src/video/libvpx.rs"];
        file.starts_with("codecs/src/audio") || video.iter().any(|wraps| file == Path::new(wraps))
    };
    let mut wrong = vec![];
    for file in folders.into_iter().flat_map(rust_files).filter(|file| !wraps_c(file)) {
        let allowed = |line: &String| line.contains("(unsafe_code)") && !line.contains("line.contains");
        wrong.extend(
            code(&file).into_iter().filter(|(_, line)| allowed(line)).map(|_| file.display().to_string()),
        );
    }
    none(wrong, "unsafe code");
}

#[test]
fn pure_code_is_told_the_time() {
    let pure = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        !file.starts_with("actors") || ["state.rs", "wiring.rs", "book.rs"].contains(&name)
    };
    let mut wrong = vec![];
    for file in ["sip/src", "codecs/src", "actors/src"].into_iter().flat_map(rust_files).filter(pure) {
        let code = code(&file);
        let is_test = file.to_str().unwrap().contains("test");
        let tests = code.iter().position(|(_, line)| line.contains("#[cfg(test)]"));
        let product = if is_test { 0 } else { tests.unwrap_or(code.len()) };
        for (number, line) in &code[..product] {
            if line.contains("Instant::now()") || line.contains("SystemTime::now()") {
                wrong.push(format!("{}:{number}", file.display()));
            }
        }
    }
    none(wrong, "pure code that reads a clock");
}

#[test]
fn no_actix_prelude_and_no_file_too_long_to_read() {
    let mut wrong = vec![];
    for file in ["src", "actors", "sip", "codecs", "tests", "benches"].into_iter().flat_map(rust_files) {
        let lines = fs::read_to_string(root().join(&file)).unwrap().lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} lines, {MAX_LINES} at most", file.display()));
        }
        if !file.ends_with("arrows.rs") && code(&file).iter().any(|(_, line)| line.contains("actix::prelude"))
        {
            wrong.push(format!("{}: import actix names one by one", file.display()));
        }
    }
    none(wrong, "house rules");
}

/// Names of the types in `file` that derive actix's `Message`.
fn messages(file: &Path) -> Vec<String> {
    let code = code(file);
    let derives =
        |line: &str| line.contains("derive(") && (line.contains("Message)") || line.contains("Message,"));
    let mut found = vec![];
    for (index, (_, line)) in code.iter().enumerate() {
        if derives(line) {
            let named = code[index..].iter().find_map(|(_, line)| {
                ["struct ", "enum "].iter().find_map(|kind| words_after(line, kind).next().map(str::to_owned))
            });
            found.extend(named);
        }
    }
    found
}

#[test]
fn every_message_stands_on_the_map() {
    let map = fs::read_to_string(root().join("actors/README.md")).unwrap();
    let all: Vec<String> = rust_files("actors/src").iter().flat_map(|file| messages(file)).collect();
    assert!(all.len() > 20, "the search finds the messages");
    let missing = all.into_iter().filter(|name| !map.contains(&format!("`{name}`")));
    none(missing.collect(), "messages that actors/README.md does not show");
}
