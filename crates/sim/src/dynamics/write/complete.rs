//! What the platform works out itself: full names, addresses in one piece, amounts in the organization's currency.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::super::cell::{Cell, Reference};
use super::super::error::Outcome;
use super::super::schema::{Kind, Table};
use super::super::store::{Row, Store};
use super::Work;

impl Work<'_> {
    /// Fills in what follows from other columns. `touched`: those that were just given.
    pub(super) fn complete(&self, table: &Table, row: &mut Row, touched: &[String]) -> Outcome<()> {
        full_name(table, row);
        address(table, row);
        if &*table.name == "opportunity" {
            let given = touched.iter().any(|name| name == "customerid");
            customer(table, row, given);
            total(table, row);
        }
        if &*table.name == "incident" && row.get(table, "ticketnumber").is_null() {
            row.set(table, "ticketnumber", self.ticket());
        }
        money(self.store, table, row)
    }

    fn ticket(&self) -> Cell {
        let draw = self.terms.entropy.draw16();
        let letters: String = draw
            .iter()
            .take(6)
            .map(|byte| {
                char::from(if byte % 36 < 10 {
                    b'0' + byte % 36
                } else {
                    b'A' + byte % 36 - 10
                })
            })
            .collect();
        let number = 1000 + self.store.count("incident");
        Cell::Text(format!("CAS-{number:05}-{letters}"))
    }
}

fn texts(table: &Table, row: &Row, columns: &[&str], between: &str) -> String {
    let found: Vec<&str> = columns
        .iter()
        .filter_map(|column| row.get(table, column).as_text())
        .collect();
    found.join(between)
}

fn full_name(table: &Table, row: &mut Row) {
    if table.position("fullname").is_some() {
        let name = texts(
            table,
            row,
            &["firstname", "middlename", "lastname", "suffix"],
            " ",
        );
        row.set(table, "fullname", Cell::text(&name));
    }
}

fn address(table: &Table, row: &mut Row) {
    if table.position("address1_composite").is_none() {
        return;
    }
    let street = texts(table, row, &["address1_line1", "address1_line2"], "\r\n");
    let region = texts(
        table,
        row,
        &["address1_stateorprovince", "address1_postalcode"],
        " ",
    );
    let city = texts(table, row, &["address1_city"], "");
    let country = texts(table, row, &["address1_country"], "");
    let place = [city, region].into_iter().filter(|part| !part.is_empty());
    let place = place.collect::<Vec<_>>().join(", ");
    let lines: Vec<String> = [street, place, country]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect();
    row.set(table, "address1_composite", Cell::text(&lines.join("\r\n")));
}

/// An opportunity's customer and its account or contact go together.
fn customer(table: &Table, row: &mut Row, given: bool) {
    let customer = row.get(table, "customerid").as_lookup().cloned();
    if let Some(customer) = customer.filter(|_| given) {
        let column = if &*customer.table == "account" {
            "parentaccountid"
        } else {
            "parentcontactid"
        };
        if row.get(table, column).is_null() {
            row.set(table, column, Cell::Lookup(customer));
        }
        return;
    }
    if row.get(table, "customerid").is_null() {
        for column in ["parentaccountid", "parentcontactid"] {
            if let Some(to) = row.get(table, column).as_lookup().cloned() {
                row.set(table, "customerid", Cell::Lookup(to));
                return;
            }
        }
    }
}

fn total(table: &Table, row: &mut Row) {
    let amount = |column: &str| row.get(table, column).as_decimal();
    let Some(value) = amount("estimatedvalue") else {
        return;
    };
    let percent = amount("discountpercentage").unwrap_or_default();
    let off = amount("discountamount").unwrap_or_default();
    let total = value - off - value * percent / Decimal::ONE_HUNDRED;
    row.set(table, "totalamount", Cell::Decimal(total.round_dp(4)));
}

/// Amounts need a currency; the base columns follow from its rate.
fn money(store: &Store, table: &Table, row: &mut Row) -> Outcome<()> {
    if table.position("transactioncurrencyid").is_none() || &*table.name == "transactioncurrency" {
        return Ok(());
    }
    let any = table.columns.iter().any(|column| {
        matches!(column.kind, Kind::Money { base_of: None, .. })
            && !row.get(table, &column.name).is_null()
    });
    if row.get(table, "transactioncurrencyid").is_null() {
        if !any {
            return Ok(());
        }
        row.set(table, "transactioncurrencyid", base_currency(store));
    }
    let rate = row
        .get(table, "transactioncurrencyid")
        .as_lookup()
        .map_or(Ok(Decimal::ONE), |currency| rate(store, currency))?;
    row.set(table, "exchangerate", Cell::Decimal(rate));
    for column in &table.columns {
        if let Kind::Money {
            base_of: Some(amount),
            ..
        } = &column.kind
        {
            let base = row
                .get(table, amount)
                .as_decimal()
                .and_then(|amount| amount.checked_div(rate))
                .map_or(Cell::Null, |base| Cell::Decimal(base.round_dp(4)));
            row.set(table, &column.name, base);
        }
    }
    Ok(())
}

/// The organization's own currency.
pub(crate) fn base_currency(store: &Store) -> Cell {
    let Some(table) = store.schema().table("organization") else {
        return Cell::Null;
    };
    let organization = store.rows("organization").next();
    organization.map_or(Cell::Null, |row| row.get(table, "basecurrencyid").clone())
}

fn rate(store: &Store, currency: &Reference) -> Outcome<Decimal> {
    let table: &Arc<Table> = store.table("transactioncurrency")?;
    let row = store.existing("transactioncurrency", currency.id)?;
    Ok(row
        .get(table, "exchangerate")
        .as_decimal()
        .filter(|rate| !rate.is_zero())
        .unwrap_or(Decimal::ONE))
}
