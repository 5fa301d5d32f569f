//! LIST: one consistent snapshot, in pages where the client asks for them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use podo_api::Status;
use podo_registry::Definition;
use podo_store::{Range, ReadError, Revision};
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::call::{Call, List, Outcome};
use crate::options::{ListOptions, VersionMatch};
use crate::selection::Selection;
use crate::storage::{self, StoredEntry};

/// How long a list waits for a version that the store has not reached (Kubernetes v1.36, watch cache).
const FUTURE_WAIT: Duration = Duration::from_secs(3);

/// Where a list goes on: the form of Kubernetes' own tokens.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// The `v` of a token.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

pub(super) async fn list(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let definition = call.target.definition;
    let options = call.options.list(false)?;
    let selection = Selection::new(definition, &call.target, &options)?;
    let start = start(api, &options).await?;
    let prefix = storage::prefix(definition, &call.target.namespace);
    let snapshot = api
        .store
        .snapshot(&definition.bucket(), start.at)
        .map_err(|error| list_failed(&error, &options, &start))?;
    let range = Range { prefix: &prefix, start_after: start.after.as_deref(), ..Range::default() };
    let mut items: Vec<StoredEntry> = Vec::new();
    let limit = if options.limit == 0 { usize::MAX } else { options.limit };
    let flow = snapshot.visit(&range, |entry| {
        if selection.matches(&entry.value) {
            if items.len() >= limit {
                return ControlFlow::Break(());
            }
            items.push(Arc::clone(entry));
        }
        ControlFlow::Continue(())
    });
    let revision = snapshot.revision().0;
    let last = items.last().map(|entry| entry.key.rest().to_owned());
    let (continue_token, remaining) = match last {
        Some(last) if flow.is_break() => {
            let rest = Range { start_after: Some(&last), ..range };
            let remaining = selection.is_everything().then(|| snapshot.count(&rest));
            (token(revision, &last, &prefix), remaining)
        }
        _ => (String::new(), None),
    };
    let items = items.iter().map(|entry| storage::view(definition, &entry.value)).collect();
    Ok(Outcome::List(List { definition, items, revision, continue_token, remaining }))
}

/// Where a list starts.
pub(crate) struct Start {
    /// The revision to read; the present one if `None`.
    at: Option<Revision>,
    /// The key after which to go on.
    after: Option<String>,
}

async fn start(api: &Api, options: &ListOptions) -> Result<Start, Status> {
    if !options.continue_token.is_empty() {
        if !matches!(options.resource_version.as_str(), "" | "0") {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Status::bad_request(message));
        }
        return resume(&options.continue_token);
    }
    if options.resource_version.is_empty() {
        return Ok(Start { at: None, after: None });
    }
    // Upstream's list and its watch and get tell the same mistake by different codes.
    let wanted = parse_version(&options.resource_version).map_err(|status| {
        Status::bad_request(format!("invalid resource version: {}", status.message))
    })?;
    wait_until_reached(api, wanted).await?;
    let is_exact = match options.version_match {
        VersionMatch::Exact => true,
        VersionMatch::NotOlderThan => false,
        VersionMatch::Unset => wanted > 0 && options.limit > 0,
    };
    Ok(Start { at: is_exact.then_some(Revision(wanted)), after: None })
}

/// A resourceVersion of a request as a number.
pub(crate) fn parse_version(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        let shown = podo_api::field::quoted(text);
        let message =
            format!("resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: invalid syntax");
        Status::failure(podo_api::Reason::Unknown, message)
    })
}

/// Fails if the store has not reached a version.
pub(crate) fn check_reached(api: &Api, wanted: u64) -> Result<(), Status> {
    let current = api.store.revision().0;
    if wanted > current { Err(storage::too_large_version(wanted, current)) } else { Ok(()) }
}

async fn wait_until_reached(api: &Api, wanted: u64) -> Result<(), Status> {
    if check_reached(api, wanted).is_ok() {
        return Ok(());
    }
    // Reaching it within the bound is a success; whatever else happens is said by the check.
    let _reached = tokio::time::timeout(FUTURE_WAIT, api.store.reached(Revision(wanted))).await;
    check_reached(api, wanted)
}

/// Reads tokens like Go, which does not mind bits behind the last byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

pub(crate) fn resume(text: &str) -> Result<Start, Status> {
    let bad = |why: String| {
        Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
    };
    let bytes = LENIENT.decode(text).map_err(|error| bad(error.to_string()))?;
    podo_api::json::check_syntax(&bytes).map_err(bad)?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if token.v != TOKEN_VERSION {
        return Err(bad(format!("server does not recognize this encoded version {:?}", token.v)));
    }
    if token.rv == 0 {
        let why = format!("incorrect encoded start resourceVersion (version {TOKEN_VERSION})");
        return Err(bad(why));
    }
    let at = u64::try_from(token.rv).ok().filter(|revision| *revision > 0).map(Revision);
    // A token ends the key with a NUL: the first key that can follow it.
    let after = token.start.strip_suffix('\0').unwrap_or(&token.start).to_owned();
    Ok(Start { at, after: Some(after) })
}

fn token(revision: u64, last: &str, _prefix: &str) -> String {
    let rv = i64::try_from(revision).unwrap_or(i64::MAX);
    encode_token(rv, last)
}

fn encode_token(rv: i64, last: &str) -> String {
    let token = Token { v: TOKEN_VERSION.to_owned(), rv, start: format!("{last}\0") };
    LENIENT.encode(serde_json::to_vec(&token).unwrap_or_default())
}

/// An expired page tells how to go on all the same, with a token for the present state.
fn list_failed(error: &ReadError, options: &ListOptions, start: &Start) -> Status {
    let (ReadError::Compacted { .. }, Some(after)) = (error, &start.after) else {
        return match error {
            ReadError::Compacted { at, compacted } => Status::expired(format!(
                "The resourceVersion for the provided list is too old: {at} ({compacted})"
            )),
            other => storage::read_failed(other),
        };
    };
    debug_assert!(!options.continue_token.is_empty(), "only a token gives a key to go on from");
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.metadata.continue_token = encode_token(-1, after);
    status
}

/// The objects of a kind that a selection wants, at the present revision, for uses within the server.
pub(crate) fn all_of(
    api: &Api,
    definition: &'static Definition,
    namespace: &str,
) -> Result<Vec<StoredEntry>, Status> {
    let prefix = storage::prefix(definition, namespace);
    let bucket = definition.bucket();
    let snapshot =
        api.store.snapshot(&bucket, None).map_err(|error| storage::read_failed(&error))?;
    Ok(snapshot.page(&Range { prefix: &prefix, ..Range::default() }).items)
}
