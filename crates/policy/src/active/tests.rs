use super::*;
use crate::LoadError;
use crate::testing::{load, package};

fn set(rules: &str) -> Arc<PolicySet> {
    Arc::new(load(&[package("crm.a.b", "", rules)]).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::constant(second, 0)
}

#[test]
fn a_broken_set_leaves_the_good_one_in_force_until_it_is_mended() {
    let first = set("deny contains \"x\"");
    let active = Active::new(Arc::clone(&first), at(1));
    active.note_broken(LoadError::file("syntax", "a.rego", "bad").into(), at(2));
    assert_eq!(active.current().revision(), first.revision());
    let status = active.status();
    assert_eq!((&status.revision, status.since), (first.revision(), at(1)));
    let (since, errors) = status.broken.unwrap();
    assert_eq!(
        (since, errors.to_string()),
        (at(2), "a.rego: bad".to_owned())
    );

    // The mended files are those in force: the same revision, since the same time.
    active.publish(&set("deny contains \"x\""), at(3));
    let status = active.status();
    assert_eq!((status.since, status.broken), (at(1), None));

    let second = set("deny contains \"y\"");
    active.publish(&second, at(4));
    let status = active.status();
    assert_eq!((&status.revision, status.since), (second.revision(), at(4)));
}

#[test]
fn who_holds_a_set_keeps_it_through_a_swap() {
    let active = Active::new(set("deny contains \"x\""), at(1));
    let held = active.current();
    active.publish(&set("deny contains \"y\""), at(2));
    assert_ne!(held.revision(), active.current().revision());
}
