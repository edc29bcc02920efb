//! DTLS as str0m wants it, with dimpl's settings made once: the only file that imports dimpl.
//!
//! str0m's own provider makes them for every peer anew, and each time dimpl tries out all ciphers, curves and signatures that it
//! has, which is five times the work of a handshake.
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, ProtocolVersion};

use super::stack::{CryptoError, DtlsInstance, DtlsProvider, DtlsVersion};

/// Makes the DTLS end of each peer.
#[derive(Debug)]
struct SharedSettings;

/// Without cookies: an address is proven by ICE before DTLS hears of it. The rest is dimpl's own choice, as is the MTU str0m's.
static SETTINGS: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let settings = Config::builder().use_server_cookie(false).build();
    Arc::new(settings.expect("dimpl's own choices fit each other, and aws-lc-rs does what it says"))
});

/// What the peers of a process share; made before the first call wants it.
pub(super) fn shared() -> &'static dyn DtlsProvider {
    LazyLock::force(&SETTINGS);
    &SharedSettings
}

impl DtlsProvider for SharedSettings {
    /// We always have one.
    fn generate_certificate(&self) -> Option<DtlsCertificate> {
        None
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCertificate,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        debug_assert!(mtu.is_none_or(|mtu| mtu == SETTINGS.mtu()), "str0m and dimpl agree on the MTU");
        let (settings, certificate) = (SETTINGS.clone(), certificate.clone());
        let dtls = match version {
            DtlsVersion::Dtls12 => Dtls::new_12(settings, certificate, now),
            DtlsVersion::Dtls13 => Dtls::new_13(settings, certificate, now),
            _ => Dtls::new_auto(settings, certificate, now),
        };
        Ok(Box::new(End(dtls)))
    }
}

/// One peer's.
struct End(Dtls);

impl Debug for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("End(..)")
    }
}

impl DtlsInstance for End {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), Error> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> Output<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }
}
