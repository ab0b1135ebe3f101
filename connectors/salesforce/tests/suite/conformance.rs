//! The suite that every connector runs.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_connector::conformance::Subject;
use crmgate_connector::connector::Shared;
use crmgate_connector::{Credential, NativeRequest, RequestHead};
use crmgate_domain::{Ambient, PayloadHash};
use crmgate_store::Permit;
use serde_json::json;

use crate::support::{Org, RAE, connector, head, request, sobjects, with_header};

struct Salesforce {
    org: Org,
    without: Shared,
    account: String,
}

async fn fresh() -> Salesforce {
    let org = Org::with(
        |options| {
            json!({
                "flow": "client_credentials",
                "client_id": options.client_id,
                "client_secret": format!("fixed:{}", options.client_secret),
            })
        },
        json!({"external_id_fields": {"Contact": "Ext_Id__c"}}),
    )
    .await;
    let without = json!({"login_url": org.running.url, "instance_url": org.running.url});
    let without = connector(&without, &org.ambient).unwrap();
    let account = org.id_of("Account", "Name", "Northgate Foods").await;
    Salesforce {
        org,
        without,
        account,
    }
}

fn row(id: &str) -> String {
    sobjects(&format!("Contact/{id}"))
}

fn contact(body: &str) -> NativeRequest {
    request("POST", &sobjects("Contact"), body)
}

#[async_trait]
impl Subject for Salesforce {
    fn connector(&self) -> Shared {
        Arc::clone(&self.org.connector)
    }

    fn without_credential(&self) -> Shared {
        Arc::clone(&self.without)
    }

    fn caller(&self) -> Credential {
        self.org.caller()
    }

    fn crm_url(&self) -> String {
        self.org.running.url.clone()
    }

    fn secrets(&self) -> Vec<String> {
        let options = &self.org.options;
        [
            RAE,
            &options.client_secret,
            &options.password,
            &options.security_token,
            &options.refresh_token,
            &options.access_token,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn ambient(&self) -> Arc<dyn Ambient> {
        Arc::clone(&self.org.ambient)
    }

    async fn permit(&self, payload: PayloadHash) -> Permit {
        crmgate_testkit::permit(self.org.connector.name(), payload, &self.org.ambient).await
    }

    fn create(&self, name: &str) -> NativeRequest {
        contact(&json!({"LastName": name}).to_string())
    }

    fn update(&self, id: &str, phone: &str) -> NativeRequest {
        request("PATCH", &row(id), &json!({"Phone": phone}).to_string())
    }

    fn upsert(&self, key: &str, name: &str) -> NativeRequest {
        let place = sobjects(&format!("Contact/Ext_Id__c/{key}"));
        request("PATCH", &place, &json!({"LastName": name}).to_string())
    }

    fn delete(&self, id: &str) -> NativeRequest {
        request("DELETE", &row(id), "")
    }

    fn read(&self, id: &str) -> NativeRequest {
        request("GET", &row(id), "")
    }

    fn linked(&self) -> Vec<NativeRequest> {
        vec![
            request("GET", &sobjects("Contact/describe"), ""),
            request("GET", "/services/oauth2/userinfo", ""),
            request("GET", "/services/data/v66.0", ""),
        ]
    }

    fn absent_id(&self) -> String {
        "003000000000001AAA".to_owned()
    }

    fn spellings(&self) -> Vec<Vec<NativeRequest>> {
        let account = &self.account;
        let lookups = [
            json!({"LastName": "A", "AccountId": account}),
            json!({"AccountId": account[..15], "LastName": " A "}),
            json!({"lastname": "A", "Account": {"ext_id__c": "ERP-10001"}}),
        ];
        let plain = r#"{"LastName":"A","Score__c":5}"#;
        vec![
            lookups.map(|body| contact(&body.to_string())).into(),
            vec![
                contact(plain),
                request("POST", "/services/data/v57.0/sobjects/contact.json", plain),
                request(
                    "POST",
                    &sobjects("CONTACT/"),
                    r#"{"Score__C":"5.0","LASTNAME":"A"}"#,
                ),
                with_header(
                    contact(plain),
                    "content-type",
                    "Application/JSON;charset=utf-8",
                ),
            ],
            vec![
                request(
                    "PATCH",
                    &sobjects(&format!("Account/{account}")),
                    r#"{"Rating":"Hot"}"#,
                ),
                request(
                    "POST",
                    &sobjects(&format!("account/{}?_HttpMethod=PATCH", &account[..15])),
                    r#"{"rating":"Hot"}"#,
                ),
            ],
        ]
    }

    fn rich(&self) -> NativeRequest {
        let body = json!({
            "Name": "Rich", "StageName": "Closed Won", "Amount": 1250.5, "CurrencyIsoCode": "EUR",
            "CloseDate": "2026-06-30", "AccountId": self.account, "Discount__c": 12.5,
            "Probability": 100, "LeadSource": "Somewhere", "Type": "New Business",
            "NextStep": "call", "Description": null, "Ext_Id__c": "rich-1"
        });
        request("POST", &sobjects("Opportunity"), &body.to_string())
    }

    fn malformed(&self) -> Vec<NativeRequest> {
        let account = sobjects(&format!("Account/{}", self.account));
        let good = r#"{"LastName":"A"}"#;
        vec![
            contact(r#"{"LastName":"A","lastname":"B"}"#),
            contact(r#"{"LastName":"A","#),
            contact(r#"[{"LastName":"A"}]"#),
            contact(r#"{"LastName":"A","Nope__c":1}"#),
            contact(r#"{"LastName":"A","Account":{"Name":"B","Phone":"C"}}"#),
            contact(r#"{"LastName":"A","attributes":{"type":"Account"}}"#),
            contact(r#"{"LastName":"A","Cases":{"records":[]}}"#),
            contact(r#"{"LastName":"A","AccountId":"x"}"#),
            with_header(contact(good), "content-type", "application/xml"),
            with_header(
                contact(good),
                "content-type",
                "multipart/form-data; boundary=x",
            ),
            with_header(contact(good), "sforce-call-options", "defaultNamespace=ns"),
            request("PATCH", &format!("{account}?allOrNone=true"), "{}"),
            request("PATCH", &sobjects("Account/describe"), "{}"),
            request("PATCH", &format!("{account}/Owner"), "{}"),
            request("DELETE", &format!("{account}/Parent"), ""),
            request("PATCH", &sobjects("Contact/Legacy_Ref__c/1"), "{}"),
        ]
    }

    fn doors(&self) -> Vec<RequestHead> {
        include_str!("doors.txt")
            .lines()
            .filter_map(|line| line.split('#').next()?.trim().split_once(' '))
            .map(|(method, uri)| head(method, uri))
            .collect()
    }
}

crmgate_connector::conformance_tests!(fresh);
crmgate_connector::conformance_together_tests!(fresh);
