use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The UTF-8 of a text with everything percent-encoded but unreserved characters (RFC 3986 section 2.3).
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The bytes that a percent-encoded text means; an escape that is none stands for itself.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_unreserved_characters_are_encoded_and_come_back() {
        assert_eq!(percent_encoded("山田 花子"), "%E5%B1%B1%E7%94%B0%20%E8%8A%B1%E5%AD%90");
        assert_eq!(percent_encoded("a/b?c&d=é%\r\n"), "a%2Fb%3Fc%26d%3D%C3%A9%25%0D%0A");
        let unreserved = "AZaz09-._~";
        assert_eq!(percent_encoded(unreserved), unreserved);
        let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        assert_eq!(percent_decoded(&percent_encoded(&all)), all.as_bytes());
    }

    #[test]
    fn an_escape_that_is_none_stands_for_itself() {
        assert_eq!(percent_decoded("%2esek%zz%4"), b".sek%zz%4");
    }
}
