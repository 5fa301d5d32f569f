//! PullImage: with the credentials that fit, telling progress.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use podo_image::{Credential, Keyring, ProgressSink, PullSum, PullTally, Reference};

use super::image_status::parse;
use super::{Node, faults};
use crate::v1::AuthConfig;
use crate::{CriError, PullOptions, v1};

impl Node {
    pub(super) async fn pull_image(
        &self,
        request: v1::PullImageRequest,
        options: PullOptions,
    ) -> Result<v1::PullImageResponse, CriError> {
        let name = request.image.unwrap_or_default().image;
        let reference = parse(&name)?;
        let mut credentials = match &request.auth {
            Some(auth) => own_credentials(auth, &reference)?,
            None => Vec::new(),
        };
        for fitting in options.keyring.lookup(&reference.name()) {
            if !credentials.contains(&fitting) {
                credentials.push(fitting);
            }
        }
        let sink = sink(options.progress);
        let pulled = self.images.pull(&reference, &credentials, &sink).await;
        let id = pulled.map_err(|error| faults::of_pull(&error))?;
        Ok(v1::PullImageResponse { image_ref: id.to_string() })
    }
}

/// The request's own credentials, if they are for this registry: others would be told to a stranger.
fn own_credentials(auth: &AuthConfig, image: &Reference) -> Result<Vec<Credential>, CriError> {
    let is_empty = [&auth.username, &auth.password, &auth.auth, &auth.identity_token]
        .into_iter()
        .chain([&auth.registry_token])
        .all(String::is_empty);
    if is_empty {
        return Ok(Vec::new());
    }
    let server = auth.server_address.as_str();
    let server = if server.is_empty() { image.registry() } else { server };
    let config = serde_json::json!({ server: {
        "username": auth.username,
        "password": auth.password,
        "auth": auth.auth,
        "identitytoken": auth.identity_token,
        "registrytoken": auth.registry_token,
    }});
    let mut keyring = Keyring::new();
    let added = keyring.add_dockercfg(config.to_string().as_bytes());
    added.map_err(|error| CriError::invalid(podo_base::Chain(&error).to_string()))?;
    Ok(keyring.lookup(&image.name()))
}

/// Sums up what layers tell.
fn sink(progress: Option<watch::Sender<PullSum>>) -> ProgressSink {
    let Some(sender) = progress else { return Arc::new(|_| {}) };
    let tally = Mutex::new(PullTally::default());
    Arc::new(move |step| {
        let mut tally = tally.lock();
        if tally.take(&step) {
            sender.send_replace(tally.sum());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, image: &str, expected: &str) {
        let auth = AuthConfig {
            username: "me".into(),
            password: "secret".into(),
            server_address: server.into(),
            ..AuthConfig::default()
        };
        let image = Reference::parse(image).expect("a name");
        let found = own_credentials(&auth, &image).expect("good");
        let users: Vec<String> = found.into_iter().map(|found| found.username).collect();
        assert_eq!(users.join(" "), expected);
    }

    #[test]
    fn own_credentials_go_to_their_registry_only() {
        check("", "registry.test/a/b:1", "me");
        check("registry.test", "registry.test/a/b:1", "me");
        check("https://registry.test/v2/", "registry.test/a/b:1", "me");
        check("other.test", "registry.test/a/b:1", "");
        check("https://index.docker.io/v1/", "busybox", "me");
    }
}
