//! Service accounts, roles and bindings.

use super::super::rules::compact;
use super::super::value::Look;
use super::Subject;
use super::page::Page;

pub(super) fn service_account(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    let secrets = object.list("/imagePullSecrets");
    if secrets.is_empty() {
        page.raw("Image pull secrets:\t<none>\n");
    }
    for (index, secret) in secrets.iter().enumerate() {
        let head = if index == 0 { "Image pull secrets:" } else { "                   " };
        page.raw(&format!("{head}\t{}\n", secret.s("/name")));
    }
    subject.events(&mut page);
    page
}

pub(super) fn role(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.annotations(object);
    page.line(0, "PolicyRule:");
    page.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    page.line(1, "---------\t-----------------\t--------------\t-----");
    compact(object.list("/rules")).iter().for_each(|line| page.line(1, line));
    page
}

pub(super) fn binding(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.annotations(object);
    page.line(0, "Role:");
    page.pair(1, "Kind", object.s("/roleRef/kind"));
    page.pair(1, "Name", object.s("/roleRef/name"));
    page.line(0, "Subjects:");
    page.line(1, "Kind\tName\tNamespace");
    page.line(1, "----\t----\t---------");
    for subject in object.list("/subjects") {
        page.line(
            1,
            format!("{}\t{}\t{}", subject.s("/kind"), subject.s("/name"), subject.s("/namespace")),
        );
    }
    page
}
