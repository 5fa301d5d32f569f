//! The stream of a watch: its events as bytes, encoded once for all watchers that want the same form.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use podo_api::{Object, Status, Value, json, protobuf};
use podo_base::Clock;
use podo_registry::Definition;
use serde_json::json;

use super::body::{Body, BodyError};
use super::negotiate::{Form, Rendering};
use super::render::{bookmark, metadata_of, protobuf_object};
use super::table::{IncludeObject, Table};
use crate::encoding::Encoding;
use crate::event_bytes::{EncodedAs, EventKind};
use crate::verbs::watch::{StoreEvent, Watch, WatchItem};

/// Events that are ready are sent together up to this size.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Writes the items of one watch.
struct Encoder {
    definition: &'static Definition,
    rendering: Rendering,
    include: IncludeObject,
    clock: Arc<dyn Clock>,
    /// A table's columns are sent with its first event.
    is_first: bool,
}

/// The body of a watch.
pub(crate) fn stream_body(
    watch: Box<Watch>,
    rendering: Rendering,
    include: IncludeObject,
    clock: Arc<dyn Clock>,
) -> Body {
    let encoder =
        Encoder { definition: watch.definition(), rendering, include, clock, is_first: true };
    let frames = stream::unfold((watch, encoder), |(mut watch, mut encoder)| async move {
        let mut out = BytesMut::new();
        let mut shared = VecDeque::new();
        let item = watch.next().await?;
        encoder.write(item, &mut out, &mut shared);
        while out.len() < FRAME_BYTES_MAX
            && let Some(item) = watch.next_ready()
        {
            encoder.write(item, &mut out, &mut shared);
        }
        let bytes = match shared.pop_front() {
            Some(only) if out.is_empty() => only,
            _ => out.freeze(),
        };
        Some((Ok::<_, BodyError>(Frame::data(bytes)), (watch, encoder)))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Encoder {
    /// Appends an item. A single shared one is handed on without being copied.
    fn write(&mut self, item: WatchItem, out: &mut BytesMut, shared: &mut VecDeque<Bytes>) {
        let bytes = match item {
            WatchItem::Event(kind, object, event) => self.event(kind, &object, event.as_ref()),
            WatchItem::Bookmark(revision, ends_initial) => {
                let value = bookmark(self.definition, self.rendering.form, revision, ends_initial);
                self.frame("BOOKMARK", &value, self.definition.ty)
            }
            WatchItem::Error(status) => self.error(&status),
        };
        if out.is_empty() && shared.is_empty() {
            shared.push_back(bytes);
            return;
        }
        if let Some(first) = shared.pop_front() {
            out.put(first);
        }
        out.put(bytes);
    }

    fn event(
        &mut self,
        kind: EventKind,
        object: &Arc<Object>,
        event: Option<&StoreEvent>,
    ) -> Bytes {
        let is_table = matches!(self.rendering.form, Form::Table(_));
        let Some(event) = event.filter(|_| !is_table) else { return self.encode(kind, object) };
        let names = &self.definition.names;
        let wanted = EncodedAs {
            kind,
            api_version: (names.group, names.version),
            encoding: self.rendering.encoding,
            form: self.rendering.form,
        };
        if let Some(bytes) = event.cache.lock().get(wanted) {
            return bytes;
        }
        let bytes = self.encode(kind, object);
        event.cache.lock().keep(wanted, bytes.clone());
        bytes
    }

    fn encode(&mut self, kind: EventKind, object: &Arc<Object>) -> Bytes {
        match (self.rendering.form, self.rendering.encoding) {
            (Form::Whole, Encoding::Json | Encoding::Yaml) => {
                json_line(kind.as_str(), object.json())
            }
            (Form::Whole, Encoding::Protobuf) => {
                // Every type of the schema table that is watched has a protobuf form.
                let object = protobuf_object(self.definition, object).unwrap_or_default();
                Bytes::from(protobuf::watch_frame(kind.as_str(), &object))
            }
            (Form::Metadata(version) | Form::MetadataList(version), _) => {
                let value = metadata_of(object, version);
                self.frame(kind.as_str(), &value, "meta/v1.PartialObjectMetadata")
            }
            (Form::Table(version), _) => {
                let table = Table {
                    definition: self.definition,
                    include: self.include,
                    version,
                    now: self.clock.now(),
                    has_columns: std::mem::take(&mut self.is_first),
                };
                let metadata = json!({"resourceVersion": object.resource_version.to_string()});
                let objects = std::slice::from_ref(object);
                json_line(kind.as_str(), &table.to_json(objects, &metadata))
            }
        }
    }

    fn error(&self, status: &Status) -> Bytes {
        let value = serde_json::to_value(status).unwrap_or_default();
        self.frame("ERROR", &value, "meta/v1.Status")
    }

    /// One event in the framing of the encoding.
    fn frame(&self, kind: &str, value: &Value, ty: &str) -> Bytes {
        let schema = podo_api::schema::builtin().get(ty);
        if self.rendering.encoding == Encoding::Protobuf {
            let object = match schema {
                Some(ty) if self.rendering.form == Form::Whole || kind == "ERROR" => {
                    protobuf::encode_object(value, ty)
                }
                _ => protobuf::encode_partial_metadata(value),
            };
            // Every type of the schema table that is watched has a protobuf form.
            return Bytes::from(protobuf::watch_frame(kind, &object.unwrap_or_default()));
        }
        let mut object = Vec::new();
        match schema {
            Some(ty) => json::encode(value, ty, &mut object),
            None => object = serde_json::to_vec(value).unwrap_or_default(),
        }
        json_line(kind, &object)
    }
}

fn json_line(kind: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(object.len() + 40);
    out.put(&b"{\"type\":\""[..]);
    out.put(kind.as_bytes());
    out.put(&b"\",\"object\":"[..]);
    out.put(object);
    out.put(&b"}\n"[..]);
    out.freeze()
}

#[cfg(test)]
mod tests;
