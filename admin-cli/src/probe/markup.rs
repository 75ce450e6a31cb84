//! The tags of a page, as far as a survey needs them. No parser of HTML: what a browser would make of broken
//! markup is of no matter here.

/// A start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// Lower-case.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// The text of a script or title.
    pub(super) text: String,
}

impl Tag {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value))
    }
}

/// All start tags of a page, comments left out.
pub(super) fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, behind)| behind);
            continue;
        }
        let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
        if name.is_empty() {
            rest = after;
            continue;
        }
        let (attributes, behind) = attributes(after.get(name.len()..).unwrap_or_default());
        let name = name.to_ascii_lowercase();
        let (text, behind) = match name.as_str() {
            "script" | "title" | "style" => until_closed(behind, &name),
            _ => ("", behind),
        };
        rest = behind;
        tags.push(Tag { name, attributes, text: text.to_owned() });
    }
    tags
}

/// The attributes up to the tag's `>`, and what follows.
fn attributes(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (found, rest.get(1..).unwrap_or_default());
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        let (key, after) = rest.split_at_checked(end.max(1)).unwrap_or((rest, ""));
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(value) => attribute_value(value.trim_start()),
            None => ("", after),
        };
        found.push((key.to_ascii_lowercase(), value.replace("&amp;", "&")));
        rest = after;
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The text up to the closing tag, and what follows.
fn until_closed<'t>(text: &'t str, name: &str) -> (&'t str, &'t str) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("</")) {
        let start = from + at;
        let after = text.get(start + 2..).unwrap_or_default();
        if after.get(..name.len()).is_some_and(|close| close.eq_ignore_ascii_case(name)) {
            return (text.get(..start).unwrap_or_default(), after);
        }
        from = start + 2;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_their_attributes_are_found_in_the_markup_that_there_is() {
        let page = "<!doctype html><!-- <a href=no> --><TITLE>病院 &amp; x</title><a HREF='/a?x=1&amp;y=2' hidden>\
                    <img src=/b.png/><script>if (a<b) { s = '<a href=no>' }</script><form action=\"/c\" method=post>";
        let tags = tags(page);
        let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["title", "a", "img", "script", "form"]);
        assert_eq!(tags[0].text, "病院 &amp; x");
        assert_eq!((tags[1].get("href"), tags[1].get("hidden")), (Some("/a?x=1&y=2"), Some("")));
        assert_eq!(tags[2].get("src"), Some("/b.png/"));
        assert!(tags[3].text.contains("<a href=no>"));
        assert!(tags[4].is("method", "POST"));
    }

    #[test]
    fn broken_markup_ends_somewhere() {
        for page in
            ["<", "<a", "<a href", "<a href=", "<a href='x", "<script>", "<!--", "</", "<a =x>", "<é>", "<a é=é>"]
        {
            let _ = tags(page);
        }
    }
}
