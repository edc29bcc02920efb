//! What the transaction layer does with the messages of a far side, in virtual time. The far side is text; what the layer says is text.
#![allow(clippy::unwrap_used)]

mod client_side;
mod server_side;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::message::{Message, Request, Response, parse};
use sip::transaction::{Layer, Limits, Output, ServerKey, Timers};
use sip::transport::{Flow, Transport};

/// A layer, the time, and a far side.
struct Bench {
    layer: Layer,
    now: Instant,
    flow: Flow,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        Self::with_limits(transport, Limits::default())
    }

    fn with_limits(transport: Transport, limits: Limits) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let flow = Flow { transport, local: address("192.0.2.1:5060"), remote: address("192.0.2.9:5060") };
        Self { layer: Layer::new(Timers::default(), limits), now: Instant::now(), flow }
    }

    fn receive(&mut self, text: &str) -> Vec<String> {
        self.layer.receive(self.now, text.as_bytes(), self.flow);
        self.said()
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut said = Vec::new();
        while let Some(at) = self.layer.next_deadline().filter(|at| *at <= end) {
            self.now = at;
            self.layer.handle_timeout(at);
            said.extend(self.said());
        }
        self.now = end;
        said
    }

    fn respond(&mut self, key: ServerKey, response: Response) -> Vec<String> {
        assert!(self.layer.respond(self.now, key, response), "the transaction lives");
        self.said()
    }

    /// The next request for the user.
    fn request(&mut self, text: &str) -> (ServerKey, Request) {
        self.layer.receive(self.now, text.as_bytes(), self.flow);
        match self.layer.poll() {
            Some(Output::Request { key, request, .. }) => (key, request),
            other => panic!("no request for the user: {other:?}"),
        }
    }

    fn said(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.layer.poll()).map(|output| told(&output)).collect()
    }
}

/// An output in a few words: `> 200 INVITE` is sent, everything else is for the user.
fn told(output: &Output) -> String {
    match output {
        Output::Transmit { bytes, .. } => match parse(bytes).unwrap() {
            Message::Request(request) => format!("> {}", request.method),
            Message::Response(response) => format!("> {}", answer(&response)),
        },
        Output::Request { request, .. } => format!("request {}", request.method),
        Output::Ack { invite, .. } => {
            format!("ack{}", if invite.is_some() { " of the transaction" } else { "" })
        }
        Output::Cancelled { .. } => "cancelled".to_owned(),
        Output::Response { response, .. } => answer(response),
        Output::TimedOut { .. } => "timed out".to_owned(),
        Output::TransportFailed { .. } => "transport failed".to_owned(),
        Output::ClientEnded { .. } | Output::ServerEnded { .. } => "ended".to_owned(),
        Output::ServerFailed { why, .. } => format!("failed: {why:?}"),
    }
}

fn answer(response: &Response) -> String {
    format!("{} {}", response.code, response.headers.cseq().unwrap().method)
}
