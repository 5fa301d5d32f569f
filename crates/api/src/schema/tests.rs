use super::*;

#[test]
fn a_field_is_found_by_its_exact_name() {
    let pod = builtin().get("core/v1.Pod").expect("known");
    let spec = pod.resolve(&pod.field("spec").expect("known").shape).expect("a struct");
    let containers = spec.field("containers").expect("known");
    assert_eq!(containers.tag, 2);
    assert_eq!(containers.list, ListType::Map);
    assert_eq!(containers.keys, ["name"]);
    assert_eq!(containers.patch, PatchStrategy::Merge);
    assert_eq!(containers.presence, Presence::Always);
    assert!(spec.field("Containers").is_none());
}

#[test]
fn every_type_that_a_field_names_has_fields_or_is_known_to_be_empty() {
    let mut empty: Vec<&str> = builtin()
        .types()
        .map(TypeRef::get)
        .filter(|ty| ty.fields.is_empty())
        .map(|ty| &*ty.name)
        .collect();
    empty.sort_unstable();
    assert_eq!(
        empty,
        [
            "apiextensions/v1.CustomResourceSubresourceStatus",
            "apiserverinternal/v1alpha1.StorageVersionSpec",
            "scheduling/v1alpha2.BasicSchedulingPolicy",
        ]
    );
}

#[test]
fn an_embedded_struct_keeps_the_tag_of_its_message() {
    let volume = builtin().get("core/v1.Volume").expect("known");
    let host_path = volume.field("hostPath").expect("known");
    assert_eq!((host_path.wrapper.as_slice(), host_path.tag), ([2].as_slice(), 1));
}
