//! Kana to Latin letters (Hepburn), as far as passwords made of names need it.

/// `やまだ` or `ヤマダ` to `yamada`; `None` if anything but kana is in it.
pub(super) fn of_kana(text: &str) -> Option<String> {
    let kana: Vec<char> = text.chars().map(hiragana).collect();
    let mut out = String::new();
    let mut doubled = false;
    let mut rest = kana.as_slice();
    while let Some((first, after)) = rest.split_first() {
        match *first {
            'っ' => doubled = true,
            'ー' => {}
            _ => {
                let (sound, used) = sound(*first, after.first().copied())?;
                if doubled {
                    out.extend(sound.chars().next().map(|c| if sound.starts_with("ch") { 't' } else { c }));
                    doubled = false;
                }
                out.push_str(&sound);
                rest = after.get(used..).unwrap_or_default();
                continue;
            }
        }
        rest = after;
    }
    (!out.is_empty()).then_some(out)
}

/// Katakana as hiragana.
fn hiragana(c: char) -> char {
    match c {
        'ァ'..='ヶ' => char::from_u32(u32::from(c) - 0x60).unwrap_or(c),
        _ => c,
    }
}

/// The sound of a kana and how many of the following it took (a small や, ゆ or よ).
fn sound(kana: char, next: Option<char>) -> Option<(String, usize)> {
    let plain = single(kana)?;
    let glide = match next {
        Some('ゃ') => "a",
        Some('ゅ') => "u",
        Some('ょ') => "o",
        _ => return Some((plain.to_owned(), 0)),
    };
    let stem = plain.strip_suffix('i')?;
    let y = if matches!(stem, "sh" | "ch" | "j") { "" } else { "y" };
    Some((format!("{stem}{y}{glide}"), 1))
}

fn single(kana: char) -> Option<&'static str> {
    const ROWS: [(&str, [&str; 5]); 14] = [
        ("あいうえお", ["a", "i", "u", "e", "o"]),
        ("かきくけこ", ["ka", "ki", "ku", "ke", "ko"]),
        ("さしすせそ", ["sa", "shi", "su", "se", "so"]),
        ("たちつてと", ["ta", "chi", "tsu", "te", "to"]),
        ("なにぬねの", ["na", "ni", "nu", "ne", "no"]),
        ("はひふへほ", ["ha", "hi", "fu", "he", "ho"]),
        ("まみむめも", ["ma", "mi", "mu", "me", "mo"]),
        ("らりるれろ", ["ra", "ri", "ru", "re", "ro"]),
        ("がぎぐげご", ["ga", "gi", "gu", "ge", "go"]),
        ("ざじずぜぞ", ["za", "ji", "zu", "ze", "zo"]),
        ("だぢづでど", ["da", "ji", "zu", "de", "do"]),
        ("ばびぶべぼ", ["ba", "bi", "bu", "be", "bo"]),
        ("ぱぴぷぺぽ", ["pa", "pi", "pu", "pe", "po"]),
        ("やゆよわん", ["ya", "yu", "yo", "wa", "n"]),
    ];
    if kana == 'を' {
        return Some("o");
    }
    ROWS.iter().find_map(|(row, sounds)| {
        let column = row.chars().position(|c| c == kana)?;
        sounds.get(column).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_typed() {
        for (kana, romaji) in [
            ("ヤマダ", "yamada"),
            ("さとう", "satou"),
            ("キョウコ", "kyouko"),
            ("しゅんいち", "shunichi"),
            ("ハットリ", "hattori"),
            ("ふじた", "fujita"),
            ("イッチョウ", "itchou"),
            ("ジュンコ", "junko"),
        ] {
            assert_eq!(of_kana(kana).as_deref(), Some(romaji), "{kana}");
        }
        assert_eq!(of_kana("山田"), None);
        assert_eq!(of_kana("ャ"), None);
        assert_eq!(of_kana(""), None);
    }
}
