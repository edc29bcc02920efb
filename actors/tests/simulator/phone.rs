//! The far side of one call: the real transaction layer over a bad network, and a user who does what dice say.
mod called;
mod calling;
mod talking;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sip::dialog::{AckWait, Dialog};
use sip::message::{NameAddr, Request, StatusCode, Uri, random_tag};
use sip::transaction::{ClientKey, Layer, Limits, Output, ServerKey, Timers};
use sip::transport::Flow;
use tokio::net::UdpSocket;
use tokio::time::sleep_until;

use super::network::{Dice, Network};
use super::story::Story;
use super::{now, pick};
use talking::Deed;

/// What the user means to do.
enum Plan {
    Respond(ServerKey, StatusCode, &'static str),
    RepeatSuccess(ServerKey),
    Cancel,
    Deed(Deed),
}

/// What he is like; thrown once.
struct Manner {
    /// Of 100 requests inside the call, so many are answered as they should be.
    good: u64,
    /// Of 100 ACKs, so many are sent.
    acknowledges: u64,
    /// Hears nothing and says nothing.
    deaf: bool,
    forks: bool,
    session: &'static str,
}

pub struct Phone {
    socket: UdpSocket,
    flow: Flow,
    layer: Layer,
    network: Network,
    dice: Dice,
    manner: Manner,
    story: Rc<Story>,
    plans: BTreeMap<(Instant, u64), Plan>,
    count: u64,
    /// Requests that came and may still be answered.
    received: BTreeMap<ServerKey, Request>,
    waits: BTreeMap<ServerKey, AckWait>,
    /// Our first INVITE, if we call.
    calling: Option<(ClientKey, Request)>,
    /// Our re-INVITE that is out.
    reinviting: Option<(ClientKey, Request)>,
    dialog: Option<Dialog>,
    tag: String,
    talks: bool,
}

impl Phone {
    pub async fn new(house: SocketAddr, network: Network, mut dice: Dice, story: Rc<Story>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let flow = Flow {
            transport: sip::transport::Transport::Udp,
            local: socket.local_addr().unwrap(),
            remote: house,
        };
        let manner = Manner {
            good: pick(&mut dice, &[100, 100, 70, 20]),
            acknowledges: pick(&mut dice, &[100, 100, 100, 50, 0]),
            deaf: dice.percent(6),
            forks: dice.percent(10),
            session: pick(&mut dice, &["", "", "20;refresher=uac", "20;refresher=uas", "1800;refresher=uac"]),
        };
        Self {
            socket,
            flow,
            layer: Layer::new(Timers::default(), Limits::default()),
            network,
            dice,
            manner,
            story,
            plans: BTreeMap::new(),
            count: 0,
            received: BTreeMap::new(),
            waits: BTreeMap::new(),
            calling: None,
            reinviting: None,
            dialog: None,
            tag: random_tag(),
            talks: false,
        }
    }

    pub fn at(&self) -> SocketAddr {
        self.flow.local
    }

    /// Lives until it is dropped.
    pub async fn live(mut self) {
        let mut buffer = vec![0; 65_535];
        loop {
            self.act();
            let next = [self.network.next_arrival(), self.next_plan(), self.layer.next_deadline()];
            let until = next.into_iter().flatten().min().unwrap_or_else(|| now() + Duration::from_secs(3600));
            tokio::select! {
                got = self.socket.recv_from(&mut buffer) => {
                    // An error is the echo of a datagram that nobody took.
                    let Ok((length, _)) = got else { continue };
                    let sent = Flow { local: self.flow.remote, remote: self.flow.local, ..self.flow };
                    self.network.send(now(), &mut self.dice, buffer[..length].to_vec().into(), sent);
                }
                () = sleep_until(until.into()) => {}
            }
        }
    }

    fn act(&mut self) {
        let now = now();
        while let Some((bytes, flow)) = self.network.arrive(now) {
            if flow.local != self.flow.local {
                // The house may be gone at the end of a run.
                let _ = self.socket.try_send_to(&bytes, self.flow.remote);
            } else if !self.manner.deaf {
                self.layer.receive(now, &bytes, flow);
            }
        }
        self.drain();
        while self.next_plan().is_some_and(|at| at <= now) {
            let (_, plan) = self.plans.pop_first().unwrap();
            if !self.manner.deaf {
                self.carry_out(plan);
                self.drain();
            }
        }
        self.layer.handle_timeout(now);
        self.drain();
    }

    fn next_plan(&self) -> Option<Instant> {
        self.plans.first_key_value().map(|((at, _), _)| *at)
    }

    fn plan(&mut self, after: Duration, plan: Plan) {
        self.count += 1;
        self.plans.insert((now() + after, self.count), plan);
    }

    fn drain(&mut self) {
        while let Some(output) = self.layer.poll() {
            match output {
                Output::Transmit { .. } if self.manner.deaf => {}
                Output::Transmit { bytes, flow } => self.network.send(now(), &mut self.dice, bytes, flow),
                Output::Request { key, request, .. } => self.consider(key, request),
                Output::Ack { request, .. } => {
                    self.waits.values_mut().for_each(|wait| _ = wait.on_ack(&request));
                    self.talk();
                }
                Output::Cancelled { invite, .. } => {
                    let code = pick(
                        &mut self.dice,
                        &[StatusCode::REQUEST_TERMINATED, StatusCode::OK, StatusCode::OK],
                    );
                    let after = self.dice.ms(300);
                    if !self.dice.percent(10) {
                        self.plan(after, Plan::Respond(invite, code, "good"));
                    }
                }
                Output::Response { key, response, .. } => self.heard(key, &response),
                Output::ServerEnded { key } => {
                    self.received.remove(&key);
                }
                _ => {}
            }
        }
    }

    fn carry_out(&mut self, plan: Plan) {
        match plan {
            Plan::Respond(key, code, body) => self.respond(key, code, body),
            Plan::RepeatSuccess(key) => self.repeat(key),
            Plan::Cancel => {
                if let Some((key, _)) = &self.calling {
                    self.story.acted("the phone cancels");
                    self.layer.cancel(now(), *key, None);
                }
            }
            Plan::Deed(deed) => self.do_it(deed),
        }
    }

    fn contact(&self) -> NameAddr {
        NameAddr::new(format!("sip:phone@{}", self.flow.local).parse::<Uri>().unwrap())
    }

    /// Media goes to the discard port: nobody listens.
    fn sdp(&self, direction: &str, kind: &str) -> String {
        let version = self.count;
        let format = if kind == "bad" {
            "18\r\na=rtpmap:18 G729/8000"
        } else {
            "0 101\r\na=rtpmap:101 telephone-event/8000"
        };
        match kind {
            "" => String::new(),
            _ => format!(
                "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 9 RTP/AVP {format}\r\na={direction}\r\n"
            ),
        }
    }
}
