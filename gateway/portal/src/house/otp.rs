//! An authenticator app (RFC 6238: SHA-1, six digits, 30 s).

use aws_lc_rs::hmac;
use model::Timestamp;

pub(crate) struct Otp(Vec<u8>);

impl Otp {
    /// Reads the seed that an enrolment page shows for typing.
    pub(crate) fn from_page(page: &str) -> Self {
        let text = page.split("<code class=\"seed\">").nth(1).unwrap().split('<').next().unwrap();
        let mut bits = 0_u32;
        let mut held = 0;
        let mut seed = Vec::new();
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
            bits = bits << 5 | u32::try_from(value).unwrap();
            held += 5;
            if held >= 8 {
                held -= 8;
                seed.push(u8::try_from(bits >> held & 0xff).unwrap());
            }
        }
        Self(seed)
    }

    pub(crate) fn code(&self, at: Timestamp) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &(at.seconds() / 30).to_be_bytes());
        let hash = tag.as_ref();
        let offset = usize::from(hash[19] & 0xf);
        let word: [u8; 4] = hash[offset..offset + 4].try_into().unwrap();
        format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
    }
}
