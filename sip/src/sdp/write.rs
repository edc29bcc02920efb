//! Our model to SDP text.

use std::fmt::{self, Display, Write};

use super::{Attribute, Direction, Format, Media, Session};

/// Prints the description with CRLF line ends. Control characters within a value are left out, so that no value, wherever
/// it came from, can add a line.
impl Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        line(f, 'v', &"0")?;
        line(
            f,
            'o',
            &format_args!(
                "{} {} {} IN {} {}",
                origin.username,
                origin.id,
                origin.version,
                family(&origin.address),
                origin.address
            ),
        )?;
        line(f, 's', &"-")?;
        connection(f, self.connection.as_deref())?;
        for extra in &self.extra_lines {
            write!(Clean(f), "{extra}")?;
            f.write_str("\r\n")?;
        }
        line(f, 't', &"0 0")?;
        direction(f, self.direction)?;
        attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| write_media(f, media))
    }
}

fn write_media(f: &mut fmt::Formatter<'_>, media: &Media) -> fmt::Result {
    line(f, 'm', &format_args!("{} {} {}{}", media.kind.as_str(), media.port, media.protocol, Words(media)))?;
    connection(f, media.connection.as_deref())?;
    for bandwidth in &media.bandwidth {
        line(f, 'b', bandwidth)?;
    }
    media.formats.iter().try_for_each(|format| write_format(f, format))?;
    if let Some(ptime) = media.ptime {
        line(f, 'a', &format_args!("ptime:{ptime}"))?;
    }
    if let Some(max_ptime) = media.max_ptime {
        line(f, 'a', &format_args!("maxptime:{max_ptime}"))?;
    }
    if let Some(rtcp) = &media.rtcp {
        match &rtcp.address {
            Some(address) => {
                line(f, 'a', &format_args!("rtcp:{} IN {} {address}", rtcp.port, family(address)))?
            }
            None => line(f, 'a', &format_args!("rtcp:{}", rtcp.port))?,
        }
    }
    if media.rtcp_mux {
        line(f, 'a', &"rtcp-mux")?;
    }
    for crypto in &media.crypto {
        line(f, 'a', &format_args!("crypto:{}", crypto.reveal()))?;
    }
    direction(f, media.direction)?;
    attributes(f, &media.attributes)
}

/// `a=rtpmap` also for static numbers, as RFC 3264 §5.1 asks.
fn write_format(f: &mut fmt::Formatter<'_>, format: &Format) -> fmt::Result {
    if !format.encoding.is_empty() {
        line(f, 'a', &format_args!("rtpmap:{} {format}", format.payload_type))?;
    }
    match &format.fmtp {
        Some(fmtp) => line(f, 'a', &format_args!("fmtp:{} {fmtp}", format.payload_type)),
        None => Ok(()),
    }
}

fn connection(f: &mut fmt::Formatter<'_>, address: Option<&str>) -> fmt::Result {
    match address {
        Some(address) => line(f, 'c', &format_args!("IN {} {address}", family(address))),
        None => Ok(()),
    }
}

fn direction(f: &mut fmt::Formatter<'_>, direction: Option<Direction>) -> fmt::Result {
    direction.map_or(Ok(()), |direction| line(f, 'a', &direction))
}

fn attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    attributes.iter().try_for_each(|attribute| match &attribute.value {
        Some(value) => line(f, 'a', &format_args!("{}:{value}", attribute.name)),
        None => line(f, 'a', &attribute.name),
    })
}

fn line(f: &mut fmt::Formatter<'_>, letter: char, value: &dyn Display) -> fmt::Result {
    write!(f, "{letter}=")?;
    write!(Clean(f), "{value}")?;
    f.write_str("\r\n")
}

fn family(address: &str) -> &'static str {
    if address.contains(':') { "IP6" } else { "IP4" }
}

/// The format words of an m-line. The grammar wants at least one, so a line that lost all gets `0`.
struct Words<'a>(&'a Media);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for format in &self.0.formats {
            write!(f, " {}", format.payload_type)?;
        }
        for word in &self.0.other_formats {
            write!(f, " {word}")?;
        }
        if self.0.formats.is_empty() && self.0.other_formats.is_empty() { f.write_str(" 0") } else { Ok(()) }
    }
}

/// Leaves control characters out.
struct Clean<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Clean<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().filter(|c| !c.is_control()).try_for_each(|c| self.0.write_char(c))
    }
}
