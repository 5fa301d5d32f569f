//! One worker per thing: who comes second waits, then looks whether the work is done.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::digest::Digest;

type Claims = Arc<Mutex<HashMap<Digest, watch::Receiver<()>>>>;

/// Which digests are being worked on.
#[derive(Clone, Default)]
pub(crate) struct SingleFlight {
    claims: Claims,
}

/// The right to work on one digest; passes on when dropped, however the work ended.
pub(crate) struct Claim {
    claims: Claims,
    digest: Digest,
    /// Dropping it wakes those who wait.
    _ended: watch::Sender<()>,
}

impl SingleFlight {
    /// Waits until nobody else works on `digest`.
    pub(crate) async fn claim(&self, digest: &Digest) -> Claim {
        loop {
            let mut ended = match self.try_claim(digest) {
                Ok(claim) => return claim,
                Err(ended) => ended,
            };
            // An error is the very end that is waited for.
            while ended.changed().await.is_ok() {}
        }
    }

    fn try_claim(&self, digest: &Digest) -> Result<Claim, watch::Receiver<()>> {
        let mut claims = self.claims.lock();
        if let Some(ended) = claims.get(digest) {
            return Err(ended.clone());
        }
        let (sender, receiver) = watch::channel(());
        claims.insert(digest.clone(), receiver);
        Ok(Claim { claims: Arc::clone(&self.claims), digest: digest.clone(), _ended: sender })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.digest);
    }
}
