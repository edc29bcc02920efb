//! What the program can be told to do.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use actix_web::rt::System;
use actors::handle::{DEMO_ACCOUNTS, DEMO_PORT};
use anyhow::Result;

use crate::app::{House, addresses, asked_to_stop};
use crate::config::{self, Settings};
use crate::http::{DemoHints, PhoneHints};
use crate::telemetry;

/// Where the demo's registrar and answering machines are.
const DEMO_REGISTRAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEMO_PORT);

/// Runs the gateway until it is asked to stop.
pub fn serve(file: Option<&Path>) -> Result<()> {
    let settings = Settings::load(file, environment())?;
    telemetry::start(&settings.log);
    warn_about(&settings);
    System::new().block_on(async {
        let house = House::start(settings, PhoneHints::default()).await?;
        asked_to_stop().await?;
        house.stop().await;
        Ok(())
    })
}

/// Runs the gateway with something to call, on loopback.
pub fn demo() -> Result<()> {
    let settings = Settings::demo(environment())?;
    telemetry::start(&settings.log);
    let accounts: Vec<_> =
        DEMO_ACCOUNTS.map(|number| (number.to_string(), format!("demo{number}"))).collect();
    let hints = DemoHints {
        domain: DEMO_REGISTRAR.ip().to_string(),
        port: DEMO_REGISTRAR.port(),
        accounts: accounts.clone(),
        services: services(),
    };
    System::new().block_on(async {
        let house = House::start(settings, PhoneHints { demo: Some(hints) }).await?;
        let _registrar = house.switch().start_demo(DEMO_REGISTRAR.port()).await?;
        println!("{}", welcome(house.web_addresses(), &accounts));
        asked_to_stop().await?;
        house.stop().await;
        Ok(())
    })
}

/// Says whether the settings can be used.
pub fn check(file: Option<&Path>) -> Result<()> {
    let settings = Settings::load(file, environment())?;
    for warning in config::warnings(&settings, &addresses()) {
        println!("warning: {warning}");
    }
    println!("the settings are valid");
    Ok(())
}

/// What answers in the demo, and what it does.
fn services() -> Vec<(String, String)> {
    [
        ("echo", "says back what you say, and shows what you show"),
        ("video", "shows a picture that moves, and plays the tone"),
        ("tone", "plays a tone of 440 Hz"),
        ("ivr", "counts in tones, and beeps for each digit you press"),
        ("busy", "is always busy"),
        ("noanswer", "rings and rings"),
    ]
    .map(|(name, what)| (name.to_owned(), what.to_owned()))
    .to_vec()
}

fn welcome(web: &[SocketAddr], accounts: &[(String, String)]) -> String {
    let port = web.first().map_or(8080, SocketAddr::port);
    let logins: Vec<_> = accounts.iter().map(|(login, password)| format!("  {login}  {password}")).collect();
    let numbers: Vec<_> = services().iter().map(|(name, what)| format!("  {name:<9} {what}")).collect();
    format!(
        "\nOpen  http://localhost:{port}\n\nAccounts and passwords (SIP registrar {DEMO_REGISTRAR}):\n{}\n\nNumbers to call, besides \
         the accounts:\n{}\n\nCtrl-C ends the demo.\n",
        logins.join("\n"),
        numbers.join("\n"),
    )
}

fn warn_about(settings: &Settings) {
    for warning in config::warnings(settings, &addresses()) {
        tracing::warn!("{warning}");
    }
}

/// The environment, without what is not Unicode (no setting of ours is).
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
