//! Text of others (HR names, paths, user agents) made fit to stand on a page.

use std::fmt;

/// Text that came from somewhere else, without what could disturb the page around it: control
/// characters and the marks that change writing direction are left out, the length is bounded.
/// Templates escape it like everything; this is about what escaping doesn't reach (A43).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plain(String);

impl Plain {
    const LONGEST: usize = 200;

    /// The fit part of `text`, cut after 200 characters.
    pub(crate) fn new(text: &str) -> Self {
        let mut fit = text.chars().filter(|&c| !disturbs(c));
        let mut kept: String = fit.by_ref().take(Self::LONGEST).collect();
        if fit.next().is_some() {
            kept.push('…');
        }
        Self(kept)
    }
}

impl From<&str> for Plain {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_a43_direction_marks_and_controls_do_not_reach_a_page() {
        let hostile = "看護\u{202e}部\u{2066}\u{0}長\r\n\u{feff}\u{200f}";
        assert_eq!(Plain::new(hostile).to_string(), "看護部長");
    }

    #[test]
    fn ordinary_names_stay_as_hr_writes_them() {
        for name in ["髙橋 﨑子", "𠮷田　花子", "O’Brien-Sørensen", "葛󠄀城"] {
            assert_eq!(Plain::new(name).to_string(), name);
        }
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let shown = Plain::new(&"あ".repeat(100_000)).to_string();
        assert_eq!(shown.chars().count(), 201);
        assert!(shown.ends_with('…'));
    }
}
