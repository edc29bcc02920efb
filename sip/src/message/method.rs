//! What a request asks for (RFC 3261 7.1).

use std::fmt;
use std::str::FromStr;

use super::{InvalidField, grammar};

macro_rules! methods {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// The method of a request. Names are case-sensitive: `invite` is an unknown method.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $doc] $variant,)*
            /// Any other token.
            Other(Box<str>),
        }

        impl Method {
            /// The name as it stands in the start line.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $name,)*
                    Method::Other(name) => name,
                }
            }
        }

        impl FromStr for Method {
            type Err = InvalidField;

            fn from_str(name: &str) -> Result<Self, InvalidField> {
                match name {
                    $($name => Ok(Method::$variant),)*
                    _ => {
                        grammar::check_token("method", name)?;
                        Ok(Method::Other(name.into()))
                    }
                }
            }
        }
    };
}

methods! {
    Invite = "INVITE", "Sets up or changes a session (RFC 3261 13).";
    Ack = "ACK", "Confirms a final answer to INVITE (RFC 3261 17.1.1.3, 13.2.2.4).";
    Bye = "BYE", "Ends a session (RFC 3261 15).";
    Cancel = "CANCEL", "Takes back a pending INVITE (RFC 3261 9).";
    Options = "OPTIONS", "Asks for capabilities (RFC 3261 11).";
    Register = "REGISTER", "Binds an address to a contact (RFC 3261 10).";
    Update = "UPDATE", "Changes session parameters outside INVITE (RFC 3311).";
    Prack = "PRACK", "Confirms a reliable provisional answer (RFC 3262).";
    Info = "INFO", "Carries application information in a dialog (RFC 6086).";
    Refer = "REFER", "Asks the other side to call someone (RFC 3515).";
    Notify = "NOTIFY", "Reports an event (RFC 6665).";
    Subscribe = "SUBSCRIBE", "Asks for event reports (RFC 6665).";
    Message = "MESSAGE", "Carries an instant message (RFC 3428).";
    Publish = "PUBLISH", "Publishes event state (RFC 3903).";
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
