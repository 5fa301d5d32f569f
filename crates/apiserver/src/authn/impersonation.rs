//! Acting as somebody else: the `Impersonate-*` headers.
//!
//! Two ways lead to it, and either is enough. *Constrained* (KEP-5284): a user may act as a kind of identity
//! (`impersonate:MODE`), and may do this request so (`impersonate-on:MODE:VERB`). *Legacy*: a user may `impersonate` each thing
//! that it wants to be. If neither leads there, the words are those of the legacy way.

use std::collections::BTreeMap;

use http::HeaderMap;
use podo_api::{Status, names};

use crate::authz::Attributes;
use crate::authz::request_info::{RequestInfo, percent_decoded};
use crate::user::{User, service_account_groups, split_service_account};

const EXTRA_PREFIX: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
const MASTERS: &str = crate::authz::MASTERS;
const NODES: &str = "system:nodes";

/// The extra that names the node of a service account's Pod.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// Asks whether something is allowed; says why not.
type Allows<'a> = &'a dyn Fn(&Attributes<'_>) -> Result<(), Status>;

/// Whom a request wants to act as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    /// What the headers ask for; `None` if they ask for nothing.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Status> {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let mut wanted = Self {
            name: first("impersonate-user"),
            uid: first("impersonate-uid"),
            groups: headers.get_all("impersonate-group").iter().map(text).collect(),
            extra: BTreeMap::new(),
        };
        for (name, value) in headers {
            if let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) {
                let key = percent_decoded(key).unwrap_or_else(|| key.to_owned());
                wanted.extra.entry(key).or_default().push(text(value));
            }
        }
        if !wanted.name.is_empty() {
            return Ok(Some(wanted));
        }
        if wanted == Self::default() {
            return Ok(None);
        }
        Err(Status::bad_request(format!(
            "requested {} without impersonating a user",
            wanted.shown()
        )))
    }

    /// The references that upstream makes of the headers, as Go prints them.
    fn shown(&self) -> String {
        let groups = self.groups.iter().map(|group| format!("{{Group  {group}    }}"));
        let extra = self.extra.iter().flat_map(|(key, values)| {
            values
                .iter()
                .map(move |value| format!("{{UserExtra  {value}  {AUTHENTICATION}/v1  {key}}}"))
        });
        let uid = Some(&self.uid).filter(|uid| !uid.is_empty());
        let uid = uid.map(|uid| format!("{{UID  {uid}  {AUTHENTICATION}/v1  }}"));
        let all: Vec<String> = groups.chain(extra).chain(uid).collect();
        format!("[{}]", all.join(" "))
    }

    fn is_only_a_name(&self) -> bool {
        self.uid.is_empty() && self.groups.is_empty() && self.extra.is_empty()
    }

    fn node(&self) -> Option<&str> {
        let name = self.name.strip_prefix("system:node:")?;
        names::dns1123_subdomain(name).is_empty().then_some(name)
    }

    fn into_user(self, groups: Vec<String>) -> User {
        User { name: self.name, uid: self.uid, groups, extra: self.extra }.with_authenticated()
    }
}

/// Makes a user the one that it wants to be, if it may.
pub(super) fn impersonate(
    user: &User,
    wanted: Wanted,
    info: &RequestInfo,
    allows: Allows<'_>,
) -> Result<User, Status> {
    for mode in [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo] {
        if mode.is_allowed(user, &wanted, info, allows) {
            let groups = mode.groups(&wanted);
            return Ok(wanted.into_user(groups));
        }
    }
    legacy(user, &wanted, allows)?;
    let groups = match split_service_account(&wanted.name) {
        Some((namespace, _)) if wanted.groups.is_empty() => {
            service_account_groups(namespace).to_vec()
        }
        _ => wanted.groups.clone(),
    };
    Ok(wanted.into_user(groups))
}

/// One thing that is wanted: its API group, resource, subresource, namespace and name.
struct Thing<'a> {
    group: &'a str,
    resource: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Thing<'_> {
    fn ask(&self, user: &User, verb: &str, allows: Allows<'_>) -> Result<(), Status> {
        allows(&Attributes {
            verb,
            group: self.group,
            version: "v1",
            resource: self.resource,
            subresource: self.subresource,
            namespace: self.namespace,
            name: self.name,
            ..Attributes::path(user)
        })
    }
}

fn thing<'a>(group: &'a str, resource: &'a str, name: &'a str) -> Thing<'a> {
    Thing { group, resource, subresource: "", namespace: "", name }
}

/// The user, the groups, the extras and the UID, each with `impersonate`.
fn legacy(user: &User, wanted: &Wanted, allows: Allows<'_>) -> Result<(), Status> {
    let name = match split_service_account(&wanted.name) {
        Some((namespace, name)) => Thing { namespace, ..thing("", "serviceaccounts", name) },
        None => thing("", "users", &wanted.name),
    };
    name.ask(user, "impersonate", allows)?;
    for group in &wanted.groups {
        thing("", "groups", group).ask(user, "impersonate", allows)?;
    }
    for (key, values) in &wanted.extra {
        for value in values {
            let extra = Thing { subresource: key, ..thing(AUTHENTICATION, "userextras", value) };
            extra.ask(user, "impersonate", allows)?;
        }
    }
    if !wanted.uid.is_empty() {
        thing(AUTHENTICATION, "uids", &wanted.uid).ask(user, "impersonate", allows)?;
    }
    Ok(())
}

/// A kind of identity that can be allowed as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The node that runs the Pod of the asking service account.
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    /// Anybody who is neither node nor service account.
    UserInfo,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
        }
    }

    /// Whether this is the kind of identity that is wanted.
    fn applies(self, user: &User, wanted: &Wanted) -> bool {
        let is_account = split_service_account(&wanted.name).is_some();
        match self {
            Self::AssociatedNode => {
                wanted.is_only_a_name()
                    && split_service_account(&user.name).is_some()
                    && wanted.node().is_some_and(|node| user.extra(NODE_NAME) == Some(node))
            }
            Self::ArbitraryNode => wanted.is_only_a_name() && wanted.node().is_some(),
            Self::ServiceAccount => wanted.is_only_a_name() && is_account,
            Self::UserInfo => wanted.node().is_none() && !is_account && is_plain(wanted),
        }
    }

    /// Nodes and service accounts have their groups, whatever is asked.
    fn groups(self, wanted: &Wanted) -> Vec<String> {
        match (self, split_service_account(&wanted.name)) {
            (Self::AssociatedNode | Self::ArbitraryNode, _) => vec![NODES.to_owned()],
            (Self::ServiceAccount, Some((namespace, _))) => {
                service_account_groups(namespace).to_vec()
            }
            (Self::ServiceAccount | Self::UserInfo, _) => wanted.groups.clone(),
        }
    }

    fn is_allowed(
        self,
        user: &User,
        wanted: &Wanted,
        info: &RequestInfo,
        allows: Allows<'_>,
    ) -> bool {
        if !self.applies(user, wanted) {
            return false;
        }
        let asked = info.attributes(user);
        let on = format!("impersonate-on:{}:{}", self.name(), asked.verb);
        let verb = format!("impersonate:{}", self.name());
        allows(&Attributes { verb: &on, ..asked }).is_ok()
            && self.things(wanted).iter().all(|thing| thing.ask(user, &verb, allows).is_ok())
    }

    fn things(self, wanted: &Wanted) -> Vec<Thing<'_>> {
        let name = match (self, split_service_account(&wanted.name)) {
            // Who may be its own node may be it on any node.
            (Self::AssociatedNode, _) => thing(AUTHENTICATION, "nodes", "*"),
            (Self::ArbitraryNode, _) => {
                thing(AUTHENTICATION, "nodes", wanted.node().unwrap_or_default())
            }
            (Self::ServiceAccount, Some((namespace, name))) => {
                Thing { namespace, ..thing(AUTHENTICATION, "serviceaccounts", name) }
            }
            (Self::ServiceAccount | Self::UserInfo, _) => {
                thing(AUTHENTICATION, "users", &wanted.name)
            }
        };
        let uid = Some(&wanted.uid).filter(|uid| !uid.is_empty());
        let uid = uid.map(|uid| thing(AUTHENTICATION, "uids", uid));
        let groups = wanted.groups.iter().map(|group| thing(AUTHENTICATION, "groups", group));
        let extra = wanted.extra.iter().flat_map(|(key, values)| {
            values.iter().map(move |value| Thing {
                subresource: key,
                ..thing(AUTHENTICATION, "userextras", value)
            })
        });
        [name].into_iter().chain(uid).chain(groups).chain(extra).collect()
    }
}

/// What the legacy way would let pass and the constrained does not.
fn is_plain(wanted: &Wanted) -> bool {
    let are_groups_plain = wanted.groups.iter().all(|group| !group.is_empty() && group != MASTERS);
    let are_extras_plain = wanted.extra.iter().all(|(key, values)| {
        names::domain_prefixed_path(key).is_empty()
            && *key == key.to_lowercase()
            && values.iter().all(|value| !value.is_empty())
    });
    are_groups_plain && are_extras_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: http::HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        headers
    }

    fn request() -> RequestInfo {
        RequestInfo::new(&http::Method::GET, "/api/v1/namespaces/n/pods", &|_| None)
    }

    /// Impersonates with these headers by a user who may do what `may` lists as `verb resource[/sub] name`.
    fn act(user: &User, lines: &[(&str, &str)], may: &[&str]) -> Result<User, String> {
        let wanted = Wanted::of(&headers(lines))
            .map_err(|status| status.message)?
            .expect("somebody is wanted");
        let allows = |asked: &Attributes<'_>| {
            let slash = if asked.subresource.is_empty() { "" } else { "/" };
            let line = format!(
                "{} {}{slash}{} {}",
                asked.verb, asked.resource, asked.subresource, asked.name
            );
            if may.contains(&line.trim_end()) { Ok(()) } else { Err(Status::bad_request(line)) }
        };
        impersonate(user, wanted, &request(), &allows).map_err(|status| status.message)
    }

    #[test]
    fn each_thing_that_is_wanted_must_be_allowed() {
        let user = User::authenticated("u", &[]);
        let wants = [
            ("impersonate-user", "alice"),
            ("impersonate-group", "g"),
            ("impersonate-extra-dept%2Fx", "d"),
            ("impersonate-uid", "5"),
        ];
        let mut may = Vec::new();
        for next in [
            "impersonate users alice",
            "impersonate groups g",
            "impersonate userextras/dept/x d",
            "impersonate uids 5",
        ] {
            assert_eq!(act(&user, &wants, &may), Err(next.to_owned()));
            may.push(next);
        }
        let alice = act(&user, &wants, &may).expect("allowed");
        assert_eq!((alice.name.as_str(), alice.uid.as_str()), ("alice", "5"));
        assert_eq!(alice.groups, ["g", "system:authenticated"]);
        assert_eq!(alice.extra["dept/x"], ["d"]);
    }

    #[test]
    fn a_service_account_gets_its_groups_and_anonymous_stays_unauthenticated() {
        let user = User::authenticated("u", &[]);
        let account = act(
            &user,
            &[("impersonate-user", "system:serviceaccount:n:a")],
            &["impersonate serviceaccounts a"],
        );
        let groups = ["system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"];
        assert_eq!(account.expect("allowed").groups, groups);
        let nobody = act(
            &user,
            &[("impersonate-user", "system:anonymous")],
            &["impersonate users system:anonymous"],
        );
        assert_eq!(nobody.expect("allowed").groups, ["system:unauthenticated"]);
    }

    #[test]
    fn groups_without_a_user_make_no_sense() {
        let wanted = Wanted::of(&headers(&[("impersonate-group", "g")]));
        let message = wanted.expect_err("refused").message;
        assert_eq!(message, "requested [{Group  g    }] without impersonating a user");
        assert_eq!(Wanted::of(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn constrained_impersonation_needs_the_mode_and_the_request_and_never_gives_masters() {
        let user = User::authenticated("u", &[]);
        let may = [
            "impersonate-on:user-info:list pods",
            "impersonate:user-info users bob",
            "impersonate:user-info groups g",
        ];
        let bob = [("impersonate-user", "bob"), ("impersonate-group", "g")];
        assert_eq!(act(&user, &bob, &may).expect("allowed").groups, ["g", "system:authenticated"]);
        assert!(act(&user, &bob, &may[1..]).is_err());
        let masters = [("impersonate-user", "bob"), ("impersonate-group", "system:masters")];
        let with = [&may[..], &["impersonate:user-info groups system:masters"]].concat();
        assert!(act(&user, &masters, &with).is_err());
    }

    #[test]
    fn a_service_account_may_be_allowed_to_be_the_node_of_its_pod_only() {
        let mut agent = User::authenticated("system:serviceaccount:n:agent", &[]);
        agent.extra.insert(NODE_NAME.to_owned(), vec!["one".to_owned()]);
        let may =
            ["impersonate-on:associated-node:list pods", "impersonate:associated-node nodes *"];
        let node = act(&agent, &[("impersonate-user", "system:node:one")], &may).expect("allowed");
        assert_eq!(node.groups, ["system:nodes", "system:authenticated"]);
        assert!(act(&agent, &[("impersonate-user", "system:node:two")], &may).is_err());
    }
}
