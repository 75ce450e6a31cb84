use config::Encoding;
use encoding_rs::{DecoderResult, SHIFT_JIS};

use crate::FILE_BOUND;
use crate::problem::{Problem, RowProblem};

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The file as text, in the declared encoding and no other (G-17). One undecodable byte refuses the
/// whole file: a replaced character in a name would be kept for good.
pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, RowProblem> {
    if bytes.len() > FILE_BOUND {
        return Err(RowProblem::file(Problem::FileTooLarge));
    }
    let marked = match bytes {
        [0xEF, 0xBB, 0xBF, ..] if encoding != Encoding::Utf8 => Some("UTF-8"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        _ => None,
    };
    if let Some(found) = marked {
        return Err(RowProblem::line(1, Problem::OtherMark { found, declared: name(encoding) }));
    }
    let text = match encoding {
        Encoding::Utf8 => utf8(bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes)),
        Encoding::Cp932 => cp932(bytes),
    };
    text.map_err(|at| undecodable(bytes, at, encoding))
}

/// The offset of the first byte that isn't UTF-8, counted with the byte order mark.
fn utf8(bytes: &[u8]) -> Result<String, usize> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|e| e.valid_up_to())
}

/// WHATWG's Shift_JIS is code page 932 with NEC's and IBM's extensions.
fn cp932(bytes: &[u8]) -> Result<String, usize> {
    let mut decoder = SHIFT_JIS.new_decoder_without_bom_handling();
    let longest = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(longest.unwrap_or(bytes.len()));
    match decoder.decode_to_string_without_replacement(bytes, &mut text, true) {
        (DecoderResult::InputEmpty, _) => Ok(text),
        (DecoderResult::Malformed(length, after), read) => {
            Err(read.saturating_sub(usize::from(length)).saturating_sub(usize::from(after)))
        }
        (DecoderResult::OutputFull, read) => Err(read),
    }
}

fn undecodable(bytes: &[u8], at: usize, encoding: Encoding) -> RowProblem {
    let skipped = if encoding == Encoding::Utf8 && bytes.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
    let at = at.saturating_add(skipped);
    // No second byte of either encoding is a line feed.
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.iter().filter(|b| **b == b'\n').count() as u64 + 1;
    let shown: Vec<String> = bytes.iter().skip(at).take(2).map(|b| format!("{b:02X}")).collect();
    RowProblem::line(line, Problem::Undecodable { bytes: shown.join(" "), encoding: name(encoding) })
}

fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Cp932 => "cp932",
        Encoding::Utf8 => "utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn req_g17_cp932_with_the_extensions_of_nec_and_ibm_is_read() {
        // 髙 and 﨑 as Windows writes them (IBM) and as NEC did, then ①, half-width kana, full-width digits, ～ and －.
        let bytes = b"\xFB\xFC\xED\x95\xEE\xE0\xFA\xB1\x87\x40\xB1\xB2\x82\x4F\x81\x60\x81\x7C\r\n";
        assert_eq!(decode(bytes, Encoding::Cp932).unwrap(), "髙﨑髙﨑①ｱｲ０～－\r\n");
        assert_eq!(decode(b"\\~", Encoding::Cp932).unwrap(), "\\~");
    }

    #[test]
    fn req_g17_utf8_is_read_with_and_without_its_mark() {
        for bytes in [&b"\xEF\xBB\xBF\xE5\xB1\xB1"[..], b"\xE5\xB1\xB1"] {
            assert_eq!(decode(bytes, Encoding::Utf8).unwrap(), "山");
        }
    }

    #[test]
    fn req_g17_an_undecodable_byte_refuses_the_file_and_names_its_line() {
        for (bytes, encoding, line, shown) in [
            (&b"a\r\nb\r\n\x81\x20c"[..], Encoding::Cp932, 3, "81 20"),
            (b"a\n\xA0", Encoding::Cp932, 2, "A0"),
            (b"a\n\xFD\xFE", Encoding::Cp932, 2, "FD FE"),
            (b"a\n\x82", Encoding::Cp932, 2, "82"),
            (b"\xEF\xBB\xBFa\n\xE5\xB1\n", Encoding::Utf8, 2, "E5 B1"),
            // A CP932 file that was declared to be UTF-8.
            (b"\x8E\x52\n", Encoding::Utf8, 1, "8E 52"),
        ] {
            let RowProblem { line: at, problem, .. } = decode(bytes, encoding).unwrap_err();
            let Problem::Undecodable { bytes: found, .. } = problem else { panic!("{problem:?}") };
            assert_eq!((at, found.as_str()), (line, shown), "{bytes:X?}");
        }
    }

    #[test]
    fn req_g17_the_mark_of_another_encoding_is_no_text() {
        for (bytes, encoding) in [
            (&b"\xEF\xBB\xBFa"[..], Encoding::Cp932),
            (b"\xFF\xFEa\0", Encoding::Cp932),
            (b"\xFE\xFF\0a", Encoding::Utf8),
        ] {
            assert!(matches!(decode(bytes, encoding).unwrap_err().problem, Problem::OtherMark { .. }));
        }
    }

    #[test]
    fn atk_a41_a_file_beyond_the_bound_is_not_even_decoded() {
        let bytes = vec![0xFF; FILE_BOUND + 1];
        assert_eq!(decode(&bytes, Encoding::Utf8).unwrap_err().problem, Problem::FileTooLarge);
    }
}
