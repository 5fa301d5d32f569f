//! How far a pull has got, as answers of the control socket.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use podo_image::service::{Progress, ProgressSink};
use tokio::sync::mpsc::Sender;

use crate::control::Answer;

/// A sink that tells about every tenth of a layer.
pub(crate) fn sink(answers: Sender<Answer>) -> ProgressSink {
    let told: Mutex<HashMap<String, u64>> = Mutex::default();
    Arc::new(move |progress| {
        let Progress::Downloading { layer, done_bytes, total_bytes } = progress else { return };
        let name: String =
            layer.to_string().trim_start_matches("sha256:").chars().take(12).collect();
        let tenth = (done_bytes * 10).checked_div(total_bytes).unwrap_or(10);
        if told.lock().insert(name.clone(), tenth) == Some(tenth) {
            return;
        }
        // A slow reader misses a tenth, not the pull.
        let _full = answers.try_send(Answer::Progress(name, done_bytes, total_bytes));
    })
}
