//! Lower-case hexadecimal, as records, hashes and names of sessions have it.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The 64 digits of a SHA-256 value.
pub fn digits(bytes: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
    out
}

/// The digits of any bytes.
pub fn of(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).map(char::from).collect()
}

/// The 32 bytes behind 64 lower-case digits; nothing else.
pub fn parse(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (value(*high)? << 4) | value(*low)?;
    }
    Some(out)
}

fn digit(nibble: u8) -> u8 {
    DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'0')
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_and_upper_case_does_not() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8).unwrap());
        let text = digits(&bytes);
        assert_eq!(parse(&text), Some(bytes));
        assert_eq!(of(&bytes).as_bytes(), text);
        assert_eq!(parse(&text.to_ascii_uppercase()), None);
        assert_eq!(parse(&text[1..]), None);
    }
}
