//! The simulated Dataverse takes what other people's clients send in one call: batches, change sets,
//! messages for several records. Straight to the simulator: the gate refuses these forms.

use std::sync::Arc;

use crmgate_sim::dynamics::{DynamicsOptions, Simulator};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clients::Program;
use crate::pki::write_certificates;

/// A simulated environment behind TLS, since one of the clients takes nothing else.
struct Site {
    dir: TempDir,
    simulator: Simulator,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_certificates(dir.path());
        let simulator = Simulator::new(DynamicsOptions::default()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = acceptor(&dir);
        let router = simulator.router_for(true);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = TowerToHyperService::new(router);
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self {
            dir,
            simulator,
            url,
            server,
        }
    }

    /// What a client's program saw, step by step; `None` when it is not here.
    async fn run(&self, program: Program) -> Option<Vec<Value>> {
        let user = "imke.vossen@acme.example";
        let config = json!({
            "url": self.url,
            "ca": self.dir.path().join("ca.pem"),
            "access_token": self.simulator.user_token(user, &self.url).unwrap(),
        });
        let scratch = self.dir.path().to_owned();
        tokio::task::spawn_blocking(move || program.run(&config, &scratch))
            .await
            .unwrap()
    }

    /// The paths of the writes that came, after the last slash.
    fn writes(&self) -> Vec<String> {
        let calls = self.simulator.front().journal().after(0);
        let last = |call: &Value| {
            let path = call["path"].as_str().unwrap();
            path.rsplit('/').next().unwrap().to_owned()
        };
        let posted = calls.iter().filter(|call| call["method"] == "POST");
        posted.map(last).collect()
    }
}

fn acceptor(dir: &TempDir) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(dir.path().join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.path().join("key.pem")).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[track_caller]
fn step<'s>(steps: &'s [Value], name: &str) -> &'s Value {
    let step = steps.iter().find(|step| step["step"] == name).unwrap();
    step.get("value")
        .unwrap_or_else(|| panic!("`{name}` failed: {step:#}"))
}

/// What a client saw of each request of a batch: status, code.
fn statuses(value: &Value) -> Vec<u64> {
    let all = value.as_array().unwrap().iter();
    all.map(|one| one["status"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_dataverse_client_writes_many_records_at_once() {
    let site = Site::new().await;
    let Some(steps) = site.run(Program::Python("dynamics_together.py")).await else {
        return;
    };
    assert_eq!(step(&steps, "bulk create").as_array().unwrap().len(), 3);
    assert_eq!(step(&steps, "updated"), &json!(["Buyer", "Buyer", "Buyer"]));
    step(&steps, "bulk upsert");
    let refused = steps.iter().find(|step| step["step"] == "bulk refused");
    let refused = refused.unwrap()["error"].to_string();
    assert!(refused.contains("colour"), "{refused}");
    let batch = step(&steps, "batch");
    assert_eq!(statuses(batch), [204, 204, 200]);
    assert_eq!(
        (&batch[0]["made"], &batch[2]["data"]),
        (&json!(true), &json!("Head"))
    );
    let ended = step(&steps, "ends at the first error");
    assert_eq!(statuses(ended), [204, 400]);
    assert_eq!(ended[1]["code"], "0x80048d19");
    let went_on = step(&steps, "goes on after an error");
    assert_eq!(statuses(went_on), [204, 400, 204]);
    let set = step(&steps, "change set");
    assert_eq!(statuses(set), [204, 204, 204]);
    let ids: Vec<&Value> = set
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["content_id"])
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
    let refused = step(&steps, "change set refused");
    assert_eq!(statuses(refused), [400]);
    assert_eq!(refused[0]["code"], "0x80048d19");
    let left = [
        "After", "Alone", "Before", "Before", "Set", "Upserted", "Upserted",
    ];
    assert_eq!(step(&steps, "left"), &json!(left));
    let writes = site.writes();
    let count = |name: &str| writes.iter().filter(|path| path.ends_with(name)).count();
    assert_eq!(
        (count("$batch"), count("CreateMultiple")),
        (5, 2),
        "{writes:?}"
    );
    assert_eq!((count("UpdateMultiple"), count("UpsertMultiple")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamics_web_api_writes_many_records_at_once() {
    let site = Site::new().await;
    let Some(steps) = site.run(Program::Node("dynamics_together.mjs")).await else {
        return;
    };
    assert_eq!(step(&steps, "change set").as_array().unwrap().len(), 3);
    assert_eq!(step(&steps, "made"), &json!(["Set", "Set"]));
    let refused = &step(&steps, "change set refused")["refused"];
    assert_eq!(refused[0]["status"], 400, "{refused}");
    assert!(refused[0].to_string().contains("colour"), "{refused}");
    assert_eq!(step(&steps, "undone"), 0);
    let single = step(&steps, "single requests").as_array().unwrap();
    assert_eq!(single.len(), 4);
    assert_eq!(single[2]["jobtitle"], "Buyer");
    let went_on = step(&steps, "goes on after an error").as_array().unwrap();
    assert!(went_on[1].to_string().contains("colour"), "{went_on:?}");
    assert_eq!(step(&steps, "single"), 3);
    assert_eq!(step(&steps, "bulk"), 2);
    let writes = site.writes();
    let batches = writes.iter().filter(|path| *path == "$batch").count();
    assert_eq!(batches, 4, "{writes:?}");
}
