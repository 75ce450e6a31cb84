//! The typed code: ten characters of Crockford's base32, 50 bits, good only together with its staff
//! number (C-36 asks 40 with an identifier).

use aws_lc_rs::rand;
use model::{MasterKey, Secret, StaffNo, TokenHash, TokenKind, matching_form};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 10;
const GROUP: usize = 5;

/// A code in its plain form, without groups.
pub(super) struct Code(Secret<String>);

impl Code {
    /// A new one; `None` if the system gives no randomness.
    pub(super) fn generate() -> Option<Self> {
        let mut bytes = [0; LENGTH];
        rand::fill(&mut bytes).ok()?;
        // 256 is a multiple of 32: every letter is as likely as any other.
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
        Some(Self(Secret::new(letters.map(|letter| char::from(*letter)).collect())))
    }

    /// As a person types it: in any case and width, with O for 0 and I or L for 1, spaces and dashes anywhere.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 100 {
            return None;
        }
        let typed = matching_form(typed);
        let letters = typed.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | 'ー' | '−' | '‐'));
        let code: String = letters
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect();
        let fits = code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte));
        fits.then(|| Self(Secret::new(code)))
    }

    /// As it is handed over: `ABCDE-FGHJK`.
    pub(super) fn shown(&self) -> Secret<String> {
        let (first, second) = self.0.expose().split_at_checked(GROUP).unwrap_or_default();
        Secret::new(format!("{first}-{second}"))
    }

    /// What the store keeps. Keyed, because fifty bits alone could be searched by whoever has the file.
    pub(super) fn hash(&self, master: &MasterKey, staff_no: &StaffNo) -> Option<TokenHash> {
        let context = [staff_no.as_str().as_bytes(), b"\0", self.0.expose().as_bytes()].concat();
        let keyed = master.derive("enrolment-code", &context).ok()?;
        Some(TokenHash::of(TokenKind::Enrolment, &keyed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        let code = Code::parse("01ABC-DEFGH").unwrap();
        for typed in ["01abcdefgh", "oiabc defgh", "ＯＬＡＢＣ－ＤＥＦＧＨ", " 0l-ab-cd-ef-gh "] {
            assert_eq!(Code::parse(typed).map(|c| c.0.expose().clone()), Some(code.0.expose().clone()), "{typed}");
        }
        for bad in ["", "01ABC-DEFG", "01ABC-DEFGHJ", "01ABC-DEFGU", "01ABC-DEFG\u{0}"] {
            assert!(Code::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn req_c36_a_code_has_fifty_bits_and_belongs_to_its_number_and_key() {
        let code = Code::generate().unwrap();
        assert_eq!(code.shown().expose().len(), 11);
        assert_eq!(Code::parse(code.shown().expose()).unwrap().0.expose(), code.0.expose());
        let (master, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let (a, b) = ("000123".parse().unwrap(), "000124".parse().unwrap());
        assert_ne!(code.hash(&master, &a), code.hash(&master, &b));
        assert_ne!(code.hash(&master, &a), code.hash(&other, &a));
    }
}
