//! An actor that keeps what it hears: an owner of requests, a consumer, the parent of a registration.
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, WeakRecipient};
use actors::sip::SipEvent;
use tokio::time::sleep;

/// Keeps messages of one kind.
pub struct Keeper<T>(Rc<RefCell<Vec<T>>>);

/// A keeper that runs.
pub struct Kept<T: 'static + Unpin> {
    pub address: Addr<Keeper<T>>,
    heard: Rc<RefCell<Vec<T>>>,
}

impl<T: 'static + Unpin> Kept<T> {
    pub fn start() -> Self {
        let heard = Rc::default();
        Self { address: Keeper(Rc::clone(&heard)).start(), heard }
    }

    /// The next message; panics if none comes within two seconds.
    pub async fn next(&self) -> T {
        for _ in 0..200 {
            if !self.heard.borrow().is_empty() {
                return self.heard.borrow_mut().remove(0);
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing came")
    }

    pub fn is_empty(&self) -> bool {
        self.heard.borrow().is_empty()
    }
}

impl Kept<SipEvent> {
    pub fn owner(&self) -> WeakRecipient<SipEvent> {
        self.address.downgrade().recipient()
    }
}

impl<T: 'static + Unpin> Actor for Keeper<T> {
    type Context = Context<Self>;
}

impl<T: Message<Result = ()> + 'static + Unpin> Handler<T> for Keeper<T> {
    type Result = ();
    fn handle(&mut self, message: T, _: &mut Self::Context) {
        self.0.borrow_mut().push(message);
    }
}
