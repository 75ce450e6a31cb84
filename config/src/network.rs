use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and the length of its prefix (RFC 4632, RFC 4291).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.1.0.0/16` or `2001:db8::/32`. A bare address is a network of one. Bits set behind
    /// the prefix are refused, for they show that something else was meant.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network: write an address and a prefix, as in `10.1.0.0/16`");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        if address.to_canonical() != address {
            return Err(format!("`{text}` is IPv4 in IPv6 clothes: write it as IPv4"));
        }
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if prefix > width {
            return Err(wrong());
        }
        let network = Self { address, prefix };
        let (first, _) = network.span();
        if first != bits(address) {
            let meant = Self { address: from_bits(first, address.is_ipv4()), prefix };
            return Err(format!("`{text}` has bits set behind its prefix: did you mean `{meant}`?"));
        }
        Ok(network)
    }

    /// Is `address` in it? An IPv4 address written in IPv6 (`::ffff:10.1.2.3`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let (first, last) = self.span();
        address.is_ipv4() == self.address.is_ipv4() && (first..=last).contains(&bits(address))
    }

    /// Have they an address in common?
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// First and last address as numbers.
    pub(crate) fn span(&self) -> (u128, u128) {
        let width: u32 = if self.address.is_ipv4() { 32 } else { 128 };
        let free = width.saturating_sub(u32::from(self.prefix));
        let hosts = 1_u128.checked_shl(free).map_or(u128::MAX, |end| end.wrapping_sub(1));
        let first = bits(self.address) & !hosts;
        (first, first | hosts)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// An address as a number.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn from_bits(bits: u128, ipv4: bool) -> IpAddr {
    match u32::try_from(bits) {
        Ok(bits) if ipv4 => IpAddr::V4(Ipv4Addr::from(bits)),
        _ => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let ward = network("10.1.0.0/16");
        assert!(ward.contains("10.1.255.255".parse().unwrap()));
        assert!(ward.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ward.contains("10.2.0.0".parse().unwrap()));
        assert!(!ward.contains("::a01:203".parse().unwrap()), "the same bits in IPv6 are another address");
        let all = network("0.0.0.0/0");
        assert!(all.contains("255.255.255.255".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        assert!(network("::/0").contains("ffff::1".parse().unwrap()));
        assert!(network("::1").contains("::1".parse().unwrap()) && !network("::1").contains("::2".parse().unwrap()));
    }

    #[test]
    fn what_is_not_a_network_is_refused_with_what_was_meant() {
        for bad in [
            "",
            "10.1",
            "10.1.0.0/33",
            "10.1.0.0/",
            "10.1.0.0/+8",
            "10.1.0.0/8/8",
            "::/129",
            "::ffff:10.0.0.0/104",
            "010.1.0.0/16",
            "fe80::1%eth0/64",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
        assert!(Network::parse("10.1.2.3/16").unwrap_err().contains("`10.1.0.0/16`"));
        assert!(Network::parse("2001:db8::1/32").unwrap_err().contains("`2001:db8::/32`"));
    }

    proptest! {
        #[test]
        fn a_network_written_out_reads_back_and_holds_both_its_ends(raw: u128, prefix in 0_u8..=128) {
            let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) };
            let text = format!("{}/{prefix}", Ipv6Addr::from(raw & mask));
            if let Ok(network) = Network::parse(&text) {
                prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
                prop_assert!(network.contains(Ipv6Addr::from(raw).into()) || Ipv6Addr::from(raw).to_ipv4_mapped().is_some());
                prop_assert!(network.overlaps(&network));
            }
        }
    }
}
