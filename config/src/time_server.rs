use std::fmt;

use crate::values;

/// The port of NTP (RFC 5905 section 7.2).
const NTP: u16 = 123;

/// A server that is asked for the time: `ntp.hospital.example`, `192.0.2.1`, `[2001:db8::1]:123`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeServer {
    /// Name or address, without brackets.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
}

impl TimeServer {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a name or address with or without a port, as `ntp.hospital.example`");
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(Self { host: address.to_string(), port: NTP });
        }
        if let Ok(address) = text.parse::<std::net::SocketAddr>() {
            let port = Some(address.port()).filter(|port| *port != 0).ok_or_else(wrong)?;
            return Ok(Self { host: address.ip().to_string(), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
            None => (text, NTP),
        };
        // Names without a dot are the hosts file's.
        let named = values::host(host).is_ok() || values::host_label(host);
        named.then(|| Self { host: host.to_owned(), port }).ok_or_else(wrong)
    }
}

impl fmt::Display for TimeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (_, NTP) => f.write_str(&self.host),
            (true, port) => write!(f, "[{}]:{port}", self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_server_is_a_name_or_address_with_or_without_a_port() {
        for (text, host, port) in [
            ("ntp.hospital.example", "ntp.hospital.example", 123),
            ("ntp.hospital.example:1123", "ntp.hospital.example", 1123),
            ("time", "time", 123),
            ("192.0.2.1", "192.0.2.1", 123),
            ("[2001:db8::1]:1123", "2001:db8::1", 1123),
            ("2001:db8::1", "2001:db8::1", 123),
        ] {
            let server = TimeServer::parse(text).unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port));
            assert_eq!(server.to_string(), text);
        }
        for text in ["", "a b", "ntp.hospital.example:0", "ntp.hospital.example:", "http://ntp", "192.0.2.1:0"] {
            assert!(TimeServer::parse(text).is_err(), "{text}");
        }
    }
}
