use super::*;
use crate::dynamics::cell::Reference;

fn account(store: &Store, number: u128, name: &str) -> (Arc<Table>, Row) {
    let table = Arc::clone(store.table("account").unwrap());
    let mut row = Row::new(Uuid::from_u128(number), &table);
    row.set(&table, "cg_extid", Cell::text(name));
    (table, row)
}

fn find(store: &Store, name: &str) -> Option<Uuid> {
    let table = store.table("account").unwrap();
    store.by_key(table, 0, &[name.to_owned()]).map(|row| row.id)
}

#[test]
fn keys_are_unique_and_follow_changes() {
    let mut store = Store::new(Schema::shipped().unwrap());
    let (table, one) = account(&store, 1, "Alpha");
    store.insert(&table, one.clone()).unwrap();
    assert_eq!(find(&store, "alpha"), Some(one.id));
    let (_, two) = account(&store, 2, "ALPHA");
    assert_eq!(store.insert(&table, two).unwrap_err().code, "0x80060892");
    let mut changed = one.clone();
    changed.set(&table, "cg_extid", Cell::text("Beta"));
    let version = store.replace(&table, changed).unwrap().version;
    assert!(version > one.version);
    assert_eq!(
        (find(&store, "alpha"), find(&store, "beta")),
        (None, Some(one.id))
    );
    store.remove(&table, one.id).unwrap();
    assert_eq!(find(&store, "beta"), None);
}

#[test]
fn what_was_done_is_taken_back() {
    let mut store = Store::new(Schema::shipped().unwrap());
    let (table, one) = account(&store, 1, "Alpha");
    let (_, two) = account(&store, 2, "Beta");
    let link = Arc::clone(&store.schema().links[3]);
    store.insert(&table, one.clone()).unwrap();
    store.insert(&table, two.clone()).unwrap();
    store.link(&link, one.id, Uuid::nil());
    store.begin();
    let mut child = two.clone();
    child.set(
        &table,
        "parentaccountid",
        Cell::Lookup(Reference {
            table: Arc::clone(&table.name),
            id: one.id,
        }),
    );
    store.replace(&table, child).unwrap();
    assert_eq!(store.referrers("account", one.id).len(), 1);
    store.remove(&table, one.id).unwrap();
    let (_, again) = account(&store, 3, "Alpha");
    store.insert(&table, again).unwrap();
    assert!(store.linked(&link, "account", one.id).is_empty());
    store.roll_back();
    assert_eq!(find(&store, "alpha"), Some(one.id));
    assert_eq!(store.count("account"), 2);
    assert!(store.referrers("account", one.id).is_empty());
    assert_eq!(store.linked(&link, "account", one.id), [Uuid::nil()]);
    let order: Vec<Uuid> = store.rows("account").map(|row| row.id).collect();
    assert_eq!(order, [one.id, two.id]);
}
