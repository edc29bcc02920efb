//! Unguessable identifiers: tags, branches, Call-IDs (RFC 3261 19.3, 8.1.1.7, 8.1.1.4).

use super::BRANCH_COOKIE;

/// A tag with 64 random bits; RFC 3261 19.3 asks for at least 32.
pub fn random_tag() -> String {
    hex::<8>()
}

/// A branch with the magic cookie and 96 random bits, unique across time and space.
pub fn random_branch() -> String {
    format!("{BRANCH_COOKIE}{}", hex::<12>())
}

/// A Call-ID with 128 random bits and no host part, so that it tells nothing about our network.
pub fn random_call_id() -> String {
    hex::<16>()
}

fn hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a random number generator");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
