//! Token controller: a Secret of type `kubernetes.io/service-account-token` gets the token of its account, and goes with it.
//!
//! Reads     those Secrets, and ServiceAccounts.
//! Writes    the Secrets (update, delete).
//! Wakes on  a change to such a Secret, a deleted ServiceAccount.

use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use podo_api::{Object, Status, Value, meta, tree};
use podo_base::Tasks;
use podo_client::informer::{self, Cache, Key};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::{Client, Deletion, Query};

use crate::{Context, SignToken, TokenSubject};

/// The type of the Secrets.
const TYPE: &str = "kubernetes.io/service-account-token";

const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

struct TokenController {
    client: Client,
    ca_pem: Arc<str>,
    sign: SignToken,
    secrets: Arc<Cache>,
}

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = context.manager.clone();
    let queue = Arc::new(Queue::new(runner::RETRY));
    let controller = Arc::new(TokenController {
        client: client.clone(),
        ca_pem: Arc::clone(&context.ca_pem),
        sign: Arc::clone(&context.sign_token),
        secrets: Cache::new(),
    });
    let stop = tasks.stop_signal();
    let wake = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if let Some(secret) = &change.new {
            wake.add(informer::key_of(secret));
        }
    });
    let query = Query::fields(format!("type={TYPE}"));
    let cache = Arc::clone(&controller.secrets);
    tasks.spawn(
        "token secrets",
        informer::run::<Secret>(context.manager.clone(), query, cache, handler, stop.clone()),
    );
    let (wake, secrets) = (Arc::clone(&queue), Arc::clone(&controller.secrets));
    let handler: informer::Handler = Box::new(move |change| {
        let account = change.object();
        for secret in secrets.in_namespace(&account.namespace) {
            if meta::annotation(&secret.view(), ACCOUNT_NAME) == Some(&account.name) {
                wake.add(informer::key_of(&secret));
            }
        }
    });
    tasks.spawn(
        "token accounts",
        informer::run::<ServiceAccount>(
            context.manager.clone(),
            Query::default(),
            Cache::new(),
            handler,
            stop.clone(),
        ),
    );
    let reconcile = move |key: Key| {
        let controller = Arc::clone(&controller);
        async move { controller.reconcile(&key).await }
    };
    tasks.spawn(
        "token",
        runner::run("serviceaccount-token-controller", queue, Arc::default(), reconcile, stop),
    );
}

impl TokenController {
    async fn reconcile(&self, key: &Key) -> Result<Next, Status> {
        let Some(secret) = self.secrets.get(&key.0, &key.1) else { return Ok(Next::OnChange) };
        let value = secret.value();
        let Some(name) = meta::annotation(&value, ACCOUNT_NAME) else { return Ok(Next::OnChange) };
        let account = self.client.find::<ServiceAccount>(&key.0, name).await?;
        let uid = meta::annotation(&value, ACCOUNT_UID).unwrap_or("");
        match account {
            Some(account) if uid.is_empty() || uid == &*account.uid => {
                self.fill(&secret, value, &account).await
            }
            // The account is gone or is another one by now: its token must not live on.
            _ => self.remove(&secret).await,
        }
    }

    async fn fill(
        &self,
        secret: &Object,
        mut value: Value,
        account: &Object,
    ) -> Result<Next, Status> {
        let has = |field: &str| !tree::str_at(&value, &["data", field]).is_empty();
        let is_complete = has("token")
            && has("ca.crt")
            && has("namespace")
            && meta::annotation(&value, ACCOUNT_UID).is_some();
        if is_complete {
            return Ok(Next::OnChange);
        }
        let subject = TokenSubject {
            namespace: secret.namespace.to_string(),
            account: account.name.to_string(),
            account_uid: account.uid.to_string(),
            secret: secret.name.to_string(),
        };
        let token = (self.sign)(subject).await?;
        let strings = tree::map_mut(&mut value, "stringData");
        strings.insert("token".to_owned(), token.into());
        strings.insert("ca.crt".to_owned(), (&*self.ca_pem).into());
        strings.insert("namespace".to_owned(), (&*secret.namespace).into());
        let annotations = meta::of_mut(&mut value).entry("annotations").or_insert(Value::Null);
        tree::set(annotations, ACCOUNT_UID, &*account.uid);
        match self.client.update::<Secret>(&secret.namespace, &secret.name, "", &value).await {
            Ok(_) => Ok(Next::OnChange),
            Err(status) if status.is_not_found() => Ok(Next::OnChange),
            Err(status) => Err(status),
        }
    }

    async fn remove(&self, secret: &Object) -> Result<Next, Status> {
        let deletion = Deletion { uid: Some(secret.uid.to_string()), ..Deletion::default() };
        match self.client.delete::<Secret>(&secret.namespace, &secret.name, &deletion).await {
            Ok(()) => Ok(Next::OnChange),
            Err(status) if status.is_not_found() || status.is_conflict() => Ok(Next::OnChange),
            Err(status) => Err(status),
        }
    }
}
