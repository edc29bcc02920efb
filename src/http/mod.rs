//! The two HTTP listeners: one for pages and their sockets, one for machines.
mod machines;
mod pages;

use actix_web::web::{self, ServiceConfig};

pub use pages::{DemoHints, PhoneHints};

use crate::ws;

/// Routes of `listen.web` and `listen.web_tls`: a WebSocket on every path that asks for one, else the page.
pub fn pages(config: &mut ServiceConfig) {
    let socket =
        web::route().guard(actix_web::guard::fn_guard(|context| ws::is_upgrade(context.head().headers())));
    config.route("/{tail:.*}", socket.to(ws::upgrade));
    config.service(web::scope("").configure(pages::routes).wrap(pages::headers()));
}

/// Routes of `listen.rest`.
pub fn machines(config: &mut ServiceConfig) {
    machines::routes(config);
}
