//! Content negotiation: which encoding and which form of an answer the client accepts, and how its body is encoded.

use podo_api::status::Details;
use podo_api::{Reason, Status};

use crate::encoding::{Encoding, PatchKind};

/// The media types of answers, as the error lists them.
const ANSWERS: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The media types of watches, as the error lists them.
const WATCHES: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// In what form an object is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// As it is.
    Whole,
    /// As rows of a table.
    Table(MetaVersion),
    /// Just the metadata of one object.
    Metadata(MetaVersion),
    /// Just the metadata of a list.
    MetadataList(MetaVersion),
}

/// The version of `meta.k8s.io` that a form is asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    pub(crate) const fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rendering {
    pub(crate) encoding: Encoding,
    pub(crate) form: Form,
    pub(crate) is_pretty: bool,
}

impl Rendering {
    /// JSON, as it is.
    pub(crate) const JSON: Self =
        Self { encoding: Encoding::Json, form: Form::Whole, is_pretty: false };

    /// The `Content-Type` of an answer.
    pub(crate) const fn content_type(&self) -> &'static str {
        match self.encoding {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// One clause of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = parameters
            .iter()
            .find(|(key, _)| *key == "q")
            .and_then(|(_, value)| value.parse().ok());
        Self { media, parameters, quality: quality.unwrap_or(1.0) }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn encoding(&self) -> Option<Encoding> {
        match self.media {
            "application/json" | "*/*" => Some(Encoding::Json),
            "application/yaml" => Some(Encoding::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Encoding::Protobuf),
            _ => None,
        }
    }

    /// The form that the clause asks for; `None` if there is no such form.
    fn form(&self) -> Option<Form> {
        let Some(kind) = self.get("as") else { return Some(Form::Whole) };
        if self.get("g") != Some("meta.k8s.io") {
            return None;
        }
        let version = match self.get("v")? {
            "v1" => MetaVersion::V1,
            "v1beta1" => MetaVersion::V1Beta1,
            _ => return None,
        };
        match kind {
            "Table" if self.encoding() != Some(Encoding::Protobuf) => Some(Form::Table(version)),
            "PartialObjectMetadata" => Some(Form::Metadata(version)),
            "PartialObjectMetadataList" => Some(Form::MetadataList(version)),
            _ => None,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// An object or a list, in any form.
    Object,
    /// Something that has no other form than its own, such as a review.
    Plain,
    /// A stream of events.
    Watch,
}

/// The clauses of an `Accept` header, the most wanted first.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = accept
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(Clause::parse)
        .collect();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

/// The media types of an `Accept` header, the most wanted first.
pub(crate) fn media_types(accept: &str) -> Vec<&str> {
    clauses(accept).into_iter().map(|clause| clause.media).collect()
}

/// Chooses how to answer. An error comes with the rendering that it is to be told in.
pub(crate) fn negotiate(
    accept: Option<&str>,
    wanted: Wanted,
) -> Result<Rendering, (Status, Rendering)> {
    let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else {
        return Ok(Rendering::JSON);
    };
    // An error has no other form than its own: it is told in an encoding that is accepted without one.
    let (mut is_routed, mut fallback) = (false, None);
    for clause in clauses(accept) {
        let Some(encoding) = clause.encoding() else { continue };
        is_routed = true;
        let Some(form) = clause.form() else { continue };
        if form == Form::Whole {
            fallback = fallback.or(Some(encoding));
        }
        let fits = match wanted {
            Wanted::Object => true,
            Wanted::Plain => form == Form::Whole,
            Wanted::Watch => encoding != Encoding::Yaml,
        };
        if fits {
            return Ok(Rendering { encoding, form, is_pretty: false });
        }
    }
    let status = match (is_routed, wanted) {
        (false, _) => unrouted(
            Reason::NotAcceptable,
            format!("406: Not Acceptable\n\nAvailable representations: {ANSWERS}"),
        ),
        (true, Wanted::Watch) => not_acceptable(WATCHES),
        (true, Wanted::Object | Wanted::Plain) => not_acceptable(ANSWERS),
    };
    let encoding = fallback.unwrap_or(Encoding::Json);
    Err((status, Rendering { encoding, ..Rendering::JSON }))
}

/// What upstream's handlers answer that come before its router.
pub(crate) fn unroutable() -> Status {
    not_acceptable(ANSWERS)
}

fn not_acceptable(known: &str) -> Status {
    let message = format!("only the following media types are accepted: {known}");
    Status::failure(Reason::NotAcceptable, message)
}

/// What upstream's router answers, before the request comes to any handler.
fn unrouted(reason: Reason, message: String) -> Status {
    Status::about(reason, message, Details::default())
}

/// How the body of a create, update or delete is encoded.
pub(crate) fn body_encoding(content_type: Option<&str>) -> Result<Encoding, Status> {
    let media = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    match media {
        "" | "application/json" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Encoding::Protobuf),
        _ => {
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: {ANSWERS}"
            );
            Err(Status::failure(Reason::UnsupportedMediaType, message))
        }
    }
}

/// Which kind of patch a body is.
pub(crate) fn patch_kind(content_type: Option<&str>) -> Result<PatchKind, Status> {
    let media = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    match media {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        _ => {
            let message = "415: Unsupported Media Type".to_owned();
            Err(unrouted(Reason::UnsupportedMediaType, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, wanted: Wanted, expected: &str) {
        let text = match negotiate(Some(accept), wanted) {
            Ok(rendering) => format!("{:?} {:?}", rendering.encoding, rendering.form),
            Err((status, rendering)) => format!("{} {:?}", status.code, rendering.encoding),
        };
        assert_eq!(text, expected, "{accept}");
    }

    #[test]
    fn the_first_clause_that_can_be_served_wins() {
        check("*/*", Wanted::Object, "Json Whole");
        check("application/yaml;q=0.5, application/json", Wanted::Object, "Json Whole");
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            Wanted::Object,
            "Json Table(V1)",
        );
        check(
            "application/json;as=Foo;v=v1;g=meta.k8s.io,application/yaml",
            Wanted::Object,
            "Yaml Whole",
        );
        check("application/json;as=Foo;v=v1;g=meta.k8s.io", Wanted::Object, "406 Json");
        check("application/yaml", Wanted::Watch, "406 Yaml");
        let table = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io";
        check(table, Wanted::Object, "406 Json");
        check("text/html", Wanted::Object, "406 Json");
        check("application/json;as=Table;v=v1;g=meta.k8s.io", Wanted::Plain, "406 Json");
    }
}
