//! How often one address may try something (governor in front of the failure counters).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// A budget per address, kept for a bounded number of addresses. An IPv6 client is its /64.
pub(crate) struct Throttle {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Throttle {
    const ADDRESSES: usize = 65_536;

    /// `per_minute` tries, all at once or spread.
    pub(crate) fn per_minute(per_minute: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::keyed(Quota::per_minute(per_minute)), clock: DefaultClock::default() }
    }

    /// Takes one try from the address's budget.
    ///
    /// # Errors
    /// How long to wait when there is none left. When more addresses are busy at once than can be
    /// kept, everybody new waits a second.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() >= Self::ADDRESSES {
            self.limiter.retain_recent();
            if self.limiter.len() >= Self::ADDRESSES {
                return Err(Duration::from_secs(1));
            }
        }
        self.limiter.check_key(&network(address)).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Throttle({} addresses)", self.limiter.len())
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_runs_dry_and_another_does_not() {
        let throttle = Throttle::per_minute(NonZeroU32::new(3).unwrap());
        for _ in 0..3 {
            throttle.take(address("10.0.0.1")).unwrap();
        }
        let wait = throttle.take(address("10.0.0.1")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(20), "{wait:?}");
        throttle.take(address("10.0.0.2")).unwrap();
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_one_its_ipv4_address() {
        let throttle = Throttle::per_minute(NonZeroU32::new(1).unwrap());
        throttle.take(address("2001:db8::1")).unwrap();
        assert!(throttle.take(address("2001:db8::ffff:2")).is_err());
        throttle.take(address("2001:db8:0:1::1")).unwrap();
        throttle.take(address("::ffff:10.0.0.1")).unwrap();
        assert!(throttle.take(address("10.0.0.1")).is_err());
    }
}
