use unicode_normalization::UnicodeNormalization as _;

/// The form in which texts that people or HR wrote are compared (G-18, G-19): NFKC and trimmed.
/// Full-width digits and half-width kana meet their plain twins; what is shown stays as it was written.
pub fn matching_form(text: &str) -> String {
    let folded: String = text.nfkc().collect();
    folded.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::matching_form as form;

    #[test]
    fn req_g18_width_does_not_tell_texts_apart() {
        assert_eq!(form("　０００１２３ "), "000123");
        assert_eq!(form("ｶﾝｺﾞ部"), form("カンゴ部"));
        assert_eq!(form("第３病棟"), "第3病棟");
        // Two code pages spell the wave dash and the minus sign in two ways; NFKC folds the full-width one.
        assert_eq!(form("～"), "~");
        assert_eq!(form("－"), "-");
        assert_eq!(form("￥"), "¥");
    }
}
