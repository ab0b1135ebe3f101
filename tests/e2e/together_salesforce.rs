//! The simulated Salesforce takes what other people's clients send in one call: collections,
//! composite requests, batches, trees. Straight to the simulator: the gate refuses these forms.

use crmgate_sim::salesforce::{SalesforceOptions, Simulator};
use crmgate_sim::serve::Running;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::Program;
use crate::pki::write_certificates;

struct Site {
    dir: TempDir,
    simulator: Simulator,
    running: Running,
    options: SalesforceOptions,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_certificates(dir.path());
        let options = SalesforceOptions::default();
        let simulator = Simulator::new(options.clone()).unwrap();
        let running = crmgate_sim::serve::spawn(simulator.router()).await.unwrap();
        Self {
            dir,
            simulator,
            running,
            options,
        }
    }

    /// What a client's program saw, step by step; `None` when it is not here.
    async fn run(&self, program: Program) -> Option<Vec<Value>> {
        let config = json!({
            "url": self.running.url,
            "ca": self.dir.path().join("ca.pem"),
            "access_token": self.options.access_token,
            "api_version": "66.0",
        });
        let scratch = self.dir.path().to_owned();
        tokio::task::spawn_blocking(move || program.run(&config, &scratch))
            .await
            .unwrap()
    }

    /// How many calls came whose path holds this.
    fn calls(&self, part: &str) -> usize {
        let calls = self.simulator.front().journal().after(0);
        let paths = calls.iter().map(|call| call["path"].as_str().unwrap());
        paths.filter(|path| path.contains(part)).count()
    }
}

#[track_caller]
fn saw<'s>(steps: &'s [Value], name: &str) -> &'s Value {
    let step = steps.iter().find(|step| step["step"] == name).unwrap();
    step.get("value")
        .unwrap_or_else(|| panic!("`{name}` failed: {step:#}"))
}

#[track_caller]
fn failed(steps: &[Value], name: &str) -> String {
    let step = steps.iter().find(|step| step["step"] == name).unwrap();
    assert!(
        step.get("error").is_some(),
        "`{name}` did not fail: {step:#}"
    );
    step["error"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn jsforce_writes_many_records_at_once() {
    let site = Site::new().await;
    let Some(steps) = site.run(Program::Node("salesforce_together.mjs")).await else {
        return;
    };
    assert_eq!(
        saw(&steps, "told"),
        &json!(["ok", "REQUIRED_FIELD_MISSING", "ok"])
    );
    let back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    assert_eq!(
        saw(&steps, "all or none"),
        &json!([back, "INVALID_EMAIL_ADDRESS"])
    );
    assert_eq!(saw(&steps, "update"), &json!(["ok", "ok"]));
    assert_eq!(saw(&steps, "retrieve"), &json!(["Buyer", "Buyer"]));
    assert_eq!(saw(&steps, "upsert"), &json!([false, true]));
    assert_eq!(saw(&steps, "more than one call"), &json!(201));
    assert_eq!(
        saw(&steps, "destroy"),
        &json!(["ok", "ok", "ENTITY_IS_DELETED"])
    );
    assert_eq!(saw(&steps, "left"), &json!(["Many D"]));
    assert_eq!(saw(&steps, "composite"), &json!([201, 201]));
    assert!(failed(&steps, "tree refused").contains("REQUIRED_FIELD_MISSING"));
    let used = saw(&steps, "usage")["used"].as_u64().unwrap();
    let calls = site.calls("/services/data/");
    assert_eq!(used, u64::try_from(calls).unwrap(), "one call each");
    assert!(
        site.calls("/composite/sobjects") >= 7 && calls < 20,
        "{calls} calls"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_salesforce_writes_many_records_at_once() {
    let site = Site::new().await;
    let Some(steps) = site.run(Program::Python("salesforce_together.py")).await else {
        return;
    };
    assert_eq!(
        saw(&steps, "told"),
        &json!(["ok", "REQUIRED_FIELD_MISSING", "ok"])
    );
    let back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    assert_eq!(
        saw(&steps, "all or none"),
        &json!([back, "REQUIRED_FIELD_MISSING", back])
    );
    assert_eq!(saw(&steps, "delete"), &json!(["ok", "ok"]));
    assert_eq!(saw(&steps, "batch"), &json!([201, 404]));
    assert_eq!(saw(&steps, "tree"), &json!(false));
    assert_eq!(saw(&steps, "composite"), &json!([200, 204]));
    assert!(failed(&steps, "too many").contains("EXCEEDED_ID_LIMIT"));
    // The library takes note of what successes say, and the last call was refused.
    let calls = u64::try_from(site.calls("/services/data/")).unwrap();
    assert_eq!(saw(&steps, "usage")[0], json!(calls - 1), "one call each");
}
