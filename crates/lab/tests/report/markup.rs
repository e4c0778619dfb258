//! A rough check of markup.

/// Checks that tags are balanced and attributes quoted, and gives the names of the elements.
pub fn elements(html: &str) -> Vec<String> {
    const VOID: [&str; 3] = ["meta", "wbr", "br"];
    let (mut open, mut seen) = (Vec::<String>::new(), Vec::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some((text, tail)) = rest.split_once('<') {
        // The style sheet holds child selectors; elsewhere a bare `>` would be text that was not escaped.
        assert!(open.last().is_some_and(|tag| tag == "style") || !text.contains('>'), "stray > in {text:?}");
        let end = tag_end(tail);
        let tag = &tail[..end];
        rest = &tail[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name.trim()), "closing tag");
            continue;
        }
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(!name.is_empty(), "not a tag: {tag:?}");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in {tag:?}");
        seen.push(name.clone());
        if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    seen
}

/// Where a tag ends: the first `>` outside quotes.
fn tag_end(tail: &str) -> usize {
    let mut quoted = false;
    tail.char_indices()
        .find(|(_, letter)| {
            quoted ^= *letter == '"';
            *letter == '>' && !quoted
        })
        .map(|(at, _)| at)
        .expect("the tag ends")
}
