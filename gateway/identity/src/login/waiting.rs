use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use model::{Timestamp, TokenHash, client_network};

/// Begun by one network and gone on with by no browser: a browser goes on within the second, and a ward
/// behind one address opens ten restored tabs each.
const MOST_OF_NETWORK: usize = 300;
/// Kept in mind of all networks together; the store has no room for more.
const MOST: usize = 20_000;

/// Interactions that no browser has come with to the portal yet, by the network that began them. What a
/// restart forgets is bounded by the store's own count.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Entry>,
    by_hash: HashMap<TokenHash, u64>,
    by_network: HashMap<IpAddr, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Entry {
    hash: TokenHash,
    network: IpAddr,
    until: Timestamp,
}

impl Waiting {
    /// One more; the one that makes room for it, if one must: its own network's oldest.
    pub(super) fn begun(
        &mut self,
        hash: TokenHash,
        address: IpAddr,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<TokenHash> {
        while let Some(oldest) = self.by_age.first_entry().filter(|oldest| oldest.get().until <= now) {
            let age = *oldest.key();
            self.remove(age);
        }
        let network = client_network(address);
        let own = self.by_network.get(&network);
        let surplus = match own.filter(|own| own.len() >= MOST_OF_NETWORK) {
            Some(own) => own.first().copied(),
            None if self.by_age.len() >= MOST => self.by_age.keys().next().copied(),
            None => None,
        };
        let surplus = surplus.and_then(|age| self.remove(age));
        let age = self.next;
        self.next += 1;
        self.by_age.insert(age, Entry { hash, network, until });
        self.by_hash.insert(hash, age);
        self.by_network.entry(network).or_default().insert(age);
        surplus
    }

    /// A browser has come with it.
    pub(super) fn over(&mut self, hash: &TokenHash) {
        if let Some(age) = self.by_hash.get(hash).copied() {
            self.remove(age);
        }
    }

    fn remove(&mut self, age: u64) -> Option<TokenHash> {
        let entry = self.by_age.remove(&age)?;
        self.by_hash.remove(&entry.hash);
        if let Some(own) = self.by_network.get_mut(&entry.network) {
            own.remove(&age);
            if own.is_empty() {
                self.by_network.remove(&entry.network);
            }
        }
        Some(entry.hash)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use model::TokenKind;

    use super::*;

    fn hash(n: usize) -> TokenHash {
        TokenHash::of(TokenKind::Interaction, &n.to_be_bytes())
    }

    #[test]
    fn a_network_that_begins_without_end_loses_its_own_oldest_and_nobody_elses() {
        let (mut waiting, now) = (Waiting::default(), Timestamp::from_seconds(0));
        let until = now.after(Duration::from_secs(600));
        let other = hash(usize::MAX);
        assert_eq!(waiting.begun(other, "10.0.0.2".parse().unwrap(), until, now), None);
        for n in 0..MOST_OF_NETWORK {
            let address = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | n as u128));
            assert_eq!(waiting.begun(hash(n), address, until, now), None);
        }
        let address = "2001:db8::ffff".parse().unwrap();
        waiting.over(&hash(0));
        assert_eq!(waiting.begun(hash(1_000), address, until, now), None, "one has gone on");
        assert_eq!(waiting.begun(hash(1_001), address, until, now), Some(hash(1)));
        assert!(waiting.by_hash.contains_key(&other));
    }

    #[test]
    fn what_has_expired_is_forgotten_and_no_more_is_kept_than_the_store_holds() {
        let (mut waiting, now) = (Waiting::default(), Timestamp::from_seconds(0));
        let until = now.after(Duration::from_secs(600));
        for n in 0..=MOST {
            let address = IpAddr::V6(Ipv6Addr::from_bits((n as u128) << 64));
            waiting.begun(hash(n), address, until, now);
        }
        assert_eq!((waiting.by_age.len(), waiting.by_network.len()), (MOST, MOST));
        assert!(!waiting.by_hash.contains_key(&hash(0)), "the oldest of all has made room");
        waiting.begun(hash(MOST + 1), "10.0.0.1".parse().unwrap(), until.after(Duration::from_secs(600)), until);
        assert_eq!((waiting.by_age.len(), waiting.by_hash.len(), waiting.by_network.len()), (1, 1, 1));
    }
}
