//! A QR code as one SVG path, so that no inline style and no image address is needed.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// The dark modules of a code, with the quiet zone of four around them.
#[derive(Clone)]
pub(crate) struct Qr {
    pub(crate) size: usize,
    pub(crate) path: String,
}

impl Qr {
    const QUIET: usize = 4;

    /// The code for `text`; none if it is too long for one.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (n, colour) in code.to_colors().into_iter().enumerate() {
            if colour == Color::Dark {
                let (x, y) = (n % width + Self::QUIET, n / width + Self::QUIET);
                let _ = write!(path, "M{x} {y}h1v1h-1z");
            }
        }
        Some(Self { size: width + 2 * Self::QUIET, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_a_quiet_zone_and_its_three_finders() {
        let qr = Qr::of("otpauth://totp/x?secret=ABC").unwrap();
        assert!(qr.size >= 21 + 8);
        let far = qr.size - 5;
        for corner in ["M4 4h".to_owned(), format!("M{far} 4h"), format!("M4 {far}h")] {
            assert!(qr.path.contains(&corner), "{corner}");
        }
        assert!(!qr.path.contains("M3 ") && !qr.path.contains(" 3h"));
    }

    #[test]
    fn a_text_too_long_for_a_code_gives_none() {
        assert!(Qr::of(&"x".repeat(10_000)).is_none());
    }
}
