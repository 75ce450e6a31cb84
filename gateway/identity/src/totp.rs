//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 s, one step either way (C-26, X-04).

use aws_lc_rs::rand;
use model::{Secret, Timestamp, percent_encoded};
use totp_rs::{Algorithm, Builder, Totp};

const STEP: u64 = 30;
const DIGITS: u8 = 6;
const SKEW: u16 = 1;
const SEED_BYTES: usize = 20;

/// The newest time step whose code would be accepted at `now`: whoever counts that one as used has spent all codes
/// up to now.
pub fn newest_totp_step(now: Timestamp) -> i64 {
    let step = now.seconds().div_euclid(i64::try_from(STEP).unwrap_or(i64::MAX));
    step.saturating_add(i64::from(SKEW))
}

/// An authenticator app's seed: 160 bits.
pub(crate) struct Seed(Secret<Vec<u8>>);

impl Seed {
    /// A new one; `None` if the system gives no randomness.
    pub(crate) fn generate() -> Option<Self> {
        let mut bytes = vec![0; SEED_BYTES];
        rand::fill(&mut bytes).ok()?;
        Some(Self(Secret::new(bytes)))
    }

    /// One that was kept; `None` if it is not of our making.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == SEED_BYTES).then(|| Self(Secret::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// The time step that `code` belongs to, if it is one of the three around `now`. Whoever accepts it
    /// must compare-and-set the step, so that each value passes once.
    pub(crate) fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        if code.len() != usize::from(DIGITS) || !code.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let step = self.totp()?.check(code, u64::try_from(now.seconds()).ok()?)?;
        i64::try_from(step).ok()
    }

    /// The seed as authenticator apps read it.
    pub(crate) fn base32(&self) -> Secret<String> {
        Secret::new(base32(self.bytes()))
    }

    /// `otpauth://totp/ISSUER:ACCOUNT?secret=…&issuer=ISSUER`.
    pub(crate) fn uri(&self, issuer: &str, account: &str) -> Secret<String> {
        let (issuer, account) = (percent_encoded(issuer), percent_encoded(account));
        let secret = base32(self.bytes());
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}"
        ))
    }

    fn totp(&self) -> Option<Totp> {
        let seed = <[u8; SEED_BYTES]>::try_from(self.bytes()).ok()?;
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_secret(seed)
            .build()
            .ok()
    }

    /// What an app would show at `now`. For tests alone: the gateway never makes a code.
    #[cfg(test)]
    pub(crate) fn code_at(&self, now: Timestamp) -> String {
        self.totp().unwrap().generate(u64::try_from(now.seconds()).unwrap()).to_string()
    }
}

/// RFC 4648 §6 without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u16, 0);
    for byte in bytes {
        held = held << 8 | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(&mut text, ALPHABET, held >> bits);
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        push(&mut text, ALPHABET, held << (5 - bits));
    }
    text
}

fn push(text: &mut String, alphabet: &[u8; 32], index: u16) {
    if let Some(letter) = alphabet.get(usize::from(index & 31)) {
        text.push(char::from(*letter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_seed() -> Seed {
        Seed::from_bytes(b"12345678901234567890".to_vec()).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_6238_match_their_step() {
        for (at, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(rfc_seed().step_of(code, Timestamp::from_seconds(at)), Some(at / 30));
        }
    }

    #[test]
    fn req_c26_a_code_is_good_for_its_own_step_and_one_either_side() {
        let seed = rfc_seed();
        let code = seed.code_at(Timestamp::from_seconds(3_000));
        for (at, good) in [(2_939, false), (2_970, true), (3_000, true), (3_059, true), (3_060, false)] {
            assert_eq!(seed.step_of(&code, Timestamp::from_seconds(at)).is_some(), good, "at {at}");
        }
    }

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        let seed = rfc_seed();
        for bad in ["", "28708", "2870822", "28708２", "287 082", "+87082", "abcdef"] {
            assert_eq!(seed.step_of(bad, Timestamp::from_seconds(59)), None, "{bad:?}");
        }
    }

    #[test]
    fn base32_has_the_vectors_of_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }

    #[test]
    fn the_setup_address_keeps_japanese_names_and_separators_apart() {
        let uri = rfc_seed().uri("関守:病院", "000123");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/%E9%96%A2%E5%AE%88%3A%E7%97%85%E9%99%A2:000123?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=%E9%96%A2%E5%AE%88%3A%E7%97%85%E9%99%A2&algorithm=SHA1&digits=6&period=30"
        );
    }
}
