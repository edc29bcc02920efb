//! One task per page's socket: frames in, frames out. It translates (`wire`) and guards the door (`state`); what
//! happens to calls is decided in the switch.
//!
//! | file | what |
//! |---|---|
//! | `socket` | the task: the only file here that does I/O |
//! | `state` | what a socket may do now; pure |
//! | `assembler` | fragments into messages; pure |
//! | `outbox` | what waits to be sent; pure |
//! | `limit` | how much a page may send to the log; pure |
//! | `link` | the connection beneath: its two ends, and how to cut it |
mod assembler;
mod limit;
mod link;
mod outbox;
mod socket;
mod state;

use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, web};
use tracing::info;

pub use link::Link;

use crate::front::Front;
use crate::origin;

/// The largest frame and the largest message that is read at all; above, the socket closes with 1009.
const MAX_READ: usize = 4 * 1024 * 1024;

/// Answers a request that asks for a WebSocket, on whatever path: very old clients append one.
pub async fn upgrade(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
) -> actix_web::Result<HttpResponse> {
    let header =
        |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("(not ASCII)"));
    let page = header(ORIGIN);
    if !origin::allowed(&front.web.allowed_origins, page, header(HOST)) {
        front.counters.refused("origin");
        info!(origin = page, peer = ?request.peer_addr(), "a page of a foreign origin wanted a socket");
        return Ok(HttpResponse::Forbidden().body("This page's origin is not in web.allowed_origins.\n"));
    }
    let link = Link::of(&request);
    let (response, session, frames) = actix_ws::handle(&request, body)?;
    let frames = frames.max_frame_size(MAX_READ);
    actix_web::rt::spawn(socket::run(front, link, session, frames));
    Ok(response)
}

/// Whether a request asks for a WebSocket.
pub fn is_upgrade(headers: &actix_web::http::header::HeaderMap) -> bool {
    headers
        .get(actix_web::http::header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}
