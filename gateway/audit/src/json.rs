//! Text into JSON so that nothing a client says can end a line, end a string, or move a terminal's cursor.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use model::hex;
use serde_json::Value;

/// How many bytes of a short text (name, reason, rule) a record keeps.
pub(crate) const SHORT: usize = 512;
/// How many bytes of a request's target a record keeps.
pub(crate) const TARGET: usize = 2_048;
/// How many bytes of JSON each of *before* and *after* may take.
const VALUE: usize = 24 * 1_024;
const DEPTH: usize = 16;

/// Writes `value` as a JSON string of at most `limit` bytes of the original; what is cut is counted in a mark.
pub(crate) fn text(out: &mut String, value: &str, limit: usize) {
    let kept = value.get(..value.floor_char_boundary(limit)).unwrap_or(value);
    out.push('"');
    if is_plain_text(kept) {
        out.push_str(kept);
    } else {
        kept.chars().for_each(|c| character(out, c));
    }
    if kept.len() < value.len() {
        let _ = write!(out, "…[{} bytes cut]", value.len() - kept.len());
    }
    out.push('"');
}

/// Writes `"key":"value"` with a comma before it unless the object has just begun.
pub(crate) fn field(out: &mut String, key: &str, value: &str, limit: usize) {
    name(out, key);
    text(out, value, limit);
}

/// Writes a whole number without the machinery of formatting.
pub(crate) fn number(out: &mut String, value: i64) {
    // As many digits as there are in 64 bits.
    let (mut digits, mut at, mut left) = ([b'0'; 20], 20_usize, value.unsigned_abs());
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        }
        left /= 10;
        if left == 0 || at == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    out.push_str(digits.get(at..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("0"));
}

/// Writes the key of an object's next member; the keys are the catalogue's, and plain.
pub(crate) fn name(out: &mut String, key: &str) {
    let between = !out.is_empty() && !out.ends_with('{');
    out.push_str(if between { ",\"" } else { "\"" });
    if is_plain_text(key) {
        out.push_str(key);
    } else {
        key.chars().for_each(|c| character(out, c));
    }
    out.push_str("\":");
}

/// Writes any value; one that would be too large or too deep is replaced by its size and SHA-256.
pub(crate) fn value(out: &mut String, value: &Value) {
    let start = out.len();
    if tree(out, value, DEPTH, start + VALUE) {
        return;
    }
    out.truncate(start);
    let whole = value.to_string();
    let hash = hex::of(digest::digest(&digest::SHA256, whole.as_bytes()).as_ref());
    let _ = write!(out, "{{\"cut_bytes\":{},\"sha256\":\"{hash}\"}}", whole.len());
}

fn tree(out: &mut String, value: &Value, depth: usize, end: usize) -> bool {
    if depth == 0 || out.len() > end {
        return false;
    }
    match value {
        Value::String(s) => text(out, s, SHORT * 4),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if !tree(out, item, depth - 1, end) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (key, item) in members {
                name(out, key);
                if !tree(out, item, depth - 1, end) {
                    return false;
                }
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
    }
    out.len() <= end
}

fn is_plain_text(text: &str) -> bool {
    text.bytes().all(|byte| PLAIN.get(usize::from(byte)).copied().unwrap_or(false))
}

/// [`is_plain`] of every byte: asked of each byte of each record.
#[expect(clippy::indexing_slicing, reason = "at compile time, where nothing else can be done")]
const PLAIN: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    loop {
        table[byte as usize] = is_plain(byte);
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Bytes that need no second look. 0xC2, 0xE2, 0xEF and 0xF3 begin the control and direction
/// characters outside ASCII, and much that is harmless.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f | 0xc2 | 0xe2 | 0xef | 0xf3)
}

fn character(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => escape(out, c),
        c if c.is_control() => escape(out, c),
        c => out.push(c),
    }
}

fn escape(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &str, limit: usize) -> String {
        let mut out = String::new();
        text(&mut out, value, limit);
        out
    }

    #[test]
    fn req_d16_a_text_can_neither_end_its_line_nor_steer_a_terminal() {
        let nasty = "a\r\nb\u{1b}[2J\u{9b}31m\u{7f}\u{2028}\u{202e}\"\\\u{feff}\u{e0041}終";
        let out = written(nasty, SHORT);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), nasty);
        assert!(out.chars().all(|c| !c.is_control()), "{out}");
        assert!(!out.contains(['\u{2028}', '\u{202e}', '\u{feff}', '\u{e0041}']));
        assert!(out.contains('終'));
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(written("関所の守り", 7), "\"関所…[9 bytes cut]\"");
        assert_eq!(written("関所", 6), "\"関所\"");
    }

    #[test]
    fn a_value_too_large_or_too_deep_is_replaced_by_its_hash() {
        let mut deep = Value::Null;
        for _ in 0..40 {
            deep = Value::Array(vec![deep]);
        }
        let large = Value::Array(vec![Value::from("x".repeat(2_000)); 100]);
        for v in [deep, large] {
            let mut out = String::new();
            value(&mut out, &v);
            let read: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(read["cut_bytes"], v.to_string().len());
            assert!(out.len() < 200);
        }
    }

    #[test]
    fn a_number_is_written_as_it_is_read() {
        for value in [0, 1, -1, 9, 10, 200, 1_536, i64::MAX, i64::MIN] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back_the_same(s in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&s, usize::MAX)).unwrap(), s);
        }
    }
}
