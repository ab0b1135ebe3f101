use std::path::Path;
use std::sync::Mutex as Guarded;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::{PolicyChecker, PolicyParts};
use crmgate_bundle::{Algorithm, BuildOptions, Signing, SigningKey, build};
use crmgate_policy::{PolicySet, Source};
use crmgate_testkit::{MemoryStore, TestAmbient};
use wiremock::{Match, Mock, MockServer, Request, Respond, ResponseTemplate};

use super::fetch::Fetched;
use super::follow::{Seen, after_failure, between};
use super::*;
use crate::config::load_text;

const SECRET: &str = "a secret that is long enough for it";

fn policy(team: &str, version: u32) -> Source {
    Source {
        path: format!("{team}/names.rego"),
        text: format!(
            "# METADATA\n# scope: package\n# title: T\n# custom:\n#   owner: o\n\
             #   objects: [contact]\n#   operations: [create]\npackage crm.{team}.names\n\n\
             deny contains \"{version}\" if input.record.last_name == \"x\"\n"
        ),
    }
}

fn plain(files: &[Source]) -> Vec<u8> {
    build(files, &BuildOptions::default()).unwrap().archive
}

fn signed(files: &[Source], secret: &str) -> Vec<u8> {
    let key = SigningKey::new(Algorithm::Hs256, secret).unwrap();
    let options = BuildOptions {
        signing: Some(Signing {
            key: &key,
            text: secret,
            keyid: "release",
            scope: "",
            issued_at: None,
        }),
        ..BuildOptions::default()
    };
    build(files, &options).unwrap().archive
}

/// What a server answers now: status, tag, body, how long it takes.
#[derive(Clone, Default)]
struct Shown {
    status: u16,
    etag: Option<&'static str>,
    body: Vec<u8>,
    takes: Duration,
    kind: &'static str,
}

impl Shown {
    fn new(etag: &'static str, body: Vec<u8>) -> Self {
        Self {
            status: 200,
            etag: Some(etag),
            body,
            kind: "application/gzip",
            ..Self::default()
        }
    }

    fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

#[derive(Clone, Default)]
struct Stage(Arc<Guarded<Shown>>);

impl Respond for Stage {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let shown = self.0.lock().unwrap().clone();
        let known = request.headers.get("if-none-match");
        let known = known.and_then(|tag| tag.to_str().ok());
        if shown.status == 200 && known.is_some() && known == shown.etag {
            return ResponseTemplate::new(304);
        }
        let answer = ResponseTemplate::new(shown.status).set_delay(shown.takes);
        let answer = shown
            .etag
            .into_iter()
            .fold(answer, |answer, tag| answer.insert_header("etag", tag));
        answer.set_body_raw(shown.body, shown.kind)
    }
}

struct Anything;

impl Match for Anything {
    fn matches(&self, _: &Request) -> bool {
        true
    }
}

/// Loading is tried elsewhere.
struct NoChild;

#[async_trait]
impl PolicyChecker for NoChild {
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors> {
        PolicySet::load(sources).map(drop)
    }
}

/// A gate's policies with a server to get a bundle from.
struct World {
    dir: tempfile::TempDir,
    server: MockServer,
    stage: Stage,
    store: Arc<MemoryStore>,
    /// What stands in the configuration beside the bundle's address.
    more: &'static str,
    keys: bool,
}

impl World {
    async fn new(more: &'static str, keys: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("policies/own")).unwrap();
        std::fs::write(
            dir.path().join("policies/own/own.rego"),
            policy("own", 0).text,
        )
        .unwrap();
        std::fs::write(dir.path().join("hmac"), SECRET).unwrap();
        std::fs::write(dir.path().join("token"), "t0ken\n").unwrap();
        let (server, stage) = (MockServer::start().await, Stage::default());
        let mock = Mock::given(Anything).respond_with(stage.clone());
        mock.mount(&server).await;
        Self {
            dir,
            server,
            stage,
            store: Arc::new(MemoryStore::default()),
            more,
            keys,
        }
    }

    fn show(&self, shown: Shown) {
        *self.stage.0.lock().unwrap() = shown;
    }

    fn config(&self) -> Config {
        self.config_at(&format!("{}/crm.tar.gz?sig=hunter2", self.server.uri()))
    }

    fn config_at(&self, url: &str) -> Config {
        let keys = if self.keys {
            "[policies.keys.release]\nalgorithm = \"HS256\"\nkey = \"file:hmac\"\n"
        } else {
            ""
        };
        let text = format!(
            "data_dir = \"data\"\n{keys}[policies.bundles.central]\nurl = \"{url}\"\n\
             timeout = \"400ms\"\n{}\n[connections.acme-sf]\nsystem = \"salesforce\"\n\
             listen = \"127.0.0.1:8701\"\n",
            self.more
        );
        let file = (Path::new("crmgate.toml"), text.as_str());
        let loaded = load_text(Some(file), self.dir.path(), &[]);
        loaded.unwrap_or_else(|error| panic!("{error}")).config
    }

    async fn bundles(&self, config: &Config, prefer: Prefer) -> Arc<Bundles> {
        let ambient: Arc<dyn Ambient> = Arc::new(TestAmbient::default());
        let bundles = Arc::new(Bundles::new(config, &ambient).unwrap());
        bundles.prepare(prefer).await;
        bundles
    }

    async fn policies(
        &self,
        config: &Config,
        bundles: &Arc<Bundles>,
    ) -> Result<Policies, AppError> {
        let source = CombinedSource {
            folder: FolderSource::new(config),
            bundles: Arc::clone(bundles),
        };
        let policies = Policies::start(PolicyParts {
            shared: false,
            source: Arc::new(source),
            checker: Arc::new(NoChild),
            store: Arc::<MemoryStore>::clone(&self.store),
            ambient: Arc::new(TestAmbient::default()),
        });
        let policies = policies.await?;
        bundles.settle(&policies);
        Ok(policies)
    }
}

fn packages(policies: &Policies) -> Vec<String> {
    let set = policies.active().current();
    set.packages()
        .map(|(_, package)| package.name.clone())
        .collect()
}

async fn trouble(bundles: &Bundles, policies: &Policies) -> Trouble {
    bundles.look(&bundles.all[0], policies).await.unwrap_err()
}

#[tokio::test]
async fn what_is_new_comes_into_force_and_what_is_known_is_not_sent_again() {
    let world = World::new(
        "bearer = \"file:token\"\nheaders = { X-Key = \"file:token\" }",
        false,
    )
    .await;
    world.show(Shown::new("\"1\"", plain(&[policy("sales", 1)])));
    let config = world.config();
    let bundles = world.bundles(&config, Prefer::Copy).await;
    let policies = world.policies(&config, &bundles).await.unwrap();
    assert_eq!(packages(&policies), ["crm.own.names", "crm.sales.names"]);
    let first = policies.status();
    let slot = &bundles.all[0];
    assert_eq!(bundles.look(slot, &policies).await.unwrap(), Seen::Same);
    world.show(Shown::new(
        "\"2\"",
        plain(&[policy("sales", 2), policy("support", 1)]),
    ));
    assert_eq!(bundles.look(slot, &policies).await.unwrap(), Seen::Changed);
    assert_eq!(packages(&policies).len(), 3);
    let second = policies.status();
    assert_ne!(first.revision, second.revision);
    let told = &second.bundles[0];
    assert_eq!(told.etag.as_deref(), Some("\"2\""));
    assert!(told.trouble.is_none() && told.since.is_some() && told.last_success.is_some());
    assert!(!told.source.contains("hunter2"), "{}", told.source);
    // Without tags, equal bytes are the same.
    world.show(Shown {
        etag: None,
        ..Shown::new("", plain(&[policy("sales", 3)]))
    });
    assert_eq!(bundles.look(slot, &policies).await.unwrap(), Seen::Changed);
    assert_eq!(bundles.look(slot, &policies).await.unwrap(), Seen::Same);
    let asked = world.server.received_requests().await.unwrap();
    let header = |at: usize, name: &str| {
        let value = asked[at].headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    assert_eq!(header(0, "prefer").unwrap(), "modes=snapshot");
    assert_eq!(header(0, "authorization").unwrap(), "Bearer t0ken");
    assert_eq!(header(0, "x-key").unwrap(), "t0ken");
    assert_eq!(header(0, "if-none-match"), None);
    assert_eq!(header(1, "if-none-match").unwrap(), "\"1\"");
}

#[tokio::test]
async fn whatever_goes_wrong_the_last_good_state_stays_until_it_is_mended() {
    let world = World::new("bearer = \"file:token\"", true).await;
    world.show(Shown::new("\"1\"", signed(&[policy("sales", 1)], SECRET)));
    let config = world.config();
    let bundles = world.bundles(&config, Prefer::Copy).await;
    let policies = world.policies(&config, &bundles).await.unwrap();
    let good = policies.status().revision;
    let (slot, next) = (&bundles.all[0], signed(&[policy("sales", 2)], SECRET));
    let mut own = policy("own", 2);
    own.path = "x/own.rego".to_owned();
    let mut broken = policy("sales", 2);
    broken.text.push_str("deny contains");
    let wrong_key = signed(&[policy("sales", 2)], "another secret that is long enough");
    let cases = [
        (Shown::status(503), "status", "503"),
        (Shown::status(401), "status", "check `bearer`"),
        (Shown::status(302), "status", "redirects"),
        (Shown::status(204), "status", "204"),
        (
            Shown::new("\"x\"", b"<html>Sign in</html>".to_vec()),
            "no_archive",
            "archive",
        ),
        (
            Shown::new("\"x\"", next[..next.len() / 2].to_vec()),
            "no_archive",
            "archive",
        ),
        (
            Shown::new("\"x\"", plain(&[policy("sales", 2)])),
            "bad_signature",
            "not signed",
        ),
        (
            Shown::new("\"x\"", wrong_key),
            "bad_signature",
            "does not verify",
        ),
        (
            Shown::new("\"x\"", signed(&[broken], SECRET)),
            "not_loaded",
            "central:/sales/names.rego:",
        ),
        (
            Shown::new("\"x\"", signed(&[own], SECRET)),
            "not_loaded",
            "of bundle `central`",
        ),
        (
            Shown {
                takes: Duration::from_secs(5),
                ..Shown::new("\"x\"", next.clone())
            },
            "unreachable",
            "did not come within",
        ),
    ];
    for (shown, code, told) in cases {
        world.show(shown);
        let fault = trouble(&bundles, &policies).await;
        assert_eq!(fault.code, code, "{fault:?}");
        assert!(fault.message.contains(told), "{told}: {fault:?}");
        assert!(!fault.message.contains("t0ken"), "{fault:?}");
        let status = policies.status();
        assert_eq!(status.revision, good, "{fault:?}");
        assert!(!status.degraded, "the set in force is whole: {status:?}");
        let bundle = &status.bundles[0];
        assert_eq!(bundle.etag.as_deref(), Some("\"1\""));
        assert_eq!(bundle.trouble.as_ref().unwrap().code, code);
    }
    // What else changes is not held up by a broken bundle.
    let file = world.dir.path().join("policies/own/own.rego");
    std::fs::write(file, policy("own", 7).text).unwrap();
    assert!(policies.reload().await.unwrap().changed);
    world.show(Shown::new("\"2\"", next));
    assert_eq!(bundles.look(slot, &policies).await.unwrap(), Seen::Changed);
    let mended = policies.status();
    assert!(mended.revision != good && mended.bundles[0].trouble.is_none());
    assert_eq!(mended.bundles[0].signed_by.as_deref(), Some("release"));
}

#[tokio::test]
async fn a_start_needs_no_server_but_for_the_first_time() {
    let world = World::new("", true).await;
    world.show(Shown::status(500));
    let config = world.config();
    let bundles = world.bundles(&config, Prefer::Copy).await;
    let error = world
        .policies(&config, &bundles)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("central:/: the bundle could not be had from `http://127"),
        "{error}"
    );
    assert!(
        error.contains("500") && !error.contains("hunter2"),
        "{error}"
    );

    world.show(Shown::new("\"1\"", signed(&[policy("sales", 1)], SECRET)));
    let bundles = world.bundles(&config, Prefer::Copy).await;
    let policies = world.policies(&config, &bundles).await.unwrap();
    let revision = policies.status().revision;
    let slot = &bundles.all[0];
    let archive = slot.state().unsaved.clone().unwrap();
    bundles.keep(slot, &slot.held().unwrap(), &archive).await;

    world.show(Shown::status(500));
    let again = world.bundles(&config, Prefer::Copy).await;
    let policies = world.policies(&config, &again).await.unwrap();
    let status = policies.status();
    assert_eq!(status.revision, revision);
    assert!(status.bundles[0].from_copy && !status.degraded);
    assert_eq!(trouble(&again, &policies).await.code, "status");
    world.show(Shown::new("\"1\"", Vec::new()));
    assert_eq!(
        again.look(&again.all[0], &policies).await.unwrap(),
        Seen::Same
    );
    assert!(!policies.status().bundles[0].from_copy);

    // A copy is believed no more than what a server sends.
    let copy = world.dir.path().join("data/bundles/central.tar.gz");
    std::fs::write(&copy, plain(&[policy("sales", 9)])).unwrap();
    world.show(Shown::status(500));
    let tampered = world.bundles(&config, Prefer::Copy).await;
    assert!(tampered.all[0].held().is_none());
    // Another address is another bundle.
    bundles.keep(slot, &slot.held().unwrap(), &archive).await;
    let moved = world.config_at(&format!("{}/other.tar.gz", world.server.uri()));
    assert!(
        world.bundles(&moved, Prefer::Copy).await.all[0]
            .held()
            .is_none()
    );
}

#[tokio::test]
async fn a_connections_bundle_is_its_own_affair() {
    let world = World::new("connection = \"acme-sf\"", false).await;
    world.show(Shown::new("\"1\"", plain(&[policy("acme", 1)])));
    let config = world.config();
    let bundles = world.bundles(&config, Prefer::Copy).await;
    let policies = world.policies(&config, &bundles).await.unwrap();
    assert_eq!(packages(&policies), ["crm.own.names", "crm.acme.names"]);
    let good = policies.status().revision;
    let mut broken = policy("acme", 2);
    broken.text.push_str("deny contains");
    world.show(Shown::new("\"2\"", plain(&[broken])));
    let fault = trouble(&bundles, &policies).await;
    assert_eq!(fault.code, "not_loaded");
    assert!(
        fault.message.contains("central:/acme/names.rego:"),
        "{fault:?}"
    );
    let status = policies.status();
    assert_eq!(status.revision, good);
    assert!(status.connections.is_empty(), "{status:?}");
    world.show(Shown::new("\"3\"", plain(&[policy("acme", 3)])));
    bundles.look(&bundles.all[0], &policies).await.unwrap();
    assert_ne!(policies.status().revision, good);
}

#[tokio::test]
async fn a_server_that_can_wait_is_told_how_long() {
    let world = World::new("long_poll = \"2s\"", false).await;
    world.show(Shown {
        kind: "application/vnd.openpolicyagent.bundles",
        ..Shown::new("\"1\"", plain(&[policy("sales", 1)]))
    });
    let config = world.config();
    let bundles = world.bundles(&config, Prefer::Copy).await;
    let policies = world.policies(&config, &bundles).await.unwrap();
    let slot = &bundles.all[0];
    slot.state().active = None;
    bundles.look(slot, &policies).await.unwrap();
    // Longer than an answer may take, shorter than the server may wait.
    let stage = world.stage.clone();
    let later = Shown {
        takes: Duration::from_millis(900),
        kind: "application/vnd.openpolicyagent.bundles",
        ..Shown::new("\"2\"", plain(&[policy("sales", 2)]))
    };
    *stage.0.lock().unwrap() = later;
    assert_eq!(bundles.look(slot, &policies).await.unwrap(), Seen::Changed);
    let asked = world.server.received_requests().await.unwrap();
    let last = asked.last().unwrap().headers.get("prefer").unwrap();
    assert_eq!(last.to_str().unwrap(), "modes=snapshot;wait=2");
    world.show(Shown::new("\"3\"", plain(&[policy("sales", 3)])));
    bundles.look(slot, &policies).await.unwrap();
    assert!(
        !slot.state().long_poll,
        "the server says no more that it waits"
    );
}

#[tokio::test]
async fn an_answer_without_a_question_is_none() {
    let world = World::new("", false).await;
    world.show(Shown::status(304));
    let config = world.config();
    let bundles = world.bundles(&config, Prefer::Fresh).await;
    assert!(bundles.all[0].held().is_none());
    assert_eq!(bundles.all[0].status().trouble.unwrap().code, "status");
    assert!(matches!(
        bundles.fetch(&bundles.all[0], Some("\"1\"")).await,
        Ok(Fetched::Same)
    ));
}

#[test]
fn pauses_lie_between_the_delays_and_grow_after_failures() {
    let config = load_text(
        Some((
            Path::new("crmgate.toml"),
            "[policies.bundles.a]\nurl = \"https://a.example.com/b\"\nmin_delay = \"10s\"\nmax_delay = \"20s\"\n",
        )),
        Path::new("."),
        &[],
    );
    let bundles = config
        .unwrap_or_else(|error| panic!("{error}"))
        .config
        .policies
        .bundles;
    let Origin::Http(http) = &bundles.all["a"].origin else {
        panic!();
    };
    for chance in [0.0, 0.3, 0.999_999] {
        let pause = between(http, chance);
        assert!(
            (http.min_delay..=http.max_delay).contains(&pause),
            "{pause:?}"
        );
        let mut longest = Duration::ZERO;
        for failures in 1..40 {
            let pause = after_failure(http.max_delay, failures, chance);
            assert!(pause >= longest && pause <= http.max_delay, "{pause:?}");
            assert!(pause >= Duration::from_millis(250));
            longest = pause;
        }
        assert!(longest >= http.max_delay / 2);
    }
}
