//! Who a process runs as: an image's `USER` resolved with the `/etc/passwd` and `/etc/group` of a root.
//!
//! Files are opened within the root, must be regular, and are read up to a bound. Ids are checked as `u32`
//! (CVE-2024-40635); a number is an id even where a user has that number as its name, as Docker does it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, FaultKind};
use crate::paths;
use crate::spec::UserSpec;

/// Bytes read of `/etc/passwd` and `/etc/group`: far above real images' few KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Supplementary groups of one process; the kernel takes 65536, NFS 16.
const GROUPS_MAX: usize = 1024;

/// The ids that a process runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id inside.
    pub uid: u32,
    /// Primary group id inside.
    pub gid: u32,
    /// Supplementary group ids inside, sorted; the primary one is among them.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// Resolves a user in the image whose root directory `root` is.
pub fn resolve(root: BorrowedFd<'_>, spec: &UserSpec) -> Result<Identity, Fault> {
    let passwd = read(root, "etc/passwd");
    let needs_groups = spec.merge_image_groups || spec.user.contains(':');
    let group = if needs_groups { read(root, "etc/group") } else { String::new() };
    resolve_in(&passwd, &group, spec)
}

/// A file that is missing or unreadable is as good as empty: only looking up a name then fails.
fn read(root: BorrowedFd<'_>, path: &str) -> String {
    let read = || -> io::Result<String> {
        let file = File::from(paths::read_in(root, Path::new(path))?);
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Account { name, uid, gid, home: fields.nth(1).unwrap_or("") })
    })
}

/// Name, id and members of each group.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, fields.nth(1)?.parse().ok()?, fields.next().unwrap_or("")))
    })
}

pub(crate) fn resolve_in(passwd: &str, group: &str, spec: &UserSpec) -> Result<Identity, Fault> {
    let (user, group_name) = match spec.user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (spec.user.as_str(), None),
    };
    let unknown = |what: &str, name: &str| {
        Fault::new(
            FaultKind::User,
            format!("unable to find {what} {name}: no matching entries in its file"),
        )
    };
    let wanted = id(if user.is_empty() { "0" } else { user })?;
    let account = accounts(passwd).find(|account| match wanted {
        Some(uid) => account.uid == uid,
        None => account.name == user,
    });
    let uid = wanted
        .or(account.as_ref().map(|account| account.uid))
        .ok_or_else(|| unknown("user", user))?;
    let gid = match (spec.gid, group_name.filter(|name| !name.is_empty())) {
        (Some(gid), _) => gid,
        (None, Some(name)) => match id(name)? {
            Some(gid) => gid,
            None => {
                groups(group)
                    .find(|(known, ..)| *known == name)
                    .ok_or_else(|| unknown("group", name))?
                    .1
            }
        },
        (None, None) => account.as_ref().map_or(0, |account| account.gid),
    };
    // Else whoever may not read a file as a member of the primary group reads it as anybody else, once a set-gid program has
    // made him forget that group (CVE-2022-2995).
    let mut all = spec.groups.clone();
    all.push(gid);
    if let Some(account) = account.as_ref().filter(|_| spec.merge_image_groups) {
        let member = groups(group)
            .filter(|(.., members)| members.split(',').any(|name| name == account.name));
        all.extend(member.map(|(_, gid, _)| gid));
    }
    all.sort_unstable();
    all.dedup();
    if all.len() > GROUPS_MAX {
        return Err(Fault::new(
            FaultKind::User,
            format!("more than {GROUPS_MAX} supplementary groups"),
        ));
    }
    let home = account.map_or("/", |account| account.home);
    Ok(Identity { uid, gid, groups: all, home: home.to_owned() })
}

/// A number, if the text is one; a number that is no id is an error and never a name.
fn id(text: &str) -> Result<Option<u32>, Fault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    // 4294967295 means "leave as it is" to the kernel.
    match text.parse::<u32>() {
        Ok(id) if id != u32::MAX => Ok(Some(id)),
        _ => Err(Fault::new(FaultKind::User, format!("id {text} is out of range"))),
    }
}

#[cfg(test)]
mod tests;
