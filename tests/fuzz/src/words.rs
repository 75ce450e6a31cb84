use std::path::Path;
use std::{fs, io};

/// Reads a dictionary of libFuzzer's: a word in quotation marks on each line, `\xAB` for bytes that don't print. There
/// need be none.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let wrong = |line: &str| io::Error::other(format!("{}: {line}", path.display()));
    text.lines().filter(|line| !line.is_empty()).map(|line| word(line).ok_or_else(|| wrong(line))).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        rest = if let Some(digits) = rest.strip_prefix("\\x") {
            word.push(u8::from_str_radix(digits.get(..2)?, 16).ok()?);
            digits.get(2..)?
        } else {
            (first.is_ascii() && !matches!(first, '\\' | '"')).then_some(())?;
            word.extend(first.to_string().bytes());
            after
        };
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_libfuzzer_reads_it() {
        assert_eq!(word(r#""a\x22\xE5\x0Ab""#), Some(b"a\"\xe5\nb".to_vec()));
        for bad in ["a", "\"a", r#""a"b""#, r#""\n""#, r#""\xZZ""#, "\"山\""] {
            assert_eq!(word(bad), None, "{bad}");
        }
    }
}
