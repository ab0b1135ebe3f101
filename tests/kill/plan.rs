//! What is submitted: operations that each leave a mark of their own.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::site::Site;

/// What may come of an operation.
pub(crate) type Ends = &'static [&'static str];

const DONE: Ends = &["succeeded"];
const DENIED: Ends = &["denied"];
const ASKED: Ends = &["succeeded", "rejected"];
const NOTHING: Ends = &["denied", "cancelled"];
const REGRETTED: Ends = &["succeeded", "cancelled"];
/// Without a key of its own a create whose answer is lost cannot always be found again, and may
/// happen for as long as Salesforce lets a call run (ten minutes).
const UNKEYED: Ends = &["succeeded", "uncertain", "writing"];
const AFTER_ASKED: Ends = &["succeeded", "cancelled"];

/// One operation.
pub(crate) struct Planned {
    pub(crate) client_id: String,
    pub(crate) connection: &'static str,
    pub(crate) kind: &'static str,
    /// The description that it writes, which no other writes; of a delete, the record's id.
    pub(crate) mark: String,
    /// The record, but of a create.
    pub(crate) record: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) after: Option<String>,
    /// Whether its owner takes it back as soon as it is accepted, if it can still be.
    pub(crate) regretted: bool,
    pub(crate) ends: Ends,
    pub(crate) line: Value,
}

/// What is sent in one request.
pub(crate) struct Parcel {
    pub(crate) key: String,
    pub(crate) operations: Vec<Planned>,
}

/// Who thinks it up: on records of their own, and on `hot` ones of each CRM.
pub(crate) struct Author {
    dice: Dice,
    made: usize,
    parcels: usize,
    hot: [Vec<String>; 2],
    /// Records that are still there to be deleted.
    doomed: Vec<(usize, String)>,
}

impl Author {
    /// `hot` and `cold`: records of each CRM; the cold ones get deleted.
    pub(crate) fn new(dice: Dice, hot: [Vec<String>; 2], cold: [Vec<String>; 2]) -> Self {
        let [one, other] = cold;
        let one = one.into_iter().map(|id| (0, id));
        let doomed = one.chain(other.into_iter().map(|id| (1, id)));
        Self {
            dice,
            made: 0,
            parcels: 0,
            hot,
            doomed: doomed.collect(),
        }
    }

    /// The next one.
    pub(crate) fn parcel(&mut self, site: &Site) -> Parcel {
        let mut operations = Vec::new();
        let crm = self.dice.below(2);
        match self.dice.below(6) {
            0 => {
                let mut one = self.created(site, crm, "contact", (REGRETTED, "plain"));
                one.regretted = true;
                operations.push(one);
            }
            1 => self.group(site, crm, &mut operations),
            2 => self.chain(site, crm, &mut operations),
            3 if !self.doomed.is_empty() => {
                let last = self.dice.below(self.doomed.len());
                let (crm, id) = self.doomed.swap_remove(last);
                operations.push(self.update(site, crm, &id, DONE, "plain"));
                operations.push(self.delete(site, crm, &id));
            }
            _ => {
                for _ in 0..self.dice.between(2, 10) {
                    let crm = self.dice.below(2);
                    let one = self.any(site, crm);
                    operations.push(one);
                }
            }
        }
        self.parcels += 1;
        let key = format!("parcel-{}", self.parcels);
        Parcel { key, operations }
    }

    fn any(&mut self, site: &Site, crm: usize) -> Planned {
        if self.dice.one_in(3) {
            return self.create(site, crm);
        }
        let record = self.dice.pick(&self.hot[crm]).clone();
        let (ends, style) = self.style();
        self.update(site, crm, &record, ends, style)
    }

    fn style(&mut self) -> (Ends, &'static str) {
        match self.dice.below(12) {
            0 | 1 => (DENIED, "deny"),
            2 => (ASKED, "ask"),
            3 => (DONE, "patch"),
            _ => (DONE, "plain"),
        }
    }

    fn create(&mut self, site: &Site, crm: usize) -> Planned {
        if self.dice.one_in(6) {
            // The harness names a key for contacts only.
            let ends = if crm == 0 { UNKEYED } else { DONE };
            return self.created(site, crm, "account", (ends, "plain"));
        }
        let (ends, style) = self.style();
        self.created(site, crm, "contact", (ends, style))
    }

    fn created(
        &mut self,
        site: &Site,
        crm: usize,
        object: &str,
        (ends, style): (Ends, &str),
    ) -> Planned {
        let mark = self.mark(style);
        let name = if object == "account" {
            "name"
        } else {
            "last_name"
        };
        let record = json!({name: format!("N{mark}"), "description": mark});
        let form = json!({"kind": "create", "object": object, "record": record});
        self.planned(site, crm, ("create", ends), mark, None, form)
    }

    fn update(
        &mut self,
        site: &Site,
        crm: usize,
        record: &str,
        ends: Ends,
        style: &str,
    ) -> Planned {
        let mark = self.mark(style);
        let form = json!({"kind": "update", "object": "contact", "id": record,
            "record": {"description": mark}});
        self.planned(site, crm, ("update", ends), mark, Some(record), form)
    }

    fn delete(&mut self, site: &Site, crm: usize, record: &str) -> Planned {
        self.mark("plain");
        let form = json!({"kind": "delete", "object": "contact", "id": record});
        let mark = record.to_owned();
        self.planned(site, crm, ("delete", DONE), mark, Some(record), form)
    }

    /// Creates that belong together; of some groups one is refused, and so nothing of it happens.
    fn group(&mut self, site: &Site, crm: usize, operations: &mut Vec<Planned>) {
        let name = format!("group-{}", self.made);
        let refused = self.dice.one_in(3);
        let size = self.dice.between(2, 4);
        for place in 0..size {
            let (ends, style) = match (refused, place == 1) {
                (true, true) => (NOTHING, "deny"),
                (true, false) => (NOTHING, "plain"),
                _ => (DONE, "plain"),
            };
            let mut one = self.created(site, crm, "contact", (ends, style));
            one.line["group"] = json!(name);
            one.line.as_object_mut().unwrap().remove("priority");
            one.line.as_object_mut().unwrap().remove("not_before");
            one.group = Some(name.clone());
            operations.push(one);
        }
    }

    /// Operations of which each waits for the one before.
    fn chain(&mut self, site: &Site, crm: usize, operations: &mut Vec<Planned>) {
        let asked = self.dice.one_in(4);
        let mut before: Option<String> = None;
        for place in 0..self.dice.between(2, 4) {
            let (ends, style) = match (asked, place) {
                (true, 0) => (ASKED, "ask"),
                (true, _) => (AFTER_ASKED, "plain"),
                _ => (DONE, "plain"),
            };
            let mut one = self.created(site, crm, "contact", (ends, style));
            if let Some(before) = before {
                one.line["depends_on"] = json!([{"client_id": before}]);
                one.after = Some(before);
            }
            before = Some(one.client_id.clone());
            operations.push(one);
        }
    }

    fn mark(&mut self, style: &str) -> String {
        self.made += 1;
        format!("{style} {:05}", self.made)
    }

    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "one place where a line is made of all there is to it"
    )]
    fn planned(
        &mut self,
        site: &Site,
        crm: usize,
        (kind, ends): (&'static str, Ends),
        mark: String,
        record: Option<&str>,
        form: Value,
    ) -> Planned {
        let client_id = format!("k-{:05}", self.made);
        let connection = site.crms[crm].connection;
        let mut line = json!({
            "connection": connection,
            "client_id": client_id,
            "operation": form,
        });
        if self.dice.one_in(5) {
            line["priority"] = json!(self.dice.pick(&["low", "high"]));
        }
        if self.dice.one_in(8) {
            let later = self.dice.between(1, 4);
            line["not_before"] = json!(in_seconds(later));
        }
        Planned {
            client_id,
            connection,
            kind,
            mark,
            record: record.map(str::to_owned),
            group: None,
            after: None,
            regretted: false,
            ends,
            line,
        }
    }
}

/// The time in so many seconds.
fn in_seconds(seconds: u64) -> String {
    let now = std::time::SystemTime::now();
    let later = now + std::time::Duration::from_secs(seconds);
    let later = crmgate_domain::Timestamp::try_from(later).unwrap();
    later.to_string()
}
