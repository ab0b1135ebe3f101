//! The suite that every connector runs.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_connector::conformance::Subject;
use crmgate_connector::connector::Shared;
use crmgate_connector::{Credential, NativeRequest, RequestHead};
use crmgate_domain::{Ambient, PayloadHash};
use crmgate_store::Permit;
use crmgate_testkit::permit;
use serde_json::json;

use crate::support::{GATE, Org, SECRET, connector, with_header};

struct Dataverse {
    org: Org,
    bare: Shared,
}

async fn fresh() -> Dataverse {
    let org = Org::new().await;
    let settings = json!({"url": org.running.url, "auth": {"flow": "none"}});
    Dataverse {
        bare: connector(&settings, &org.ambient).unwrap(),
        org,
    }
}

crmgate_connector::conformance_tests!(fresh);
crmgate_connector::conformance_together_tests!(fresh);

#[async_trait]
impl Subject for Dataverse {
    fn connector(&self) -> Shared {
        Arc::clone(&self.org.connector)
    }

    fn without_credential(&self) -> Shared {
        Arc::clone(&self.bare)
    }

    fn caller(&self) -> Credential {
        self.org.caller()
    }

    fn crm_url(&self) -> String {
        self.org.running.url.clone()
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), self.org.token.clone()]
    }

    fn ambient(&self) -> Arc<dyn Ambient> {
        Arc::clone(&self.org.ambient)
    }

    async fn permit(&self, payload: PayloadHash) -> Permit {
        permit(self.org.connector.name(), payload, &self.org.ambient).await
    }

    fn create(&self, name: &str) -> NativeRequest {
        let body = json!({"lastname": name}).to_string();
        self.org.request("POST", "contacts", &body)
    }

    fn update(&self, id: &str, phone: &str) -> NativeRequest {
        let body = json!({"telephone1": phone}).to_string();
        let update = self.org.request("PATCH", &format!("contacts({id})"), &body);
        with_header(update, "if-match", "*")
    }

    fn upsert(&self, key: &str, name: &str) -> NativeRequest {
        let body = json!({"lastname": name}).to_string();
        self.org
            .request("PATCH", &format!("contacts(cg_extid='{key}')"), &body)
    }

    fn delete(&self, id: &str) -> NativeRequest {
        self.org.request("DELETE", &format!("contacts({id})"), "")
    }

    fn read(&self, id: &str) -> NativeRequest {
        self.org.request("GET", &format!("contacts({id})"), "")
    }

    fn linked(&self) -> Vec<NativeRequest> {
        let paged = self.org.request("GET", "contacts?$select=fullname", "");
        vec![
            with_header(paged, "prefer", "odata.maxpagesize=2"),
            self.org.request("GET", "", ""),
            self.org.request("GET", "$metadata", ""),
            self.org.request("GET", "WhoAmI", ""),
            self.org.request(
                "GET",
                "RetrieveCurrentOrganization(AccessType=Microsoft.Dynamics.CRM.EndpointAccessType'Default')",
                "",
            ),
            self.org.request("GET", "EntityDefinitions(LogicalName='contact')?$select=LogicalName", ""),
            self.org.request("GET", "accounts?$select=name&$top=2&$expand=primarycontactid($select=fullname)", ""),
        ]
    }

    fn absent_id(&self) -> String {
        "99999999-9999-4999-8999-999999999999".to_owned()
    }

    fn spellings(&self) -> Vec<Vec<NativeRequest>> {
        let account = self.org.id("account", "northgate");
        let upper = account.to_uppercase();
        let contact = self.org.id("contact", "annika");
        let post = |body: String| self.org.request("POST", "contacts", &body);
        let binds = [
            format!("/accounts({account})"),
            format!("accounts({upper})"),
            format!("{GATE}/api/data/v9.2/accounts({account})"),
            format!("{GATE}/API/data/v9.1/accounts({account})"),
            "/accounts(accountnumber='A-10023')".replace("A-10023", &self.number()),
        ];
        let bound = binds
            .iter()
            .map(|bind| {
                post(
                    json!({"lastname": "B", "parentcustomerid_account@odata.bind": bind})
                        .to_string(),
                )
            })
            .collect();
        let values = [
            r#"{"lastname":"V","creditlimit":1250.50,"cg_score":7,"donotemail":true,"birthdate":"1980-01-31","gendercode":1}"#,
            r##"{ "gendercode":"1", "birthdate":"1980-01-31", "donotemail":"TRUE","cg_score":"7","creditlimit":1.2505e3,"lastname":"\u0056","@odata.type":"#Microsoft.Dynamics.CRM.contact" }"##,
        ];
        let own = "2f6c1e5a-1111-4c4c-8a8a-0123456789ab";
        let created = format!(r#"{{"lastname":"K","contactid":"{own}"}}"#);
        let put_id = self
            .org
            .request("PATCH", &format!("contacts({own})"), r#"{"lastname":"K"}"#);
        let place = format!("contacts({contact})");
        let must_exist =
            |body: &str| with_header(self.org.request("PATCH", &place, body), "if-match", "*");
        vec![
            bound,
            values.iter().map(|body| post((*body).to_owned())).collect(),
            vec![
                post(created),
                with_header(put_id, "if-none-match", "*"),
                self.org.request(
                    "PATCH",
                    &format!("contacts(contactid={own})"),
                    r#"{"lastname":"K"}"#,
                ),
            ],
            vec![
                must_exist(r#"{"jobtitle":null}"#),
                must_exist(r#"{"jobtitle":""}"#),
                self.org.request("DELETE", &format!("{place}/jobtitle"), ""),
                self.org.request(
                    "PATCH",
                    "contacts(cg_extid='C-4100')",
                    r#"{"jobtitle":null}"#,
                ),
                must_exist(
                    r#"{"jobtitle":null,"createdon":"2020-01-01T00:00:00Z","jobtitle@OData.Community.Display.V1.FormattedValue":"x"}"#,
                ),
            ],
            vec![
                must_exist(r#"{"parentcustomerid_account":null}"#),
                must_exist(r#"{"parentcustomerid_contact@odata.bind":null}"#),
                self.org.request(
                    "DELETE",
                    &format!("{place}/parentcustomerid_account/$ref"),
                    "",
                ),
            ],
        ]
    }

    fn rich(&self) -> NativeRequest {
        let body = json!({
            "topic": null, "name": "Rich", "estimatedvalue": 99.95, "closeprobability": 30,
            "discountpercentage": 12.5, "estimatedclosedate": "2026-09-30", "salesstage": 2,
            "description": "two\nlines",
            "parentaccountid@odata.bind": format!("/accounts({})", self.org.id("account", "northgate")),
            "parentcontactid@odata.bind": format!("/contacts({})", self.org.id("contact", "annika")),
            "ownerid@odata.bind": format!("/systemusers({})", self.org.id("systemuser", "tomas")),
            "transactioncurrencyid@odata.bind": format!("/transactioncurrencies({})", self.org.id("transactioncurrency", "eur")),
        });
        let mut body = body.as_object().unwrap().clone();
        body.remove("topic");
        self.org.request(
            "POST",
            "opportunities",
            &serde_json::Value::from(body).to_string(),
        )
    }

    fn malformed(&self) -> Vec<NativeRequest> {
        crate::doors::malformed(&self.org)
    }

    fn doors(&self) -> Vec<RequestHead> {
        crate::doors::doors(&self.org)
    }
}

impl Dataverse {
    /// The alternate key of the account that the spellings point to.
    fn number(&self) -> String {
        let seeded = include_str!("../../../../crates/sim/src/dynamics/seed/accounts.yaml");
        let row = seeded
            .lines()
            .find(|line| line.contains("ref: \"northgate\""))
            .unwrap();
        let (_, rest) = row.split_once("accountnumber: \"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}
