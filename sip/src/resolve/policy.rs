//! Addresses that no request and no media may go to, whoever asks (server-side request forgery).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Hop;

/// Denies classes of addresses. To be asked for every resolved address of every request and for every `c=` of an SDP, and
/// then only the very address that was checked may be used.
/// The default denies all four classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPolicy {
    denied: Vec<AddressClass>,
}

/// A class that can be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// This host: `127.0.0.0/8`, `::1`, and the unspecified `0.0.0.0/8` and `::`, which lead to this host too.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// `224.0.0.0/4`, `ff00::/8`, and the IPv4 broadcast address.
    Multicast,
    /// Where clouds tell a machine its secrets.
    Metadata,
}

/// The address is of a denied class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is denied: {class}")]
pub struct DeniedAddress {
    /// The address.
    pub address: IpAddr,
    /// Its class.
    pub class: AddressClass,
}

impl Default for AddressPolicy {
    fn default() -> Self {
        Self::deny(AddressClass::ALL)
    }
}

impl AddressPolicy {
    /// Denies nothing: for a demonstration on loopback, and for tests.
    pub fn allow_all() -> Self {
        Self::deny([])
    }

    /// Denies these classes and nothing else.
    pub fn deny(classes: impl IntoIterator<Item = AddressClass>) -> Self {
        Self { denied: classes.into_iter().collect() }
    }

    /// Judges one address. An IPv6 address that carries an IPv4 address (mapped, compatible, translated, NAT64, 6to4) is judged by
    /// both.
    ///
    /// # Errors
    /// [`DeniedAddress`], naming address and class.
    pub fn check(&self, address: IpAddr) -> Result<(), DeniedAddress> {
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded(v6).map(IpAddr::V4),
        };
        let classes = [Some(address), inner].into_iter().flatten().flat_map(classes_of);
        match classes.into_iter().find(|class| self.denied.contains(class)) {
            Some(class) => Err(DeniedAddress { address, class }),
            None => Ok(()),
        }
    }

    /// Keeps the hops that may be used, in order.
    ///
    /// # Errors
    /// The first denial, if none is left.
    pub fn permitted(&self, hops: Vec<Hop>) -> Result<Vec<Hop>, DeniedAddress> {
        let mut denied = Ok(());
        let permitted: Vec<Hop> = hops
            .into_iter()
            .filter(|hop| {
                let verdict = self.check(hop.address.ip());
                denied = denied.and(verdict);
                verdict.is_ok()
            })
            .collect();
        if permitted.is_empty() { denied.map(|()| permitted) } else { Ok(permitted) }
    }
}

/// One address may belong to several: 169.254.169.254 is link-local and metadata.
fn classes_of(address: IpAddr) -> Vec<AddressClass> {
    let is = |yes: bool, class| yes.then_some(class);
    let (loopback, link_local, multicast) = match address {
        IpAddr::V4(v4) => (
            v4.is_loopback() || v4.octets()[0] == 0,
            v4.is_link_local(),
            v4.is_multicast() || v4.is_broadcast(),
        ),
        IpAddr::V6(v6) => {
            (v6.is_loopback() || v6.is_unspecified(), v6.segments()[0] & 0xffc0 == 0xfe80, v6.is_multicast())
        }
    };
    [
        is(loopback, AddressClass::Loopback),
        is(link_local, AddressClass::LinkLocal),
        is(multicast, AddressClass::Multicast),
        is(METADATA.contains(&address), AddressClass::Metadata),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The IPv4 address within an IPv6 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible (RFC 4291 §2.5.5.1), mapped (§2.5.5.2), translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        // NAT64: well-known prefix (RFC 6052), and the local one (RFC 8215) with the usual /96 layout.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => Some(v4(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Metadata services: AWS, Azure, Google and most others; AWS task credentials; Alibaba; Azure's host; Oracle; AWS and Google over IPv6.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

impl AddressClass {
    const ALL: [Self; 4] = [Self::Loopback, Self::LinkLocal, Self::Multicast, Self::Metadata];
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Metadata => "metadata",
        })
    }
}

/// The word is none of `loopback`, `link-local`, `multicast`, `metadata`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown address class {0:?}: use loopback, link-local, multicast or metadata")]
pub struct UnknownClass(pub String);

impl FromStr for AddressClass {
    type Err = UnknownClass;

    fn from_str(word: &str) -> Result<Self, UnknownClass> {
        Self::ALL
            .into_iter()
            .find(|class| class.to_string() == word)
            .ok_or_else(|| UnknownClass(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a policy that denies everything says.
    fn check(addresses: &[&str], want: Option<AddressClass>) {
        let policy = AddressPolicy::default();
        for address in addresses {
            let got = policy.check(address.parse().unwrap()).err().map(|denied| denied.class);
            assert_eq!(got, want, "{address}");
        }
    }

    #[test]
    fn each_class_knows_its_addresses_in_every_disguise() {
        use AddressClass::*;
        check(&["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::"], Some(Loopback));
        check(
            &["::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1"],
            Some(Loopback),
        );
        check(&["64:ff9b:1::7f00:1", "2002:7f00:1::1", "::ffff:0.0.0.0"], Some(Loopback));
        check(&["169.254.1.1", "fe80::1", "febf::1", "::ffff:169.254.1.1"], Some(LinkLocal));
        check(
            &["224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "64:ff9b::224.0.0.1"],
            Some(Multicast),
        );
        check(
            &["100.100.100.200", "168.63.129.16", "fd00:ec2::254", "::ffff:100.100.100.200"],
            Some(Metadata),
        );
    }

    #[test]
    fn ordinary_addresses_pass_private_ones_included() {
        check(
            &[
                "192.0.2.1",
                "10.0.0.1",
                "192.168.1.1",
                "2001:db8::1",
                "fd00::1",
                "64:ff9b::192.0.2.1",
                "fec0::1",
            ],
            None,
        );
    }

    #[test]
    fn only_what_is_denied_is_refused() {
        let address: IpAddr = "169.254.169.254".parse().unwrap();
        assert_eq!(AddressPolicy::allow_all().check(address), Ok(()));
        assert_eq!(AddressPolicy::deny([AddressClass::Loopback]).check(address), Ok(()));
        let denied = AddressPolicy::deny([AddressClass::Metadata]).check(address).unwrap_err();
        assert_eq!(denied.to_string(), "address 169.254.169.254 is denied: metadata");
    }

    #[test]
    fn of_several_hops_the_permitted_ones_are_left() {
        let hop = |address: &str| Hop {
            transport: crate::message::Transport::Udp,
            address: address.parse().unwrap(),
        };
        let policy = AddressPolicy::default();
        let mixed = vec![hop("127.0.0.1:1"), hop("192.0.2.1:1"), hop("[::1]:1")];
        assert_eq!(policy.permitted(mixed), Ok(vec![hop("192.0.2.1:1")]));
        let all_denied = policy.permitted(vec![hop("224.0.0.1:1"), hop("127.0.0.1:1")]);
        assert_eq!(all_denied.map_err(|denied| denied.class), Err(AddressClass::Multicast));
        assert_eq!(policy.permitted(vec![]), Ok(vec![]));
    }

    #[test]
    fn classes_read_as_they_print() {
        for class in AddressClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert!("Loopback".parse::<AddressClass>().is_err());
    }
}
