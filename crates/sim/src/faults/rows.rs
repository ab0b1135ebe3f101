//! Faults that hit single rows of a call, so that some of what goes together fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Fault, FaultError, Faults, Kind};

/// Which row a fault hits: one that is all that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowSelector {
    /// Its place among those of its call, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Fields of its body and their values; the case of names does not count.
    #[serde(default, rename = "match", skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// A text that stands in its body or in its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
}

/// What a fault does to one row; nothing of the row is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    /// Someone else holds its lock.
    Locked,
    /// The CRM's own error under this status.
    Status {
        /// The status.
        status: StatusCode,
        /// Seconds to wait, where the CRM can say so of a row.
        retry_after: Option<u64>,
    },
}

/// The faults in force, as they concern the rows of one call.
#[derive(Clone, Debug)]
pub struct RowFaults {
    faults: Arc<Faults>,
    method: Method,
    path: String,
}

impl RowFaults {
    /// The faults that may hit rows of this call; `None` where there are none.
    #[must_use]
    pub fn of(faults: &Arc<Faults>, method: &Method, path: &str) -> Option<Self> {
        if !faults.any.load(Ordering::Acquire) {
            return None;
        }
        let any = faults
            .lock()
            .iter()
            .any(|fault| fault.row.is_some() && fault.hits(method, path));
        any.then(|| Self {
            faults: Arc::clone(faults),
            method: method.clone(),
            path: path.to_owned(),
        })
    }

    /// Finds, and counts down, the fault that hits a row.
    #[must_use]
    pub fn strike(&self, index: usize, place: &str, row: &Value) -> Option<RowFault> {
        let mut list = self.faults.lock();
        let hit = list
            .iter_mut()
            .filter(|fault| fault.hits(&self.method, &self.path))
            .filter(|fault| {
                let selector = fault.row.as_ref();
                selector.is_some_and(|selector| selector.fits(index, place, row))
            })
            .find_map(|fault| fault.take_one().then(|| fault.of_row()));
        list.retain(|fault| fault.times != Some(0));
        self.faults.any.store(!list.is_empty(), Ordering::Release);
        hit
    }
}

impl Fault {
    fn of_row(&self) -> RowFault {
        if self.kind == Kind::LockRow {
            return RowFault::Locked;
        }
        RowFault::Status {
            status: self.status_code(),
            retry_after: self.retry_after,
        }
    }
}

impl RowSelector {
    fn fits(&self, index: usize, place: &str, row: &Value) -> bool {
        let field = |name: &str| {
            row.as_object()?
                .iter()
                .find(|(own, _)| own.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        self.index.is_none_or(|wanted| wanted == index)
            && self
                .fields
                .iter()
                .all(|(name, value)| field(name) == Some(value))
            && self
                .holds
                .as_ref()
                .is_none_or(|text| place.contains(text) || row.to_string().contains(text))
    }
}

/// Whether a fault that names a row can work.
pub(super) fn check(index: usize, fault: &Fault) -> Result<(), FaultError> {
    let Some(selector) = &fault.row else {
        return Ok(());
    };
    let kind = match fault.kind {
        Kind::LockRow | Kind::Status => "",
        Kind::Delay => "delay",
        Kind::DropBeforeCommit => "drop_before_commit",
        Kind::DropAfterCommit => "drop_after_commit",
        Kind::ExpireSession => "expire_session",
    };
    if !kind.is_empty() {
        return Err(FaultError::WholeOnly { index, kind });
    }
    if *selector == RowSelector::default() {
        return Err(FaultError::EmptyRow { index });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::FaultList;
    use super::*;

    fn list(json: &Value) -> Result<FaultList, String> {
        let list: FaultList =
            serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
        list.check().map_err(|error| error.to_string())?;
        Ok(list)
    }

    #[test]
    fn rows_are_hit_by_what_they_are() {
        let faults = Arc::new(Faults::default());
        assert!(RowFaults::of(&faults, &Method::POST, "/a").is_none());
        let all = list(&json!({"faults": [
            {"kind": "lock_row", "row": {"match": {"lastname": "x"}}, "times": 1},
            {"kind": "status", "status": 500, "path": "/a", "row": {"index": 2}},
            {"kind": "status", "status": 400, "row": {"holds": "003A"}},
        ]}));
        faults.set(all.unwrap().faults);
        let whole = faults.strike(&Method::POST, "/a");
        assert_eq!(whole.ending, None, "whole calls go on");
        let rows = RowFaults::of(&faults, &Method::POST, "/a").unwrap();
        let named = json!({"LastName": "x"});
        assert_eq!(rows.strike(0, "", &named), Some(RowFault::Locked));
        assert_eq!(rows.strike(0, "", &named), None);
        let status = |status| {
            Some(RowFault::Status {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
            })
        };
        assert_eq!(rows.strike(2, "", &Value::Null), status(500));
        assert_eq!(rows.strike(0, "003A", &Value::Null), status(400));
        assert_eq!(rows.strike(0, "", &json!({"Id": "003A"})), status(400));
        assert_eq!(rows.strike(1, "", &json!({"Id": "003B"})), None);
        assert_eq!(faults.list().len(), 2);
    }

    #[test]
    fn selectors_that_cannot_work_are_named() {
        let fault = |row: Value, kind: &str| {
            list(&json!({"faults": [{"kind": kind, "millis": 1, "row": row}]})).unwrap_err()
        };
        assert!(fault(json!({}), "lock_row").contains("`index`, `match` or `holds`"));
        assert!(fault(json!({"index": 0}), "delay").contains("whole calls"));
        assert!(fault(json!({"indx": 0}), "lock_row").contains("unknown field `indx`"));
    }
}
