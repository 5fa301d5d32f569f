//! Reviews and tokens through the whole pipeline.

use serde_json::json;

use super::*;
use crate::authz::testing::{ISSUER, World, admin, target, user, world};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

async fn started() -> World {
    let world = world();
    crate::bootstrap::ensure(&world.api, ([127, 0, 0, 1], 6443).into()).await.expect("made");
    world.put(
        "",
        "serviceaccounts",
        &json!({"metadata": {"name": "a", "namespace": "default", "uid": "ua"}}),
    );
    world.put("", "nodes", &json!({"metadata": {"name": "m", "uid": "um"}}));
    let spec = json!({"serviceAccountName": "a", "nodeName": "m"});
    world.put(
        "",
        "pods",
        &json!({"metadata": {"name": "p", "namespace": "default", "uid": "up"}, "spec": spec}),
    );
    world
}

async fn token(world: &World, spec: Value) -> Result<Value, Status> {
    let target = target("", "serviceaccounts/token", "default", "a");
    world.create(&admin(), target, json!({"spec": spec})).await
}

async fn review_of(world: &World, token: &Value) -> Value {
    let target = target(AUTHENTICATION, "tokenreviews", "", "");
    world.create(&admin(), target, json!({"spec": {"token": token}})).await.expect("answered")["status"].clone()
}

#[tokio::test]
async fn a_token_that_was_asked_for_is_known_until_its_pod_is_gone() {
    let world = started().await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "up"});
    let made = token(&world, json!({"boundObjectRef": pod})).await.expect("made");
    assert_eq!(
        made["spec"],
        json!({"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": pod})
    );
    assert_eq!((&made["metadata"]["name"], &made["metadata"]["uid"]), (&json!("a"), &json!("ua")));
    let known = review_of(&world, &made["status"]["token"]).await;
    assert_eq!((&known["authenticated"], &known["audiences"]), (&json!(true), &json!([ISSUER])));
    assert_eq!(known["user"]["username"], "system:serviceaccount:default:a");
    assert_eq!(known["user"]["extra"]["authentication.kubernetes.io/node-uid"], json!(["um"]));
    world.remove("", "pods", "default", "p");
    let error = "[invalid bearer token, service account token has been invalidated]";
    assert_eq!(
        review_of(&world, &made["status"]["token"]).await,
        json!({"user": {}, "error": error})
    );
}

#[tokio::test]
async fn a_token_is_refused_for_what_is_not_there_or_not_the_accounts() {
    let world = started().await;
    let ask = async |kind: &str, name: &str, uid: &str| {
        let reference = json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid});
        token(&world, json!({"boundObjectRef": reference})).await.expect_err("refused").message
    };
    assert_eq!(ask("Pod", "none", "").await, "pods \"none\" not found");
    assert_eq!(ask("Foo", "p", "").await, "cannot bind token to object of type /v1, Kind=Foo");
    assert!(
        ask("Pod", "p", "other")
            .await
            .starts_with("Operation cannot be fulfilled on Pod \"p\": the UID in the bound")
    );
    let short = token(&world, json!({"expirationSeconds": 1})).await.expect_err("refused");
    let words = "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 1: may not specify a \
                 duration less than 10 minutes";
    assert_eq!(short.message, words);
}

#[tokio::test]
async fn static_and_unknown_tokens_are_reviewed_too() {
    let world = started().await;
    let known = review_of(&world, &json!("secret")).await;
    assert_eq!(
        (&known["authenticated"], &known["user"]["username"]),
        (&json!(true), &json!("admin"))
    );
    assert_eq!(
        review_of(&world, &json!("nonsense")).await,
        json!({"user": {}, "error": "invalid bearer token"})
    );
}

async fn access(world: &World, who: &User, spec: Value) -> Value {
    let target = target(AUTHORIZATION, "selfsubjectaccessreviews", "", "");
    world.create(who, target, json!({"spec": spec})).await.expect("answered")["status"].clone()
}

#[tokio::test]
async fn access_is_reviewed_with_the_binding_that_gives_it() {
    let world = started().await;
    let u = user("u", &[]);
    let openapi = json!({"nonResourceAttributes": {"path": "/openapi/v3", "verb": "get"}});
    let reason = "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \"system:discovery\" to Group \
                  \"system:authenticated\"";
    assert_eq!(
        access(&world, &u, openapi.clone()).await,
        json!({"allowed": true, "reason": reason})
    );
    assert_eq!(access(&world, &admin(), openapi).await, json!({"allowed": true}));
    let all = json!({"resourceAttributes": {"verb": "*", "resource": "*", "group": "*"}});
    assert_eq!(access(&world, &u, all).await, json!({"allowed": false}));
    let target = target(AUTHORIZATION, "subjectaccessreviews", "", "");
    let spec = json!({"user": "system:kube-scheduler", "resourceAttributes": {"verb": "create", "resource": "pods", "subresource": "binding"}});
    let answered = world.create(&admin(), target, json!({"spec": spec})).await.expect("answered");
    assert_eq!(answered["status"]["allowed"], true);
}

#[tokio::test]
async fn a_user_learns_who_it_is_and_what_it_may_do() {
    let world = started().await;
    let mut u = user("u", &["g"]);
    u.extra.insert("dept".to_owned(), vec!["x".to_owned()]);
    let who = world
        .create(&u, target(AUTHENTICATION, "selfsubjectreviews", "", ""), json!({}))
        .await
        .expect("answered");
    let info =
        json!({"username": "u", "groups": ["g", "system:authenticated"], "extra": {"dept": ["x"]}});
    assert_eq!(who["status"]["userInfo"], info);
    let rules = target(AUTHORIZATION, "selfsubjectrulesreviews", "", "");
    let answered = world
        .create(&u, rules.clone(), json!({"spec": {"namespace": "default"}}))
        .await
        .expect("answered");
    let status = &answered["status"];
    assert_eq!(status["incomplete"], false);
    let reviews = json!({"verbs": ["create"], "apiGroups": [AUTHENTICATION], "resources": ["selfsubjectreviews"]});
    assert!(
        status["resourceRules"].as_array().is_some_and(|rules| rules.contains(&reviews)),
        "{status}"
    );
    assert!(
        status["nonResourceRules"].as_array().is_some_and(|rules| !rules.is_empty()),
        "{status}"
    );
    let refused = world.create(&u, rules, json!({"spec": {}})).await.expect_err("refused");
    assert_eq!((refused.code, refused.message.as_str()), (400, "no namespace on request"));
}

#[tokio::test]
async fn a_local_review_is_about_the_namespace_of_the_url() {
    let world = started().await;
    let ask = |metadata: Value, namespace: &str| {
        let asked = json!({"namespace": namespace, "verb": "get", "resource": "pods"});
        let review =
            json!({"metadata": metadata, "spec": {"user": "u", "resourceAttributes": asked}});
        let target = target(AUTHORIZATION, "localsubjectaccessreviews", "default", "");
        let world = &world;
        async move { world.create(&admin(), target, review).await }
    };
    ask(json!({}), "default").await.expect("answered");
    let other = ask(json!({"namespace": "other"}), "other").await.expect_err("refused");
    let why =
        "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!((other.code, other.message.as_str()), (400, why));
    let beyond = ask(json!({}), "other").await.expect_err("refused");
    assert!(beyond.message.contains("must match metadata.namespace"), "{beyond}");
}

#[tokio::test]
async fn requirements_of_a_review_are_checked() {
    let world = started().await;
    let asked = json!({"verb": "get", "resource": "pods", "labelSelector": {"requirements": [{"key": "a b", "operator": "In"}]}});
    let review = json!({"spec": {"user": "u", "resourceAttributes": asked}});
    let target = target(AUTHORIZATION, "subjectaccessreviews", "", "");
    let refused = world.create(&admin(), target, review).await.expect_err("refused");
    assert_eq!(refused.code, 422);
    assert!(refused.message.contains("requirements[0].values: Required value"), "{refused}");
    assert!(refused.message.contains("requirements[0].key: Invalid value: \"a b\""), "{refused}");
}

#[tokio::test]
async fn a_token_is_for_the_life_of_the_account_that_is_meant() {
    let world = started().await;
    let ask = |uid: &str| {
        let target = target("", "serviceaccounts/token", "default", "a");
        let request = json!({"metadata": {"uid": uid}, "spec": {}});
        let world = &world;
        async move { world.create(&admin(), target, request).await }
    };
    ask("ua").await.expect("made");
    let refused = ask("x").await.expect_err("refused");
    let why = "Operation cannot be fulfilled on TokenRequest.authentication.k8s.io \"a\": the UID in the token request (x) does not match the UID of the service account (ua)";
    assert_eq!((refused.code, refused.message.as_str()), (409, why));
}
