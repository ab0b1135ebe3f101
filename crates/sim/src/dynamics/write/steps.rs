//! The organization's own checks: plug-ins that run in the middle of a save, and the search for duplicates.

use std::collections::HashSet;

use http::{HeaderMap, StatusCode};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::super::cell::fold;
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Table, stable_id};
use super::super::security::Caller;
use super::super::store::Row;
use super::Work;

/// A registered step: before the save of this table's rows it may refuse them.
struct Step {
    name: &'static str,
    table: &'static str,
    judge: fn(&Table, &Row) -> Option<String>,
}

static STEPS: [Step; 3] = [
    Step {
        name: "CG.Plugins.CreditLimit",
        table: "account",
        judge: credit_limit,
    },
    Step {
        name: "CG.Plugins.Discount",
        table: "opportunity",
        judge: discount,
    },
    Step {
        name: "CG.Plugins.ConsentDate",
        table: "contact",
        judge: consent_date,
    },
];

/// The highest credit limit that may be set at all.
const MAX_CREDIT: i64 = 10_000_000;
/// The highest discount that may be given at all.
const MAX_DISCOUNT: i64 = 60;

/// Which steps a request asks to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bypass {
    /// All, by either of the two headers; with the privilege that the header needs.
    all: Option<&'static str>,
    steps: HashSet<Uuid>,
}

impl Bypass {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_true = |name| value(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let mut bypass = Self::default();
        if is_true("mscrm.bypasscustompluginexecution") {
            bypass.all = Some("prvBypassCustomPlugins");
        }
        let logic = value("mscrm.bypassbusinesslogicexecution").unwrap_or_default();
        if logic
            .split(',')
            .any(|one| one.trim().eq_ignore_ascii_case("CustomSync"))
        {
            bypass.all = Some("prvBypassCustomBusinessLogic");
        }
        let steps = value("mscrm.bypassbusinesslogicexecutionstepids").unwrap_or_default();
        bypass.steps = steps
            .split(',')
            .filter_map(|id| Uuid::try_parse(id.trim()).ok())
            .collect();
        bypass
    }
}

/// Runs the table's steps on a row that is about to be saved.
pub(super) fn run(bypass: &Bypass, caller: &Caller, table: &Table, row: &Row) -> Outcome<()> {
    if let Some(privilege) = bypass.all {
        caller.check_privilege(privilege)?;
        return Ok(());
    }
    if !bypass.steps.is_empty() {
        caller.check_privilege("prvBypassCustomBusinessLogic")?;
    }
    for step in STEPS.iter().filter(|step| step.table == &*table.name) {
        if bypass.steps.contains(&step_id(step.name)) {
            continue;
        }
        if let Some(message) = (step.judge)(table, row) {
            return Err(ApiError::plug_in(message));
        }
    }
    Ok(())
}

/// The identifier of a step, by its name.
pub(crate) fn step_id(name: &str) -> Uuid {
    stable_id("sdkmessageprocessingstep", name)
}

fn credit_limit(table: &Table, row: &Row) -> Option<String> {
    let limit = row.get(table, "creditlimit").as_decimal()?;
    (limit > Decimal::from(MAX_CREDIT))
        .then(|| "Credit limits above 10,000,000 are set by Finance only.".to_owned())
}

fn discount(table: &Table, row: &Row) -> Option<String> {
    let discount = row.get(table, "cg_discount").as_decimal()?;
    (discount > Decimal::from(MAX_DISCOUNT))
        .then(|| "A discount above 60 % is never granted.".to_owned())
}

fn consent_date(table: &Table, row: &Row) -> Option<String> {
    let undated = row.get(table, "cg_consentdate").is_null();
    let given = *row.get(table, "cg_consent") == super::super::cell::Cell::Bool(true);
    (!undated && !given)
        .then(|| "A date of consent needs the consent that was given on it.".to_owned())
}

impl Work<'_> {
    /// Looks for duplicates, where the caller asks for it. People are alike by their e-mail address, companies by
    /// their name.
    pub(super) fn find_duplicates(&self, table: &Table, row: &Row) -> Outcome<()> {
        if !self.terms.detect_duplicates {
            return Ok(());
        }
        let column = match &*table.name {
            "account" => "name",
            "contact" | "lead" => "emailaddress1",
            _ => return Ok(()),
        };
        let Some(position) = table.position(column) else {
            return Ok(());
        };
        let Some(text) = row.at(position).as_text().map(fold) else {
            return Ok(());
        };
        let twin = self.store.rows(&table.name).any(|other| {
            other.id != row.id
                && other.at(position).as_text().map(fold).as_deref() == Some(text.as_str())
        });
        if !twin {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "0x80040333",
            "A record was not created or updated because a duplicate of the current record already exists.",
        ))
    }
}
