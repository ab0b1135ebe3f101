use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::salesforce::access::Access;
use crate::salesforce::options::SalesforceOptions;
use crate::salesforce::schema::Schema;
use crate::salesforce::seed::Seed;
use crate::salesforce::store::Store;

struct Data {
    schema: Arc<Schema>,
    store: Store,
    access: Access,
}

impl Data {
    fn new() -> Self {
        let schema = Arc::new(Schema::load().unwrap());
        let mut store = Store::new(Arc::clone(&schema));
        Seed::load()
            .unwrap()
            .plant(
                &mut store,
                &SalesforceOptions::demo(|| [1; 16]),
                1_790_000_000,
            )
            .unwrap();
        let access = Access::full(&schema);
        Self {
            schema,
            store,
            access,
        }
    }

    fn ask(&self, text: &str) -> Result<Vec<Value>, QueryError> {
        let now = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        let scope = Scope {
            schema: &self.schema,
            store: &self.store,
            access: &self.access,
            now,
        };
        Ok(match run(&scope, &parse(text)?, false)? {
            Found::Count(count) => vec![json!(count)],
            Found::Groups(lines) => lines,
            Found::Rows(found) => {
                let row = |id: &_| self.store.any_row(found.object, *id).unwrap();
                found
                    .ids
                    .iter()
                    .map(|id| found.projection.show(&scope, "66.0", found.object, row(id)))
                    .collect()
            }
        })
    }

    fn names(&self, text: &str) -> Vec<String> {
        let found = self
            .ask(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        found
            .iter()
            .map(|record| record["Name"].as_str().unwrap_or("null").to_owned())
            .collect()
    }

    fn count(&self, condition: &str) -> u64 {
        self.ask(&format!("SELECT COUNT() FROM {condition}"))
            .unwrap_or_else(|error| panic!("{condition}: {error}"))[0]
            .as_u64()
            .unwrap()
    }

    fn error(&self, text: &str) -> String {
        let error = self.ask(text).unwrap_err();
        format!("{}: {}", error.code, error.message)
    }
}

#[test]
fn conditions_choose_records() {
    let data = Data::new();
    assert_eq!(
        data.names("select Name from account where name = 'BRAMWELL optics'"),
        ["Bramwell Optics"]
    );
    assert_eq!(
        data.names(
            "SELECT Name FROM Account WHERE Name LIKE 'bram%' AND BillingCountry = 'Germany'"
        ),
        ["Bramwell Optics Deutschland"]
    );
    assert_eq!(
        data.names("SELECT Name FROM Account WHERE Name LIKE 'K_strel%'"),
        ["Kestrel Outdoor"]
    );
    assert_eq!(data.count("Account WHERE Blocked__c = true"), 1);
    assert_eq!(data.count("Account WHERE Blocked__c != true"), 25);
    assert_eq!(
        data.count("Account WHERE Blocked__c = null"),
        25,
        "null is unchecked"
    );
    assert_eq!(data.count("Account WHERE NOT Blocked__c = false"), 1);
    assert_eq!(data.count("Account WHERE ParentId != null"), 1);
    assert_eq!(
        data.count("Account WHERE Parent.Name = 'Bramwell Optics'"),
        1
    );
    assert_eq!(
        data.count("Account WHERE Ext_Id__c IN ('ERP-10000', 'erp-10001', 'none')"),
        2
    );
    assert_eq!(
        data.count("Account WHERE Ext_Id__c NOT IN ('ERP-10000')"),
        25
    );
    assert_eq!(
        data.count(
            "Account WHERE (Industry = 'Media' OR Industry = 'Apparel') AND NumberOfEmployees > 0"
        ),
        2
    );
    assert_eq!(
        data.count("Account WHERE Region__c INCLUDES ('DACH;EMEA', 'Nordics')"),
        data.count("Account WHERE BillingCountry IN ('Germany', 'Switzerland', 'Sweden')")
    );
    assert_eq!(
        data.count("Account WHERE Region__c EXCLUDES ('EMEA')"),
        data.count("Account WHERE Region__c IN ('AMER', 'APAC')")
    );
    assert_eq!(data.count("Account WHERE Name = 'O\\'Brien \\\\ Söhne'"), 0);
}

#[test]
fn dates_and_numbers_compare_as_such() {
    let data = Data::new();
    assert_eq!(
        data.count("Opportunity WHERE CloseDate >= 2026-01-01")
            + data.count("Opportunity WHERE CloseDate < 2026-01-01"),
        36
    );
    assert_eq!(
        data.count("Opportunity WHERE CloseDate = 2026-01-01 OR CloseDate != 2026-01-01"),
        36
    );
    assert_eq!(
        data.count("Lead WHERE CreatedDate > 2000-01-01T00:00:00Z"),
        28
    );
    assert_eq!(
        data.count("Lead WHERE CreatedDate = LAST_N_DAYS:30"),
        data.count("Lead WHERE CreatedDate >= LAST_N_DAYS:30")
    );
    assert!(data.count("Lead WHERE CreatedDate < LAST_N_DAYS:30") > 0);
    assert_eq!(data.count("Opportunity WHERE Amount > -1.5e0"), 36);
    assert!(
        data.error("SELECT Id FROM Lead WHERE CreatedDate > 2026-01-01")
            .ends_with("must be of type dateTime and should not be enclosed in quotes")
    );
    assert!(
        data.error("SELECT Id FROM Account WHERE Name = 5")
            .ends_with("must be of type string and should be enclosed in quotes")
    );
    assert!(
        data.error("SELECT Id FROM Opportunity WHERE Amount > '5'")
            .contains("must be of type double")
    );
}

#[test]
fn order_limit_and_offset_cut_the_list() {
    let data = Data::new();
    let all = data.names("SELECT Name FROM Account ORDER BY Name");
    assert!(
        all.windows(2)
            .all(|pair| pair[0].to_lowercase() <= pair[1].to_lowercase())
    );
    assert_eq!(
        data.names("SELECT Name FROM Account ORDER BY Name LIMIT 3 OFFSET 2"),
        all[2..5]
    );
    let down = data.names("SELECT Name FROM Account ORDER BY Name DESC NULLS LAST");
    assert_eq!(down.iter().rev().cloned().collect::<Vec<_>>(), all);
    let first = data
        .ask("SELECT Discount__c FROM Opportunity ORDER BY Discount__c DESC LIMIT 1")
        .unwrap();
    assert_eq!(
        first[0]["Discount__c"],
        Value::Null,
        "nulls come first either way"
    );
    assert_eq!(data.ask("SELECT Id FROM Account LIMIT 0").unwrap().len(), 0);
    assert!(
        data.error("SELECT Id FROM Account OFFSET 2001")
            .starts_with("NUMBER_OUTSIDE_VALID_RANGE")
    );
}

#[test]
fn parents_and_children_are_nested() {
    let data = Data::new();
    let found = data.ask("SELECT Id, Account.Name, Account.Owner.Username, Account.Parent.Name FROM Contact c WHERE c.Ext_Id__c = 'CRM-C-2000'").unwrap();
    let account = &found[0]["Account"];
    assert_eq!(
        (&account["Name"], &account["attributes"]["type"]),
        (&json!("Bramwell Optics"), &json!("Account"))
    );
    assert!(account["Owner"]["Username"].is_string() && account["Parent"].is_null());
    let found = data.ask("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName LIMIT 1) FROM Account WHERE Name IN ('Bramwell Optics')").unwrap();
    assert_eq!(
        (
            &found[0]["Contacts"]["totalSize"],
            &found[0]["Contacts"]["done"]
        ),
        (&json!(1), &json!(true))
    );
    let whos = data
        .ask("SELECT Who.Name, Who.Type, What.Name FROM Task ORDER BY Id LIMIT 2")
        .unwrap();
    assert_eq!(
        (&whos[0]["Who"]["Type"], &whos[1]["Who"]["Type"]),
        (&json!("Lead"), &json!("Contact"))
    );
    assert!(
        data.count(
            "Contact WHERE AccountId IN (SELECT Id FROM Account WHERE Industry = 'Electronics')"
        ) >= 3
    );
    assert_eq!(
        data.count("Account WHERE Id NOT IN (SELECT AccountId FROM Contact)"),
        0
    );
    assert!(
        data.error("SELECT Id, (SELECT Id FROM Nephews) FROM Account")
            .starts_with("INVALID_TYPE")
    );
    assert!(
        data.error("SELECT Id, Boss.Name FROM Account")
            .starts_with("INVALID_FIELD: Didn't understand relationship 'Boss'")
    );
}

#[test]
fn groups_are_counted_and_summed() {
    let data = Data::new();
    let found = data.ask("SELECT StageName, COUNT(Id) n, SUM(Amount), MAX(CloseDate) FROM Opportunity GROUP BY StageName ORDER BY StageName").unwrap();
    assert_eq!(found.len(), 10);
    assert_eq!(found[0]["attributes"]["type"], "AggregateResult");
    assert_eq!(
        found
            .iter()
            .map(|line| line["n"].as_u64().unwrap())
            .sum::<u64>(),
        36
    );
    assert!(found[0]["expr0"].is_number() && found[0]["expr1"].is_string());
    let found = data
        .ask("SELECT COUNT(Id), COUNT_DISTINCT(AccountId), AVG(Amount) FROM Opportunity")
        .unwrap();
    assert_eq!(
        (&found[0]["expr0"], &found[0]["expr1"]),
        (&json!(36), &json!(26))
    );
    let top = data.ask("SELECT BillingCountry, COUNT(Id) FROM Account GROUP BY BillingCountry ORDER BY COUNT(Id) DESC LIMIT 1").unwrap();
    assert_eq!(top[0]["BillingCountry"], "United States");
    assert_eq!(
        data.error("SELECT Name, COUNT(Id) FROM Account GROUP BY Industry"),
        "MALFORMED_QUERY: Field must be grouped or aggregated: Name"
    );
    assert!(
        data.error("SELECT SUM(Name) FROM Account")
            .starts_with("MALFORMED_QUERY")
    );
}

#[test]
fn fields_can_be_asked_for_in_bulk() {
    let data = Data::new();
    let found = data
        .ask("SELECT FIELDS(STANDARD) FROM Account LIMIT 300")
        .unwrap();
    assert!(found[0].get("Ext_Id__c").is_none() && found[0].get("BillingAddress").is_some());
    let found = data
        .ask("SELECT Id, FIELDS(CUSTOM) FROM Account LIMIT 200")
        .unwrap();
    assert!(found[0].get("Ext_Id__c").is_some());
    assert!(
        data.error("SELECT FIELDS(ALL) FROM Account")
            .ends_with("must have a LIMIT of at most 200")
    );
    assert_eq!(
        data.error("SELECT Name, name FROM Account"),
        "MALFORMED_QUERY: duplicate field selected: name"
    );
}

#[test]
fn what_is_no_query_is_refused() {
    let data = Data::new();
    for (text, error) in [
        ("", "unexpected token: '<EOF>'"),
        ("SELECT", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Account WHERE", "unexpected token: '<EOF>'"),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "unexpected token: 'OR'",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a' OR Name = 'b' AND Name = 'c'",
            "unexpected token: 'AND'",
        ),
        (
            "SELECT Id FROM Account WHERE Name = a",
            "unexpected token: 'a'",
        ),
        ("SELECT Id FROM Account; DROP", "unexpected token: ';'"),
        ("SELECT Id FROM Account LIMIT x", "unexpected token: 'x'"),
        (
            "SELECT Id FROM Account WHERE Name = 'a' 'b'",
            "unexpected token: ''b''",
        ),
        (
            "UPDATE Account SET Name = 'a'",
            "unexpected token: 'UPDATE'",
        ),
    ] {
        assert_eq!(
            data.error(text),
            format!("MALFORMED_QUERY: {error}"),
            "{text}"
        );
    }
    assert!(
        data.error("SELECT Id FROM Account WHERE Name = 'a\\z'")
            .contains("Illegal character sequence '\\z'")
    );
    assert!(
        data.error("SELECT Id FROM Account WHERE Name = 'a")
            .starts_with("MALFORMED_QUERY")
    );
    assert_eq!(
        data.error("SELECT Id FROM Account WHERE Id = 'abc'"),
        "INVALID_QUERY_FILTER_OPERATOR: invalid ID field: abc"
    );
    assert_eq!(
        data.error("SELECT Id FROM Account WHERE Description = 'a'"),
        "INVALID_FIELD: field 'Description' can not be filtered in a query call"
    );
    assert!(
        data.error("SELECT Id FROM Account ORDER BY Region__c")
            .contains("can not be sorted")
    );
    let deep = format!(
        "SELECT Id FROM Account WHERE {}Name = 'a'{}",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    assert!(data.error(&deep).starts_with("QUERY_TOO_COMPLICATED"));
    let nots = format!(
        "SELECT Id FROM Account WHERE {} Name = 'a'",
        "NOT ".repeat(5000)
    );
    assert!(data.error(&nots).starts_with("QUERY_TOO_COMPLICATED"));
}

#[test]
fn indexes_find_what_scans_find() {
    let data = Data::new();
    let id = data
        .ask("SELECT Id FROM Account WHERE Name = 'Kestrel Outdoor'")
        .unwrap()[0]["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let short = &id[..15];
    assert_eq!(
        data.names(&format!("SELECT Name FROM Account WHERE Id = '{short}'")),
        ["Kestrel Outdoor"]
    );
    assert_eq!(
        data.count(&format!(
            "Account WHERE Id IN ('{id}', '{short}') AND Industry = 'Apparel'"
        )),
        1
    );
    assert_eq!(
        data.count(&format!("Account WHERE Id = '{id}' OR Industry = 'Media'")),
        2
    );
    assert_eq!(
        data.count(&format!("Contact WHERE AccountId = '{id}'")),
        data.count("Contact WHERE Account.Name = 'Kestrel Outdoor'")
    );
    assert_eq!(
        data.count("Account WHERE Ledger_Code__c = 'lg001x'"),
        1,
        "queries don't mind the case, whatever the field"
    );
    assert_eq!(
        data.count("Account WHERE ParentId = null AND Ext_Id__c != null"),
        25
    );
}

#[test]
fn no_torn_query_upsets_the_parser() {
    let data = Data::new();
    let whole = "SELECT Id, toLabel(Type) t, (SELECT Id FROM Contacts) FROM Account a WHERE (Name LIKE 'ä\\_%' OR NOT Id IN \
        (SELECT AccountId FROM Contact WHERE Birthdate < 2026-01-31)) AND CreatedDate >= 2026-01-31T10:00:00+01:00 AND \
        SystemModstamp = LAST_N_DAYS:5 AND Region__c INCLUDES ('a;b') ORDER BY Name DESC NULLS LAST LIMIT 5 OFFSET 1";
    assert!(data.ask(&whole.replace(" t,", ",")).is_ok());
    for (at, letter) in whole.char_indices() {
        let (head, tail) = whole.split_at(at);
        for torn in [
            head.to_owned(),
            tail.to_owned(),
            format!("{head}{}", &tail[letter.len_utf8()..]),
        ] {
            if let Err(error) = data.ask(&torn) {
                assert!(error.explain(&torn).ends_with(&error.message));
            }
        }
    }
}
