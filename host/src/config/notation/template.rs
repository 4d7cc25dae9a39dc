//! A text with parts in braces that stand for something of a message.

use super::{
    super::{Part, Template},
    Wrong, json_pointer, wrong,
};

const HELP: &str = "write text and, in braces, `{topic}`, `{source}`, `{header:NAME}` or `{json:/pointer}`, such as \"user-{json:/user/id}\"";

/// The parts of `text`.
pub(in crate::config) fn template(text: &str) -> Result<Template, Wrong> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        push_text(&mut parts, before)?;
        let (inside, behind) = after.split_once('}').ok_or(wrong("has a brace that is not closed", HELP))?;
        parts.push(part(inside)?);
        rest = behind;
    }
    push_text(&mut parts, rest)?;
    Ok(Template(parts))
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), Wrong> {
    if text.contains('}') {
        return Err(wrong("has a brace that was not opened", HELP));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

fn part(inside: &str) -> Result<Part, Wrong> {
    match (inside, inside.split_once(':')) {
        ("topic", _) => Ok(Part::Topic),
        ("source", _) => Ok(Part::Source),
        (_, Some(("header", name))) if !name.is_empty() => Ok(Part::Header(name.to_owned())),
        (_, Some(("json", pointer))) => json_pointer(pointer).map(|()| Part::Json(pointer.to_owned())),
        _ => Err(wrong("has something in braces that stands for nothing", HELP)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_parts_are_told_apart() {
        let parts = |text| template(text).map(|template| template.0);
        assert_eq!(parts("news"), Ok(vec![Part::Text("news".to_owned())]));
        assert_eq!(parts("{topic}"), Ok(vec![Part::Topic]));
        let user = [Part::Text("u-".to_owned()), Part::Json("/a/b".to_owned()), Part::Header("x".to_owned())];
        assert_eq!(parts("u-{json:/a/b}{header:x}"), Ok(user.to_vec()));
        assert_eq!(parts(""), Ok(Vec::new()));
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for text in ["{", "}", "a}b", "{topic", "{}", "{header:}", "{json:a}", "{json:}", "{user}"] {
            assert!(template(text).is_err(), "{text}");
        }
    }
}
