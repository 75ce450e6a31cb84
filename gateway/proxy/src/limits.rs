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
use model::client_network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses with a budget of their own.
const KNOWN: usize = 65_536;
/// An address without connections is forgotten after this long; its budget is whole again by then.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// All clients' budgets, by what they are counted by.
pub(crate) struct Addresses {
    known: Mutex<HashMap<IpAddr, Entry>>,
    shared: Arc<Address>,
    total: Arc<Semaphore>,
    per_address: usize,
    rate: AtomicU32,
}

struct Entry {
    address: Arc<Address>,
    seen: Instant,
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
    _place: Place,
}

/// A connection's place among all, whoever it is from.
pub(crate) struct Place(#[expect(dead_code, reason = "given back when dropped")] OwnedSemaphorePermit);

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

    /// A place for a connection, unless all together have too many.
    pub(crate) fn place(&self) -> Option<Place> {
        Arc::clone(&self.total).try_acquire_owned().ok().map(Place)
    }

    /// A seat for a connection from `address`, unless it has too many.
    pub(crate) fn seat(&self, place: Place, address: IpAddr) -> Option<Seat> {
        let address = self.budget(client_network(address));
        if address.connections.fetch_add(1, Ordering::Relaxed) >= self.per_address {
            address.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat { address, _place: place })
    }

    fn budget(&self, network: IpAddr) -> Arc<Address> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(addresses: &Addresses, address: IpAddr) -> Option<Seat> {
        addresses.seat(addresses.place()?, address)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn req_h23_connections_are_bounded_by_address_and_in_all() {
        let addresses = Addresses::new(3, 2, 10);
        let first = taken(&addresses, ip("10.0.0.1")).unwrap();
        let _second = taken(&addresses, ip("10.0.0.1")).unwrap();
        assert!(taken(&addresses, ip("10.0.0.1")).is_none());
        let _other = taken(&addresses, ip("10.0.0.2")).unwrap();
        assert!(taken(&addresses, ip("10.0.0.3")).is_none());
        drop(first);
        assert!(taken(&addresses, ip("10.0.0.1")).is_some());
    }

    #[test]
    fn requests_of_one_address_are_counted_over_all_its_connections() {
        let addresses = Addresses::new(10, 10, 3);
        let (a, b) = (taken(&addresses, ip("10.0.0.1")).unwrap(), taken(&addresses, ip("10.0.0.1")).unwrap());
        assert!(a.request().is_ok() && b.request().is_ok() && a.request().is_ok());
        assert!(b.request().is_err());
        assert!(taken(&addresses, ip("10.0.0.2")).unwrap().request().is_ok());
    }

    #[test]
    fn req_h23_a_new_rate_holds_at_once_and_takes_nobodys_seat() {
        let addresses = Addresses::new(10, 2, 1);
        let (a, b) = (taken(&addresses, ip("10.0.0.1")).unwrap(), taken(&addresses, ip("10.0.0.1")).unwrap());
        assert!(a.request().is_ok() && b.request().is_err());
        addresses.set_rate(3);
        assert!(taken(&addresses, ip("10.0.0.1")).is_none(), "two are still there");
        assert!(a.request().is_ok() && b.request().is_ok() && a.request().is_ok());
        assert!(b.request().is_err());
        drop(a);
        assert!(taken(&addresses, ip("10.0.0.1")).is_some());
    }

    #[test]
    fn the_number_of_addresses_kept_is_bounded() {
        let addresses = Addresses::new(usize::MAX >> 4, 1_000_000, 3);
        for i in 0..KNOWN as u32 + 10 {
            let v6 = std::net::Ipv6Addr::from((u128::from(i) << 64) | 1);
            taken(&addresses, IpAddr::V6(v6)).unwrap();
        }
        assert_eq!(addresses.known.lock().unwrap().len(), KNOWN);
        assert_eq!(addresses.shared.connections.load(Ordering::Relaxed), 0);
        let seat = taken(&addresses, ip("ffff::1")).unwrap();
        assert!(Arc::ptr_eq(&seat.address, &addresses.shared));
    }
}
