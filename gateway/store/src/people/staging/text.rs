//! The text of an `INSERT` of several rows, written by the compiler: a statement is a constant.

/// How many rows the statements for many take.
pub(super) const MANY: usize = 32;
/// Room for the longest text.
const ROOM: usize = 4_096;

/// A text and how much of the room it fills.
pub(super) struct Text([u8; ROOM], usize);

/// The statement for one row, and the one for [`MANY`]; so many arguments a row.
pub(super) const fn one_and_many(into: &str, columns: usize) -> [Text; 2] {
    [insert(into, columns, 1), insert(into, columns, MANY)]
}

/// `into` and then `VALUES ($1, $2), ($3, $4), …`.
const fn insert(into: &str, columns: usize, rows: usize) -> Text {
    let mut text = Text([0; ROOM], 0).then(into.as_bytes());
    let mut argument = 0;
    while argument < columns * rows {
        text = text.then(match (argument, argument % columns) {
            (0, _) => b" VALUES ($",
            (_, 0) => b"), ($",
            _ => b", $",
        });
        argument += 1;
        text = text.number(argument);
    }
    text.then(b")")
}

impl Text {
    pub(super) const fn as_str(&self) -> &str {
        match str::from_utf8(self.0.split_at(self.1).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the compiler runs it, and stops where there is no room")]
    const fn then(mut self, bytes: &[u8]) -> Self {
        let mut at = 0;
        while at < bytes.len() {
            self.0[self.1] = bytes[at];
            self.1 += 1;
            at += 1;
        }
        self
    }

    const fn number(self, number: usize) -> Self {
        let text = if number >= 10 { self.number(number / 10) } else { self };
        text.then(&[b'0' + (number % 10) as u8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_row_and_every_argument() {
        const ONE: Text = insert("INSERT INTO thing (a, b, c)", 3, 1);
        assert_eq!(ONE.as_str(), "INSERT INTO thing (a, b, c) VALUES ($1, $2, $3)");
        let text = insert("INSERT INTO thing (a, b, c)", 3, MANY);
        assert!(text.as_str().starts_with("INSERT INTO thing (a, b, c) VALUES ($1, $2, $3), ($4, $5, $6), ("));
        assert!(text.as_str().ends_with(&format!(", ${}, ${})", MANY * 3 - 1, MANY * 3)));
        assert_eq!(text.as_str().matches('(').count(), MANY + 1);
    }
}
