//! Carrying data out (S-22): which answers a browser would save as a file, and what becomes of them.
//!
//! Only what the gateway sees: a page can make a file of what it was allowed to fetch, and a person can save
//! the page itself. What is refused here is the way that apps offer.

use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderValue};
use model::FetchMetadata;
use policy::{ActionClass, Download};

/// What rules say of the answers to one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrying {
    pub(super) class: ActionClass,
    /// The strictest of what action (or app) and zone say.
    pub(super) download: Download,
    /// The answer is for a window of the browser, or for a program, and not for a page's script or picture.
    pub(super) opens: bool,
    /// It was asked for by a link that says `download`: it is saved whatever it is, and whatever we call it.
    pub(super) saves: bool,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes; whether it counts as carried out.
    Pass { exported: bool },
    /// It is refused.
    Refused,
}

impl Carrying {
    pub(super) fn opens(fetch: FetchMetadata) -> bool {
        fetch.navigate || !fetch.present
    }

    /// Judges an answer with a body; what is to be shown instead of saved is told so.
    pub(super) fn judge(self, status: StatusCode, headers: &mut HeaderMap) -> Verdict {
        if !status.is_success() {
            return Verdict::Pass { exported: false };
        }
        let exports = self.class == ActionClass::Export;
        let saved = self.saves || is_attachment(headers) || (self.opens && !is_shown(headers));
        if !saved {
            return Verdict::Pass { exported: exports };
        }
        match self.download {
            Download::Allow => Verdict::Pass { exported: true },
            Download::Inline if is_shown(headers) && !self.saves => {
                headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
                Verdict::Pass { exported: exports }
            }
            Download::Inline | Download::Deny => Verdict::Refused,
        }
    }
}

/// Anything but `inline`, which is the one disposition that isn't saved (RFC 6266 4.2).
fn is_attachment(headers: &HeaderMap) -> bool {
    let kind = |value: &HeaderValue| {
        let kind = value.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"inline")
    };
    !headers.get_all(CONTENT_DISPOSITION).iter().all(kind)
}

/// Of a type that browsers show in a window; without one they look for themselves.
fn is_shown(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let only = match (types.next(), types.next()) {
        (None, _) => return true,
        (Some(only), None) => only,
        (Some(_), Some(_)) => return false,
    };
    let text = only.to_str().unwrap_or_default().to_ascii_lowercase();
    match text.split(';').next().unwrap_or_default().trim().split_once('/') {
        Some(("text", part)) => !matches!(part, "csv" | "tab-separated-values" | "calendar" | "vcard" | "rtf"),
        Some(("image", part)) => {
            matches!(
                part,
                "png" | "jpeg" | "gif" | "webp" | "svg+xml" | "bmp" | "avif" | "x-icon" | "vnd.microsoft.icon"
            )
        }
        Some(("audio" | "video", _)) => true,
        Some(("application", part)) => {
            matches!(part, "pdf" | "json" | "xml" | "xhtml+xml" | "javascript")
                || part.ends_with("+json")
                || part.ends_with("+xml")
        }
        Some(("multipart", part)) => part == "x-mixed-replace",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Carrying = Carrying { class: ActionClass::Use, download: Download::Allow, opens: true, saves: false };

    fn judged(rule: Carrying, kind: &str, disposition: &str) -> (Verdict, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, text) in [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition)] {
            if !text.is_empty() {
                headers.insert(name, text.parse().unwrap());
            }
        }
        let verdict = rule.judge(StatusCode::OK, &mut headers);
        (verdict, headers.get(CONTENT_DISPOSITION).map(|value| value.to_str().unwrap().to_owned()))
    }

    fn verdict(rule: Carrying, kind: &str, disposition: &str) -> Verdict {
        judged(rule, kind, disposition).0
    }

    #[test]
    fn req_s22_what_a_browser_would_save_is_carried_out() {
        let (shown, saved) = (Verdict::Pass { exported: false }, Verdict::Pass { exported: true });
        for (kind, disposition) in [
            ("text/html", ""),
            ("application/pdf", ""),
            ("", ""),
            ("image/png", "inline; filename=\"x.png\""),
            ("application/fhir+json; charset=utf-8", "Inline"),
        ] {
            assert_eq!(verdict(RULE, kind, disposition), shown, "{kind} {disposition}");
        }
        for (kind, disposition) in [
            ("text/html", "attachment"),
            ("application/pdf", "ATTACHMENT; filename=x.pdf"),
            ("image/png", "form-data; name=\"x\""),
            ("text/csv", ""),
            ("application/octet-stream", ""),
            ("application/dicom", "inline"),
            ("nonsense", ""),
        ] {
            assert_eq!(verdict(RULE, kind, disposition), saved, "{kind} {disposition}");
        }
        let script = Carrying { opens: false, ..RULE };
        assert_eq!(verdict(script, "application/dicom", ""), shown, "what a page's own script asks for is not saved");
        assert_eq!(verdict(script, "application/dicom", "attachment"), saved);
    }

    #[test]
    fn req_s22_inline_shows_what_can_be_shown_and_deny_nothing_that_would_be_saved() {
        let inline = Carrying { download: Download::Inline, ..RULE };
        let (passed, told) = judged(inline, "application/pdf", "attachment; filename=\"report.pdf\"");
        assert_eq!((passed, told.as_deref()), (Verdict::Pass { exported: false }, Some("inline")));
        assert_eq!(verdict(inline, "application/zip", "attachment"), Verdict::Refused);
        let deny = Carrying { download: Download::Deny, ..RULE };
        assert_eq!(verdict(deny, "application/pdf", "attachment"), Verdict::Refused);
        assert_eq!(verdict(deny, "text/csv", ""), Verdict::Refused);
        assert_eq!(verdict(deny, "text/html", ""), Verdict::Pass { exported: false });
    }

    #[test]
    fn req_s22_a_link_that_says_download_saves_whatever_comes() {
        let link = Carrying { saves: true, ..RULE };
        assert_eq!(verdict(link, "application/pdf", "inline"), Verdict::Pass { exported: true });
        for download in [Download::Inline, Download::Deny] {
            assert_eq!(verdict(Carrying { download, ..link }, "application/pdf", "inline"), Verdict::Refused);
        }
    }

    #[test]
    fn req_s22_every_answer_of_an_export_is_carried_out_but_a_failure() {
        let export = Carrying { class: ActionClass::Export, opens: false, ..RULE };
        assert_eq!(verdict(export, "application/json", ""), Verdict::Pass { exported: true });
        let failed = export.judge(StatusCode::NOT_FOUND, &mut HeaderMap::new());
        assert_eq!(failed, Verdict::Pass { exported: false });
        let inline = Carrying { download: Download::Inline, ..export };
        assert_eq!(verdict(inline, "text/html", "attachment"), Verdict::Pass { exported: true });
    }
}
