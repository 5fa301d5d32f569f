use proptest::prelude::*;

use super::*;

#[test]
fn selectors_print_in_canonical_form() {
    for (text, expected) in [
        ("", ""),
        (",", ""),
        ("b=2,a==1", "a=1,b=2"),
        ("a!=", "a!="),
        ("a=x\\,y", "a=x\\,y"),
        ("a=x\\\\,b=\\=", "a=x\\\\,b=\\="),
        ("=x", "=x"),
        ("a!b=c", "a!b=c"),
    ] {
        assert_eq!(
            Selector::parse(text).map(|selector| selector.to_string()),
            Ok(expected.into()),
            "{text}"
        );
    }
}

#[test]
fn errors_have_the_texts_of_upstream() {
    for (text, expected) in [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        (
            "b=1,metadata.name>x",
            "invalid selector: 'b=1,metadata.name>x'; can't understand 'metadata.name>x'",
        ),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=x\\", "invalid field selector: invalid escape sequence: \\"),
        ("a===x", "invalid field selector: unescaped character in value: 61"),
    ] {
        assert_eq!(Selector::parse(text).expect_err(text).text, expected);
    }
}

#[test]
fn all_terms_must_hold() {
    let fields = |name: &str| match name {
        "status.phase" => "Running",
        _ => "",
    };
    for (text, expected) in [
        ("", true),
        ("status.phase=Running", true),
        ("status.phase!=Running", false),
        ("status.phase=Running,spec.nodeName=", true),
        ("spec.nodeName!=", false),
    ] {
        assert_eq!(Selector::parse(text).expect(text).matches(fields), expected, "{text}");
    }
    let selector = Selector::parse("metadata.name=a,spec.nodeName!=b").expect("valid");
    assert_eq!(
        (selector.required("metadata.name"), selector.required("spec.nodeName")),
        (Some("a"), None)
    );
}

fn sorted(selector: &Selector) -> Vec<(&str, &str, bool)> {
    let terms = selector.terms().iter();
    let mut terms: Vec<_> = terms.map(|term| (&*term.field, &*term.value, term.is_equal)).collect();
    terms.sort_unstable();
    terms
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_without_a_panic(text in "[ab=!,\\\\é]{0,12}") {
        if let Ok(selector) = Selector::parse(&text) {
            let again = Selector::parse(&selector.to_string()).expect("what was printed");
            // Terms are sorted as they were written: `==a` before `=b`, which is printed as `=a`.
            prop_assert_eq!(sorted(&again), sorted(&selector));
        }
    }

    #[test]
    fn escaping_is_undone(value in "\\PC{0,12}") {
        prop_assert_eq!(unescape(&escape(&value)), Ok(value));
    }
}
