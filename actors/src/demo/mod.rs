//! The SIP peer of `tandem demo`: a registrar, a proxy and answering machines on loopback, built from the same SIP layer and the
//! same legs as the gateway.
mod bindings;
mod exchange;
mod film;
pub mod machine;
pub mod registrar;
mod script;

use std::io;

use actix::{Actor, Addr};

use crate::dialog::SipSide;
pub use exchange::Exchange;
pub use machine::{Machine, Service};
pub use registrar::{ACCOUNTS, ADDRESS, DemoCall, DemoTarget, Registrar};

/// What keeps the demo alive.
pub struct Demo {
    _registrar: Addr<Registrar>,
}

/// Opens the demo's registrar and machines at 127.0.0.1:`port`. They share the gateway's RTP ports and counters.
pub async fn open(port: u16, gateway: &SipSide) -> io::Result<Demo> {
    let endpoint = registrar::open(port, &gateway.meters).await?;
    let sip = SipSide { endpoint: endpoint.clone(), ..gateway.clone() };
    let calls = Exchange::new(sip).start().recipient();
    Ok(Demo { _registrar: Registrar::serve(endpoint, calls, &gateway.meters) })
}
