//! The key that signs tokens: RSA with 2048 bits, made once and kept in the data directory.
//!
//! `ring` signs and verifies; it makes no RSA keys, so the numbers come from the `rsa` crate, which touches no token.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use podo_api::Status;
use podo_base::Chain;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::claims::Claims;
use crate::pki::files;

/// What RS256 wants at least, and what kubeadm makes.
const KEY_BITS: usize = 2048;

/// How long a request waits for the key; making one takes 0.1 to 0.6 s.
const WAIT: Duration = Duration::from_secs(10);

const FILE: &str = "service-account.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeyError {
    /// The file cannot be read or written.
    #[error("key file {path:?} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("key file {path:?} holds no RSA key in PKCS#8 and PEM")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The numbers could not be found.
    #[error("no RSA key could be made")]
    Generate(#[source] rsa::Error),
    /// The system gives no thread.
    #[error("no thread to make a key on")]
    Thread(#[source] io::Error),
}

/// A key pair.
pub(crate) struct SigningKey {
    pair: KeyPair,
    /// The first part of every token.
    header: String,
    id: String,
    components: PublicKeyComponents<Vec<u8>>,
}

impl SigningKey {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = KeyPair::from_pkcs8(der).ok()?;
        // Named as upstream names it: by the digest of the public key in its usual form.
        let id =
            URL_SAFE_NO_PAD.encode(Sha256::digest(subject_public_key_info(pair.public().as_ref())));
        let header = format!("{{\"alg\":\"RS256\",\"kid\":\"{id}\"}}");
        let components = PublicKeyComponents::from(pair.public());
        Some(Self { header: URL_SAFE_NO_PAD.encode(header), pair, id, components })
    }

    /// The name of the key.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Modulus and exponent, big-endian.
    pub(super) fn components(&self) -> (&[u8], &[u8]) {
        (&self.components.n, &self.components.e)
    }

    /// A token that says this.
    ///
    /// # Panics
    /// If the kernel has no random source, which no supported kernel lacks.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(payload));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .expect(
                "the buffer has the length of the modulus and the kernel's random source answers",
            );
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// Whether this key signed a message.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let public =
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public().as_ref());
        public.verify(message, signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// The public key (PKCS#1) with its algorithm around it (RFC 5280 section 4.1.2.7).
fn subject_public_key_info(pkcs1: &[u8]) -> Vec<u8> {
    // SEQUENCE { OBJECT IDENTIFIER 1.2.840.113549.1.1.1, NULL }
    const RSA_ENCRYPTION: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = der(0x03, &[&[0], pkcs1].concat());
    der(0x30, &[RSA_ENCRYPTION, &bits].concat())
}

/// A DER value with its tag and length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match digits {
        [short @ 0..0x80] => out.push(*short),
        digits => {
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

/// What has become of the key.
#[derive(Debug, Clone)]
enum Slot {
    Wait,
    Ready(Arc<SigningKey>),
    Failed(Arc<TokenKeyError>),
}

/// The key, or the thread that makes it.
pub(super) struct KeySlot {
    slot: watch::Receiver<Slot>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl KeySlot {
    pub(super) fn load_or_generate(dir: &Path) -> Result<Self, TokenKeyError> {
        let path = dir.join(FILE);
        let file = |source| TokenKeyError::File { path: path.clone(), source };
        if let Some(pem) = files::read(&path).map_err(file)? {
            let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).ok();
            let key = key.and_then(|der| SigningKey::from_pkcs8(der.secret_pkcs8_der()));
            let key = key.ok_or_else(|| TokenKeyError::Malformed { path: path.clone() })?;
            let (_, slot) = watch::channel(Slot::Ready(Arc::new(key)));
            return Ok(Self { slot, thread: Mutex::new(None) });
        }
        files::make_dir(dir).map_err(file)?;
        let (sender, slot) = watch::channel(Slot::Wait);
        let thread = std::thread::Builder::new().name("token-key".to_owned()).spawn(move || {
            let made = generate(&path).map_or_else(
                |error| Slot::Failed(Arc::new(error)),
                |key| Slot::Ready(Arc::new(key)),
            );
            sender.send_replace(made);
        });
        let thread = thread.map_err(TokenKeyError::Thread)?;
        Ok(Self { slot, thread: Mutex::new(Some(thread)) })
    }

    /// The key, if it is there.
    pub(super) fn ready(&self) -> Option<Arc<SigningKey>> {
        match &*self.slot.borrow() {
            Slot::Ready(key) => Some(Arc::clone(key)),
            Slot::Wait | Slot::Failed(_) => None,
        }
    }

    /// The key, as soon as it is there.
    pub(super) async fn wait(&self) -> Result<Arc<SigningKey>, Status> {
        let mut slot = self.slot.clone();
        let made =
            tokio::time::timeout(WAIT, slot.wait_for(|slot| !matches!(slot, Slot::Wait))).await;
        match made.as_ref().map(|made| made.as_deref()) {
            Ok(Ok(Slot::Ready(key))) => Ok(Arc::clone(key)),
            Ok(Ok(Slot::Failed(error))) => Err(Status::internal(Chain(&**error))),
            _ => Err(Status::unavailable("the key of service account tokens is being made")),
        }
    }
}

impl Drop for KeySlot {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.lock().take() {
            // It ends by itself within a second; what it panicked with was printed there.
            let _panicked = thread.join();
        }
    }
}

pub(crate) fn generate(path: &Path) -> Result<SigningKey, TokenKeyError> {
    let malformed = || TokenKeyError::Malformed { path: path.to_owned() };
    let numbers =
        rsa::RsaPrivateKey::new(&mut Kernel, KEY_BITS).map_err(TokenKeyError::Generate)?;
    let der = numbers.to_pkcs8_der().map_err(|_| malformed())?;
    let key = SigningKey::from_pkcs8(der.as_bytes()).ok_or_else(malformed)?;
    let pem = files::pem("PRIVATE KEY", der.as_bytes());
    files::write(path, pem.as_bytes())
        .map_err(|source| TokenKeyError::File { path: path.to_owned(), source })?;
    Ok(key)
}

/// The kernel's random source in the words of `rand_core`.
struct Kernel;

impl TryRng for Kernel {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(podo_base::random_bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(podo_base::random_bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(32) {
            chunk.copy_from_slice(&podo_base::random_bytes::<32>()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Kernel {}
