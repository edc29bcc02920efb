//! Logs: text for people or JSON for machines, on standard error. Whatever callers and far ends put into a line,
//! it stays one line.
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogSettings;

/// Starts logging; once per process, a second call changes nothing.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::new(&settings.filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(OneLine);
    let started =
        if settings.json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Makes writers that escape control characters.
struct OneLine;

/// Writes one event.
struct EventWriter;

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = EventWriter;

    fn make_writer(&'a self) -> Self::Writer {
        EventWriter
    }
}

impl Write for EventWriter {
    /// Takes a whole event, as the formatter hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = escaped(text.trim_end_matches('\n')).into_owned();
        line.push('\n');
        io::stderr().lock().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// `line` with every control character written out, so that no line break, escape sequence or direction mark
/// from outside can forge or hide a line.
fn escaped(line: &str) -> Cow<'_, str> {
    let is_bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !line.contains(is_bad) {
        return Cow::Borrowed(line);
    }
    let mut all = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match is_bad(c) {
            true => write!(all, "\\u{{{:x}}}", u32::from(c)).expect("writing into memory does not fail"),
            false => all.push(c),
        }
    }
    Cow::Owned(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(escaped("plain ä 🙂"), "plain ä 🙂");
        assert_eq!(escaped("a\r\nINFO forged"), "a\\u{d}\\u{a}INFO forged");
        assert_eq!(escaped("\u{1b}[2J\u{9b}1m\u{0}\u{7f}"), "\\u{1b}[2J\\u{9b}1m\\u{0}\\u{7f}");
        assert_eq!(escaped("\u{202e}txt"), "\\u{202e}txt");
    }
}
