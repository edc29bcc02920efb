//! The contract between a call and anything that can be called.
//!
//! A call joins two legs and does not know what they are: a browser, a SIP dialog, an answering machine.
//! Commands go down and are imperative; reports come up and are in the past tense. A leg never waits for
//! its call.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Message, Recipient};
use sip::message::Uri;

use crate::quality::SoundNews;
use crate::vocabulary::{Additions, EndReason, Measured, MediaFormat, Packet, Side, Sink};

/// What a call tells a leg.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum LegCommand {
    /// Callee leg: start. Send the INVITE, offer to the page.
    Dial,
    /// Caller leg: the other side rings. 180, `ring`. A leg that talks: somebody rings in the place of the other side, which has left.
    Ring,
    /// Nobody rings any more.
    Quiet,
    /// Caller leg: the other side sends sound before it answers.
    RingMedia,
    /// The other side's media are agreed, or have changed. A leg whose own SDP waits for them goes on.
    Agree(MediaFormat),
    /// The other side's page wants this said in the answer. Comes before [`LegCommand::Answer`].
    Add(Additions),
    /// The call is answered. A SIP caller gets its 200; a page, caller or callee, gets `talk`.
    Answer,
    /// Send the sound that you receive there; `None`: nowhere.
    Plug(Option<Sink>),
    /// Send the pictures that you receive there; `None`: nowhere.
    PlugVideo(Option<Sink>),
    /// Ask your far end for a key frame, by whatever it understands; once per second at most.
    AskKeyFrame,
    /// Ask your far end to send no more bits of video per second than this.
    LimitVideo(u32),
    /// Show your far end a still picture when the other side has sent none for so long; `None`: never.
    StandIn(Option<Duration>),
    /// Hold your far end: re-INVITE, and report [`LegEvent::Held`], or [`LegEvent::Refused`].
    Hold,
    /// Take your far end out of hold; report [`LegEvent::Resumed`] or [`LegEvent::Refused`].
    Resume,
    /// The hold that your far end asked for stands now, or stands no more.
    ShowHold(bool),
    /// The other side's far end holds the call itself, or does no more. Said again whenever its media are agreed.
    ShowRemoteHold(bool),
    /// Ask your far end to call this address instead, and see what comes of it: report [`LegEvent::Ended`] when it does, or
    /// [`LegEvent::TransferRefused`].
    Transfer(Uri),
    /// The transfer that your far end asked for came to nothing; the call is as it was.
    ShowTransferRefused {
        /// Whether the other side is held.
        held: bool,
        /// Why.
        why: EndReason,
    },
    /// Say how somebody else could take your far end over: [`LegEvent::Introduced`].
    Introduce,
    /// Say how your sound fares: [`LegEvent::Measured`].
    Measure,
    /// Tell your far end how the call sounds, if it wants to know.
    ShowSound(SoundNews),
    /// How the leg fares that you offered as your successor.
    SuccessorFared(Fared),
    /// Send digits (`0-9*#A-D`, in order) to your far end.
    SendDigits(Digits),
    /// End, whatever you are doing, and say so to your far end. Idempotent.
    HangUp(EndReason),
}

/// How a leg fares that is to take the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fared {
    /// Its far end rings.
    Rang,
    /// It has taken the place; [`LegCommand::HangUp`] follows.
    Answered,
    /// It came to nothing; the old leg stays.
    Failed(EndReason),
}

/// Digits and how they are to travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    /// Characters of `0-9*#A-D`.
    pub digits: String,
    /// The way the page asked for.
    pub method: DigitMethod,
}

/// How digits travel on the SIP side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigitMethod {
    /// telephone-event packets (RFC 4733).
    #[default]
    Rfc2833,
    /// SIP INFO with `application/dtmf`.
    Info,
    /// SIP INFO with `application/dtmf-relay`.
    InfoRelay,
}

/// What a leg tells its call.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct LegReport {
    /// Which end of the call speaks.
    pub side: Side,
    /// Which leg of that end: several may ring at once (RFC 3261 calls them branches).
    pub branch: usize,
    /// What happened.
    pub event: LegEvent,
}

/// What happened at a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// The far end rings.
    Rang,
    /// The far end sends sound before it answers: an announcement, the network's own ringing tone.
    SentEarlyMedia,
    /// The far end's media are agreed; again when they change.
    MediaAgreed(MediaFormat),
    /// The far end cannot go on without a key frame.
    KeyFrameWanted,
    /// The far end takes no more bits of video per second than this, for now.
    VideoLimited(u32),
    /// What the far end runs (User-Agent, Server). Comes before its media are agreed.
    SoftwareSeen(Box<str>),
    /// The far end is about to answer and wants this said to the other side besides.
    AdditionsGiven(Additions),
    /// The far end answered.
    Answered,
    /// The far end (a page, or a phone that says so) wants the other side held.
    HoldAsked,
    /// ... and back.
    ResumeAsked,
    /// [`LegCommand::Hold`] is done.
    Held,
    /// [`LegCommand::Resume`] is done.
    Resumed,
    /// Whether the far end holds the call itself, by its SDP (RFC 3264 §8.4); follows each [`LegEvent::MediaAgreed`] of a phone.
    RemoteHeld(bool),
    /// [`LegCommand::Hold`] or [`LegCommand::Resume`] was refused; things are as before.
    Refused(EndReason),
    /// The far end wants the other side to call this address instead.
    TransferAsked(Uri),
    /// [`LegCommand::Transfer`] came to nothing; things are as before.
    TransferRefused(EndReason),
    /// Whoever calls this address takes the far end over; `None`: nobody can.
    Introduced(Option<Uri>),
    /// Another leg is to take the place of this one, if its far end answers.
    SuccessorOffered(Successor),
    /// The far end wants these digits sent to the other side.
    DigitsAsked(Digits),
    /// How the leg's sound fares; also said before [`LegEvent::Ended`] by a leg that cannot be asked afterwards.
    Measured(Measured),
    /// The leg is over.
    Ended(EndReason),
}

/// A leg that is to take the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its number among the legs of that end.
    pub branch: usize,
    /// The leg; not started yet.
    pub leg: Leg,
    /// Its far end calls us and waits for our answer; else we call.
    pub comes_in: bool,
}

/// A number for a leg that joins a running call: none that rang has it, and no other that joined.
pub fn fresh_branch() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A leg as its call holds it. Strong: the call keeps its legs alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Takes commands.
    pub commands: Recipient<LegCommand>,
    /// Takes what the other leg sends.
    pub packets: Recipient<Packet>,
}
