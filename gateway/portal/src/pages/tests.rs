use super::*;
use crate::messages::Language;
use crate::samples::{self, ORDINARY, Words};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&\u{202e}reversed\u{2066}<script>alert(2)</script>";

fn each_page(words: Words<'_>, mut look: impl FnMut(&str, &str)) {
    for language in Language::ALL {
        let pages = samples::pages(language, words);
        assert!(pages.len() > 20);
        for (name, html) in pages {
            look(&format!("{} {name}", language.tag()), &html);
        }
    }
}

#[test]
fn every_page_finds_its_words() {
    each_page(ORDINARY, |name, html| {
        assert!(html.starts_with("<!doctype html>"), "{name}");
        assert!(html.trim_end().ends_with("</html>"), "{name}");
        assert!(!html.contains('⟨'), "{name} lacks a message: {html}");
    });
}

#[test]
fn atk_a43_a_hostile_name_stays_text_on_every_page() {
    let words = Words { name: HOSTILE, kana: HOSTILE, department: HOSTILE, thing: HOSTILE };
    let mut shown = 0;
    each_page(words, |name, html| {
        for bad in ["<img", "<script>", "onerror=alert(1)>", "\u{202e}", "\u{2066}", "\"'&r"] {
            assert!(!html.contains(bad), "{name} has {bad:?}");
        }
        shown += usize::from(html.contains("&#60;img src=x onerror="));
    });
    assert!(shown > 10, "the name was on {shown} pages");
}

#[test]
fn req_c46_no_page_has_a_script_or_style_of_its_own_or_anything_from_elsewhere() {
    each_page(ORDINARY, |name, html| {
        for bad in [" style=", "<style", " onclick=", " onload=", "javascript:", "http://", "//cdn"] {
            assert!(!html.contains(bad), "{name} has {bad:?}");
        }
        for script in html.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/.sekimori/assets/"), "{name}");
            assert!(script.contains("></script>"), "{name}");
        }
    });
}

#[test]
fn req_c20_password_fields_take_paste_managers_and_can_be_shown() {
    let mut fields = 0;
    each_page(ORDINARY, |name, html| {
        assert!(!html.contains("onpaste"), "{name}");
        for field in html.split("<input").skip(1).filter(|f| f.contains("type=\"password\"")) {
            assert!(
                field.contains("autocomplete=\"current-password\"") || field.contains("autocomplete=\"new-password\""),
                "{name}"
            );
            fields += 1;
        }
        if html.contains("type=\"password\"") {
            assert!(html.contains("data-reveal="), "{name} lacks the show button");
        }
    });
    assert!(fields >= 8);
}

#[test]
fn every_form_posts_with_a_token() {
    each_page(ORDINARY, |name, html| {
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.contains("method=\"post\"") && form.contains("name=\"t\" value=\"TOKEN\""), "{name}: {form}");
        }
    });
}

#[test]
fn a_page_has_one_main_heading_a_language_and_a_request_number() {
    each_page(ORDINARY, |name, html| {
        let (language, page) = name.split_once(' ').unwrap();
        assert!(html.contains(&format!("<html lang=\"{language}\">")), "{name}");
        assert!(html.contains("0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77"), "{name}");
        if page != "framed" {
            assert_eq!(html.matches("<h1").count(), 1, "{name}");
        }
    });
}

#[test]
fn labels_belong_to_their_fields() {
    each_page(ORDINARY, |name, html| {
        for label in html.split("<label for=\"").skip(1) {
            let id = label.split('"').next().unwrap();
            assert!(html.contains(&format!("id=\"{id}\"")), "{name}: {id}");
        }
    });
}

#[test]
fn a_language_link_keeps_the_page_and_its_query() {
    let switches = Switch::of("/login", &[("i", "a b&c"), ("lang", "ja")], Language::Japanese);
    let hrefs: Vec<_> = switches.iter().map(|s| s.href.as_str()).collect();
    assert_eq!(hrefs, ["/login?i=a+b%26c&lang=en"]);
}
