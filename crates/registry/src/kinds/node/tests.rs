//! What a Node may say of itself.

use podo_api::field::Errors;
use serde_json::json;

use super::declared_features;

#[track_caller]
fn check(features: &[&str], expected: &[&str]) {
    let mut errors = Errors::new();
    declared_features(&json!({"status": {"declaredFeatures": features}}), &mut errors);
    let found: Vec<String> =
        errors.iter().map(|error| format!("{}: {}", error.field, error.body())).collect();
    assert_eq!(found, expected);
}

#[test]
fn declared_features_have_names_of_a_form_and_an_order() {
    check(&["A", "MyFeature", "MyFeature/mySub2"], &[]);
    check(
        &["bad feature"],
        &[
            "status.declaredFeatures[0]: Invalid value: \"bad feature\": invalid feature name \"bad feature\": must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
        ],
    );
    check(
        &["B", "A", "A"],
        &[
            "status.declaredFeatures[1]: Invalid value: \"A\": list must be sorted alphabetically",
            "status.declaredFeatures[2]: Duplicate value: \"A\"",
        ],
    );
    let long = "A".repeat(254);
    check(
        &[&long],
        &[&format!(
            "status.declaredFeatures[0]: Invalid value: \"{long}\": invalid feature name \"{long}\": must be no more than 253 characters"
        )],
    );
}
