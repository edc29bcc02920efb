//! A piece of network between two UDP peers that can be cut: while it is, nothing passes and nobody is told.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running relay; it ends when dropped.
pub struct Relay {
    /// Where it listens on loopback.
    pub port: u16,
    passes: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

impl Relay {
    /// Passes what comes from one client on to `target`, and back.
    #[track_caller]
    pub fn to(target: &str) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.connect(target).unwrap();
        let port = near.local_addr().unwrap().port();
        let (passes, ends) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let client: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        for there in [true, false] {
            let (near, far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let (passes, ends, client) = (passes.clone(), ends.clone(), client.clone());
            let from = if there { near.try_clone().unwrap() } else { far.try_clone().unwrap() };
            from.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 65_535];
                while !ends.load(Ordering::Relaxed) {
                    let Ok((length, sender)) = from.recv_from(&mut buffer) else { continue };
                    if there {
                        *client.lock().unwrap() = Some(sender);
                    }
                    if !passes.load(Ordering::Relaxed) {
                        continue;
                    }
                    let client = *client.lock().unwrap();
                    let _ = match client {
                        _ if there => far.send(&buffer[..length]),
                        Some(client) => near.send_to(&buffer[..length], client),
                        None => Ok(0),
                    };
                }
            });
        }
        Self { port, passes, ends }
    }

    /// Cuts it, or mends it.
    pub fn passes(&self, passes: bool) {
        self.passes.store(passes, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}
