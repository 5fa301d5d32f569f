//! The tree against the standard library's ordered map.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use super::Tree;
use crate::key::{Key, Revision};
use crate::testing::Random;
use crate::value::Entry;

fn entry(rest: &str, value: u32) -> Arc<Entry<u32>> {
    Arc::new(Entry {
        key: Key::new("b", rest),
        revision: Revision(1),
        create_revision: Revision(1),
        version: 1,
        value,
    })
}

fn items(tree: &Tree<u32>, from: &str) -> Vec<(String, u32)> {
    let mut items = Vec::new();
    let flow = tree.visit(&|rest| rest < from, &mut |entry| {
        items.push((entry.key.rest().to_owned(), entry.value));
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    items
}

fn check(tree: &Tree<u32>, model: &BTreeMap<String, u32>, probe: &str) {
    assert_eq!(tree.len(), model.len());
    let expected: Vec<_> = model.range(probe.to_owned()..).map(|(k, v)| (k.clone(), *v)).collect();
    assert_eq!(items(tree, probe), expected);
    assert_eq!(tree.rank(&|rest| rest < probe), model.len() - expected.len());
    assert_eq!(tree.get(probe).map(|entry| entry.value), model.get(probe).copied());
}

#[derive(Debug, Clone)]
enum Step {
    Put(u16, u32),
    /// Puts this many keys in a row.
    Run(u16, u16),
    Remove(u16),
    /// Removes this many keys in a row.
    Clear(u16, u16),
    /// Keeps a clone to look at in the end.
    Keep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u16>(), any::<u32>()).prop_map(|(key, value)| Step::Put(key % 3000, value)),
        2 => (any::<u16>(), 0..400_u16).prop_map(|(key, count)| Step::Run(key % 3000, count)),
        3 => any::<u16>().prop_map(|key| Step::Remove(key % 3000)),
        2 => (any::<u16>(), 0..500_u16).prop_map(|(key, count)| Step::Clear(key % 3000, count)),
        1 => Just(Step::Keep),
    ]
}

fn name(number: u16) -> String {
    format!("ns/{number:x}")
}

fn put(tree: &mut Tree<u32>, model: &mut BTreeMap<String, u32>, key: u16, value: u32) {
    let old = tree.insert(entry(&name(key), value));
    assert_eq!(old.map(|entry| entry.value), model.insert(name(key), value));
}

fn remove(tree: &mut Tree<u32>, model: &mut BTreeMap<String, u32>, key: u16) {
    let old = tree.remove(&name(key));
    assert_eq!(old.map(|entry| entry.value), model.remove(&name(key)));
}

proptest! {
    #[test]
    fn a_tree_is_an_ordered_map_and_its_clones_never_change(
        steps in prop::collection::vec(step(), 1..120),
        probe in any::<u16>(),
    ) {
        let mut tree = Tree::default();
        let mut model = BTreeMap::new();
        let mut kept = Vec::new();
        let probe = name(probe % 3000);
        for step in steps {
            match step {
                Step::Put(key, value) => put(&mut tree, &mut model, key, value),
                Step::Run(key, count) => {
                    (key..key + count).for_each(|key| put(&mut tree, &mut model, key, 7));
                }
                Step::Remove(key) => remove(&mut tree, &mut model, key),
                Step::Clear(key, count) => {
                    (key..key + count).for_each(|key| remove(&mut tree, &mut model, key));
                }
                Step::Keep => kept.push((tree.clone(), model.clone())),
            }
        }
        check(&tree, &model, &probe);
        check(&tree, &model, "");
        for (tree, model) in &kept {
            check(tree, model, &probe);
        }
    }
}

#[test]
fn keys_written_in_order_fill_their_nodes() {
    let mut tree = Tree::default();
    for number in 0..64 * 64 {
        tree.insert(entry(&format!("{number:06}"), 0));
    }
    let super::Node::Inner(children) = &*tree.root else { panic!("it has more than one node") };
    assert_eq!(children.len(), 64);
    assert!(children.iter().all(|child| child.count == 64));
}

#[test]
fn a_tall_tree_finds_every_key_after_any_growing_and_shrinking() {
    let mut random = Random(11);
    let (mut tree, mut model) = (Tree::default(), BTreeMap::new());
    for round in 0..120 {
        let start = u16::try_from(random.below(30_000)).expect("it is small");
        // Most keys go and come by long runs from either end, so that inner nodes merge and split as well.
        let run: Vec<u16> = (start..start + 6000).collect();
        let is_growing = random.below(5) < if round % 40 < 20 { 4 } else { 1 };
        for key in if random.below(2) == 0 { run.clone() } else { run.into_iter().rev().collect() }
        {
            match (is_growing, random.below(8)) {
                (_, 0) => {}
                (true, _) => put(&mut tree, &mut model, key, 1),
                (false, _) => remove(&mut tree, &mut model, key),
            }
        }
        check(&tree, &model, &name(start));
        for key in model.keys() {
            assert!(tree.get(key).is_some(), "round {round}: {key} is lost");
        }
    }
}

#[test]
fn a_key_in_front_of_its_nodes_first_separator_survives_a_merge_of_inner_nodes() {
    let mut tree = Tree::default();
    let key = |number: u32| format!("{number:06}");
    // Two inner nodes of 64 full leaves each.
    for number in 0..64 * 128 {
        tree.insert(entry(&key(number), 0));
    }
    // The first leaf of the second goes, and one of its keys comes back: into the next leaf, below its separator.
    let remove = |tree: &mut Tree<u32>, numbers: std::ops::Range<u32>| {
        for number in numbers {
            tree.remove(&key(number)).expect("it is there");
        }
    };
    remove(&mut tree, 64 * 64..64 * 65);
    tree.insert(entry(&key(64 * 64 + 4), 1));
    // Both shrink until they are one.
    remove(&mut tree, 0..64 * 20);
    remove(&mut tree, 64 * 70..64 * 128);
    let super::Node::Inner(children) = &*tree.root else { panic!("it has many leaves") };
    assert!(children.iter().all(|child| matches!(&*child.node, super::Node::Leaf(_))));
    assert!(tree.get(&key(64 * 64 + 4)).is_some());
    let kept = (64 * 20..64 * 64).chain([64 * 64 + 4]).chain(64 * 65..64 * 70);
    assert_eq!(
        items(&tree, ""),
        kept.map(|n| (key(n), u32::from(n == 64 * 64 + 4))).collect::<Vec<_>>()
    );
}
