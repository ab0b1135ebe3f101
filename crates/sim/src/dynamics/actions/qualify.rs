//! Leads qualified: an account, a contact and an opportunity are made of them.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::api::{Reply, Request};
use super::super::cell::{Cell, Reference};
use super::super::error::{ApiError, Outcome};
use super::super::schema::Table;
use super::super::security::Right;
use super::super::store::Row;
use super::super::write::{Payload, Work, close};
use super::{number, only};

const PARAMETERS: [&str; 8] = [
    "CreateAccount",
    "CreateContact",
    "CreateOpportunity",
    "Status",
    "OpportunityCurrencyId",
    "OpportunityCustomerId",
    "SourceCampaignId",
    "ProcessInstanceId",
];

/// Columns of a lead that its account, its contact and its opportunity take over.
const ACCOUNT: [(&str, &str); 8] = [
    ("companyname", "name"),
    ("telephone1", "telephone1"),
    ("websiteurl", "websiteurl"),
    ("industrycode", "industrycode"),
    ("numberofemployees", "numberofemployees"),
    ("address1_line1", "address1_line1"),
    ("address1_city", "address1_city"),
    ("address1_country", "address1_country"),
];
const CONTACT: [(&str, &str); 8] = [
    ("firstname", "firstname"),
    ("lastname", "lastname"),
    ("jobtitle", "jobtitle"),
    ("emailaddress1", "emailaddress1"),
    ("telephone1", "telephone1"),
    ("mobilephone", "mobilephone"),
    ("cg_consent", "cg_consent"),
    ("cg_dataresidency", "cg_dataresidency"),
];
const OPPORTUNITY: [(&str, &str); 5] = [
    ("subject", "name"),
    ("budgetamount", "budgetamount"),
    ("estimatedclosedate", "estimatedclosedate"),
    ("decisionmaker", "decisionmaker"),
    ("cg_regions", "cg_regions"),
];

/// Qualifies a lead.
pub(super) fn lead(
    work: &mut Work<'_>,
    request: &Request<'_>,
    id: Uuid,
    body: &Map<String, Value>,
) -> Outcome<Reply> {
    only("QualifyLead", body, &PARAMETERS)?;
    let status = number("QualifyLead", body, "Status")?;
    let wants = |name: &str| body.get(name) == Some(&Value::Bool(true));
    let table = Arc::clone(work.store.table("lead")?);
    let lead = Arc::clone(work.store.existing("lead", id)?);
    work.caller.check_row(&table, &lead, Right::Write)?;
    if lead.get(&table, "statecode").as_int() != Some(0) {
        return Err(ApiError::bad_request(
            "0x80044164",
            "The lead is already closed.",
        ));
    }
    let from: (&Table, &Row) = (&table, &lead);
    let origin = ("originatingleadid", reference("lead", id));
    let mut made = Vec::new();
    let mut account = None;
    if wants("CreateAccount") && !lead.get(&table, "companyname").is_null() {
        let row = derive(work, from, ("account", &ACCOUNT), vec![origin.clone()])?;
        account = Some(reference("account", row.id));
        made.push(("account", row.id));
    }
    let mut contact = None;
    if wants("CreateContact") {
        let mut lookups = vec![origin.clone()];
        lookups.extend(account.clone().map(|to| ("parentcustomerid", to)));
        let row = derive(work, from, ("contact", &CONTACT), lookups)?;
        contact = Some(reference("contact", row.id));
        made.push(("contact", row.id));
    }
    let mut opportunity = None;
    if wants("CreateOpportunity") {
        let mut lookups = vec![origin];
        lookups.extend(account.clone().map(|to| ("parentaccountid", to)));
        lookups.extend(contact.clone().map(|to| ("parentcontactid", to)));
        let row = derive(work, from, ("opportunity", &OPPORTUNITY), lookups)?;
        opportunity = Some(reference("opportunity", row.id));
        made.push(("opportunity", row.id));
    }
    let mut row = Row::clone(&lead);
    for (column, to) in [
        ("parentaccountid", account),
        ("parentcontactid", contact),
        ("qualifyingopportunityid", opportunity),
    ] {
        if let Some(to) = to {
            row.set(&table, column, Cell::Lookup(to));
        }
    }
    close(&table, &mut row, 1, Some(status))?;
    work.save(&table, row)?;
    answer(work, request, &made)
}

fn reference(table: &str, id: Uuid) -> Reference {
    Reference {
        table: Arc::from(table),
        id,
    }
}

/// Makes a record out of another one's columns.
fn derive(
    work: &mut Work<'_>,
    (from, source): (&Table, &Row),
    (to, columns): (&str, &[(&str, &str)]),
    lookups: Vec<(&str, Reference)>,
) -> Outcome<Arc<Row>> {
    let to = Arc::clone(work.store.table(to)?);
    let mut payload = Payload::default();
    for (column, target) in columns {
        let cell = source.get(from, column).clone();
        if let (Some(position), false) = (to.position(target), cell.is_null()) {
            payload.cells.push((position, cell));
        }
    }
    for (column, reference) in lookups {
        if let Some(position) = to.position(column) {
            payload.cells.push((position, Cell::Lookup(reference)));
        }
    }
    work.create(&to, payload)
}

fn answer(work: &Work<'_>, request: &Request<'_>, made: &[(&str, Uuid)]) -> Outcome<Reply> {
    let mut items = Vec::new();
    for (name, id) in made {
        let table = work.store.table(name)?;
        let row = work.store.existing(name, *id)?;
        let mut item = Map::new();
        item.insert(
            "@odata.type".to_owned(),
            json!(format!("#{}", table.type_name())),
        );
        item.insert("@odata.etag".to_owned(), json!(row.etag()));
        item.insert(table.id.clone(), json!(id));
        items.push(Value::Object(item));
    }
    let mut answer = Map::new();
    answer.insert(
        "@odata.context".to_owned(),
        json!(format!(
            "{}/$metadata#Collection(mscrm.crmbaseentity)",
            request.service
        )),
    );
    answer.insert("value".to_owned(), Value::Array(items));
    Ok(Reply::json(answer))
}
