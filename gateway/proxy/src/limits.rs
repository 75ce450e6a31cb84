//! What one address may take: connections and requests a second (H-23).
//!
//! A connection finds its address once; each request of it then asks a counter without any look-up. The
//! number of addresses kept is bounded: when it is full, new ones share one budget.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses with a budget of their own.
const KNOWN: usize = 65_536;
/// An address without connections is forgotten after this long; its budget is whole again by then.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// All clients' budgets.
pub(crate) struct Addresses {
    known: Mutex<HashMap<Network, Entry>>,
    shared: Arc<Address>,
    total: Arc<Semaphore>,
    per_address: usize,
    rate: AtomicU32,
}

struct Entry {
    address: Arc<Address>,
    seen: Instant,
}

/// One IPv4 address or one IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// The budget of one address.
struct Address {
    connections: AtomicUsize,
    /// Replaced when the rate changes; who sits here keeps his seat.
    requests: ArcSwap<DefaultDirectRateLimiter>,
}

impl Address {
    fn new(rate: u32) -> Arc<Self> {
        Arc::new(Self { connections: AtomicUsize::new(0), requests: ArcSwap::from_pointee(limiter(rate)) })
    }
}

fn limiter(rate: u32) -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_second(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN)))
}

/// A connection's place; given back when dropped.
pub(crate) struct Seat {
    address: Arc<Address>,
    _total: OwnedSemaphorePermit,
}

impl Seat {
    /// Counts a request.
    ///
    /// # Errors
    /// When to try again, if there were too many.
    pub(crate) fn request(&self) -> Result<(), Duration> {
        self.address.requests.load().check().map_err(|not| not.wait_time_from(DefaultClock::default().now()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.address.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Addresses {
    pub(crate) fn new(total: usize, per_address: usize, rate: u32) -> Self {
        Self {
            known: Mutex::new(HashMap::new()),
            shared: Address::new(rate),
            total: Arc::new(Semaphore::new(total)),
            per_address,
            rate: AtomicU32::new(rate),
        }
    }

    /// A place for a connection from `address`, unless it or all together have too many.
    pub(crate) fn seat(&self, address: IpAddr) -> Option<Seat> {
        let total = Arc::clone(&self.total).try_acquire_owned().ok()?;
        let address = self.budget(Network::of(address));
        if address.connections.fetch_add(1, Ordering::Relaxed) >= self.per_address {
            address.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat { address, _total: total })
    }

    fn budget(&self, network: Network) -> Arc<Address> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&network) {
            entry.seen = Instant::now();
            return Arc::clone(&entry.address);
        }
        if known.len() >= KNOWN {
            return Arc::clone(&self.shared);
        }
        let address = Address::new(self.rate.load(Ordering::Relaxed));
        known.insert(network, Entry { address: Arc::clone(&address), seen: Instant::now() });
        address
    }

    /// Forgets addresses that were not seen for a while. Call it now and then.
    pub(crate) fn sweep(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, entry| Arc::strong_count(&entry.address) > 1 || entry.seen.elapsed() < FORGOTTEN);
        if known.capacity() > 4 * known.len() {
            known.shrink_to_fit();
        }
    }

    /// Takes over a new rate, for connections that are there too.
    pub(crate) fn set_rate(&self, rate: u32) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rate.swap(rate, Ordering::Relaxed) != rate {
            for address in known.values().map(|entry| &entry.address).chain([&self.shared]) {
                address.requests.store(Arc::new(limiter(rate)));
            }
        }
    }
}

/// Keeps what strangers can cause in bulk from filling the journal: a few a second, the rest counted.
pub(crate) struct Throttle {
    limiter: DefaultDirectRateLimiter,
    suppressed: AtomicU32,
}

impl Throttle {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_second(per_second)), suppressed: AtomicU32::new(0) }
    }

    /// `Some` if this one may pass: how many since the last that did may not.
    pub(crate) fn pass(&self) -> Option<u32> {
        if self.limiter.check().is_ok() {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn req_h23_connections_are_bounded_by_address_and_in_all() {
        let addresses = Addresses::new(3, 2, 10);
        let first = addresses.seat(ip("10.0.0.1")).unwrap();
        let _second = addresses.seat(ip("10.0.0.1")).unwrap();
        assert!(addresses.seat(ip("10.0.0.1")).is_none());
        let _other = addresses.seat(ip("10.0.0.2")).unwrap();
        assert!(addresses.seat(ip("10.0.0.3")).is_none());
        drop(first);
        assert!(addresses.seat(ip("10.0.0.1")).is_some());
    }

    #[test]
    fn an_ipv6_client_is_its_64_and_a_mapped_address_is_ipv4() {
        assert_eq!(Network::of(ip("2001:db8::1")), Network::of(ip("2001:db8::ffff:1")));
        assert_ne!(Network::of(ip("2001:db8::1")), Network::of(ip("2001:db8:0:1::1")));
        assert_eq!(Network::of(ip("::ffff:10.0.0.1")), Network::of(ip("10.0.0.1")));
    }

    #[test]
    fn requests_of_one_address_are_counted_over_all_its_connections() {
        let addresses = Addresses::new(10, 10, 3);
        let (a, b) = (addresses.seat(ip("10.0.0.1")).unwrap(), addresses.seat(ip("10.0.0.1")).unwrap());
        assert!(a.request().is_ok() && b.request().is_ok() && a.request().is_ok());
        assert!(b.request().is_err());
        assert!(addresses.seat(ip("10.0.0.2")).unwrap().request().is_ok());
    }

    #[test]
    fn req_h23_a_new_rate_holds_at_once_and_takes_nobodys_seat() {
        let addresses = Addresses::new(10, 2, 1);
        let (a, b) = (addresses.seat(ip("10.0.0.1")).unwrap(), addresses.seat(ip("10.0.0.1")).unwrap());
        assert!(a.request().is_ok() && b.request().is_err());
        addresses.set_rate(3);
        assert!(addresses.seat(ip("10.0.0.1")).is_none(), "two are still there");
        assert!(a.request().is_ok() && b.request().is_ok() && a.request().is_ok());
        assert!(b.request().is_err());
        drop(a);
        assert!(addresses.seat(ip("10.0.0.1")).is_some());
    }

    #[test]
    fn the_number_of_addresses_kept_is_bounded() {
        let addresses = Addresses::new(usize::MAX >> 4, 1_000_000, 3);
        for i in 0..KNOWN as u32 + 10 {
            let v6 = std::net::Ipv6Addr::from((u128::from(i) << 64) | 1);
            addresses.seat(IpAddr::V6(v6)).unwrap();
        }
        assert_eq!(addresses.known.lock().unwrap().len(), KNOWN);
        assert_eq!(addresses.shared.connections.load(Ordering::Relaxed), 0);
        let seat = addresses.seat(ip("ffff::1")).unwrap();
        assert!(Arc::ptr_eq(&seat.address, &addresses.shared));
    }

    #[test]
    fn what_a_throttle_holds_back_is_counted() {
        let throttle = Throttle::new(NonZeroU32::new(2).unwrap());
        assert_eq!((throttle.pass(), throttle.pass()), (Some(0), Some(0)));
        assert_eq!((throttle.pass(), throttle.pass()), (None, None));
        assert_eq!(throttle.suppressed.load(Ordering::Relaxed), 2);
    }
}
