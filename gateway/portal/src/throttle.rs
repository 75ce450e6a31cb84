//! How often one address or session may try something (governor in front of the failure counters).

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use model::client_network;

/// A budget per address (an IPv6 client is its /64) or other key, kept for a bounded number of them; when
/// that many are busy, new ones share one.
pub(crate) struct Throttle<K = IpAddr> {
    quota: Quota,
    known: Mutex<Known<K>>,
    /// Everybody's who comes when no more addresses can be kept.
    shared: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

struct Known<K> {
    budgets: HashMap<K, Budget>,
    swept: Instant,
}

struct Budget {
    limiter: Arc<DefaultDirectRateLimiter>,
    seen: Instant,
}

impl Throttle {
    /// Takes one try from the address's budget.
    ///
    /// # Errors
    /// How long to wait when there is none left.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.take_of(client_network(address))
    }
}

impl<K: Hash + Eq> Throttle<K> {
    const MOST: usize = 65_536;
    /// A budget that nobody took from for this long is whole again.
    const WHOLE: Duration = Duration::from_secs(60);
    /// Looking through all keys is done no more often than this.
    const SWEEP: Duration = Duration::from_secs(10);

    /// `per_minute` tries, all at once or spread.
    pub(crate) fn per_minute(per_minute: NonZeroU32) -> Self {
        let quota = Quota::per_minute(per_minute);
        Self {
            quota,
            known: Mutex::new(Known { budgets: HashMap::new(), swept: Instant::now() }),
            shared: RateLimiter::direct(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one try from the key's budget.
    ///
    /// # Errors
    /// How long to wait when there is none left.
    pub(crate) fn take_of(&self, key: K) -> Result<(), Duration> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: K, now: Instant) -> Result<(), Duration> {
        let own = self.budget(key, now);
        let limiter = own.as_deref().unwrap_or(&self.shared);
        limiter.check().map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// The key's own budget; none if it is new and there is no room.
    fn budget(&self, key: K, now: Instant) -> Option<Arc<DefaultDirectRateLimiter>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(known.swept) >= Self::SWEEP {
            known.swept = now;
            known.budgets.retain(|_, budget| now.saturating_duration_since(budget.seen) < Self::WHOLE);
        }
        if let Some(budget) = known.budgets.get_mut(&key) {
            budget.seen = now;
            return Some(Arc::clone(&budget.limiter));
        }
        if known.budgets.len() >= Self::MOST {
            return None;
        }
        let limiter = Arc::new(RateLimiter::direct(self.quota));
        known.budgets.insert(key, Budget { limiter: Arc::clone(&limiter), seen: now });
        Some(limiter)
    }
}

impl<K> fmt::Debug for Throttle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

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
    fn when_no_more_can_be_kept_new_addresses_share_a_budget_and_known_ones_keep_theirs() {
        let throttle = Throttle::per_minute(NonZeroU32::new(2).unwrap());
        let begun = Instant::now();
        let of = |n: usize| IpAddr::V6(Ipv6Addr::from_bits((n as u128) << 64));
        for n in 0..Throttle::<IpAddr>::MOST {
            throttle.take_at(of(n), begun).unwrap();
        }
        let [first, second, third] = [1, 2, 3].map(|n| of(Throttle::<IpAddr>::MOST + n));
        throttle.take_at(first, begun).unwrap();
        throttle.take_at(second, begun).unwrap();
        assert!(throttle.take_at(third, begun).is_err(), "their common budget is used up");
        let later = begun + Duration::from_secs(59);
        throttle.take_at(of(7), later).expect("a known address has its own");
        assert!(throttle.take_at(third, later).is_err());
        let kept = || throttle.known.lock().unwrap().budgets.len();
        assert_eq!(kept(), Throttle::<IpAddr>::MOST);
        throttle.take_at(third, begun + Duration::from_secs(60)).expect_err("swept a second ago");
        throttle.take_at(third, begun + Duration::from_secs(69)).expect("its own, since there is room again");
        assert_eq!(kept(), 2, "whoever was not seen for a minute is forgotten");
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
