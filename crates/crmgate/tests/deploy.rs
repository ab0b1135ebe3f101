//! What `deploy/` says is held against the binary: commands, settings, ports, probes, patience.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(deploy().join(file)).unwrap()
}

/// All documents of a YAML file.
fn documents(file: &str) -> Vec<Value> {
    let text = read(file);
    let parts = text.split("\n---\n");
    parts
        .map(|part| yaml_serde::from_str(part).unwrap())
        .collect()
}

/// One process as a platform would start it.
struct Started {
    from: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    ports: Vec<u64>,
    /// Seconds until it is killed.
    patience: u64,
    probes: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

fn of_kubernetes(file: &str) -> Started {
    let documents = documents(file);
    let deployment = documents
        .iter()
        .find(|d| d["kind"] == "Deployment")
        .unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let pair = |variable: &Value| (text(&variable["name"]), text(&variable["value"]));
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"];
    let ports = container["ports"].as_array().unwrap();
    for probe in probes {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["scheme"], "HTTPS", "{file}: {probe}");
        let named = ports.iter().any(|port| port["name"] == get["port"]);
        assert!(named && get["port"] == "control", "{file}: {probe}");
    }
    Started {
        from: file.to_owned(),
        arguments: texts(&container["args"]),
        environment: container["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(pair)
            .collect(),
        ports: ports
            .iter()
            .map(|port| port["containerPort"].as_u64().unwrap())
            .collect(),
        patience: pod["terminationGracePeriodSeconds"].as_u64().unwrap(),
        probes: probes
            .iter()
            .map(|probe| text(&container[*probe]["httpGet"]["path"]))
            .collect(),
    }
}

fn of_compose() -> Vec<Started> {
    let mut whole: yaml_serde::Value = yaml_serde::from_str(&read("compose/compose.yaml")).unwrap();
    whole.apply_merge().unwrap();
    let whole: Value = serde_json::to_value(&whole).unwrap();
    let services = ["serve", "worker"].map(|name| {
        let service = &whole["services"][name];
        let pairs = service["environment"].as_object().unwrap().iter();
        let published = service["ports"].as_array().cloned().unwrap_or_default();
        let inner = |port: &Value| text(port).rsplit(':').next().unwrap().parse().unwrap();
        for needed in ["postgres", "redis"] {
            let until = &service["depends_on"][needed]["condition"];
            assert_eq!(until, "service_healthy", "{name} waits for {needed}");
            assert!(whole["services"][needed]["healthcheck"].is_object());
        }
        for secret in texts(&service["secrets"]) {
            assert!(whole["secrets"][&secret].is_object(), "{secret}");
        }
        Started {
            from: format!("compose {name}"),
            arguments: texts(&service["command"]),
            environment: pairs
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            ports: published.iter().map(inner).collect(),
            patience: text(&service["stop_grace_period"])
                .trim_end_matches('s')
                .parse()
                .unwrap(),
            probes: Vec::new(),
        }
    });
    services.into()
}

/// The folders that a platform would mount, made in a temporary one.
fn site(dir: &Path, config: &str) -> String {
    let secrets = [
        "database_password",
        "queue_password",
        "checkpoint_key",
        "hash_key",
    ];
    let tls = dir.join("run/secrets/tls");
    let own = dir.join("run/secrets/crmgate");
    std::fs::create_dir_all(&tls).unwrap();
    std::fs::create_dir_all(&own).unwrap();
    let names = vec!["gate.example.com".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(tls.join("tls.crt"), issued.cert.pem()).unwrap();
    std::fs::write(tls.join("tls.key"), issued.signing_key.serialize_pem()).unwrap();
    for secret in secrets {
        for place in [own.join(secret), dir.join("run/secrets").join(secret)] {
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            std::fs::write(place, key.serialize_pem()).unwrap();
        }
    }
    std::fs::create_dir_all(dir.join("policies/tests")).unwrap();
    let package = "# METADATA\n# title: All\n# description: All may happen.\n# scope: package\n\
                   # custom:\n#   owner: tests\n#   objects: [contact]\n#   operations: [create]\n\
                   package crm.tests.all\n\nallow := true\n";
    std::fs::write(dir.join("policies/tests/all.rego"), package).unwrap();
    let config = inside(config, dir);
    std::fs::write(dir.join("crmgate.toml"), &config).unwrap();
    config
}

/// What stands below `/run/secrets` there stands below `dir` here.
fn inside(text: &str, dir: &Path) -> String {
    text.replace("/run/secrets", &format!("{}/run/secrets", dir.display()))
}

#[test]
fn settings_of_all_processes_are_settings() {
    let config = read("crmgate.toml");
    let map = documents("kubernetes/config.yaml");
    let in_cluster = text(&map[0]["data"]["crmgate.toml"]);
    assert_eq!(in_cluster, config, "one configuration for both");
    let kubernetes =
        ["serve", "worker"].map(|name| of_kubernetes(&format!("kubernetes/{name}.yaml")));
    for started in kubernetes.into_iter().chain(of_compose()) {
        let dir = tempfile::tempdir().unwrap();
        let config = site(dir.path(), &config);
        let mut check = Command::new(env!("CARGO_BIN_EXE_crmgate"));
        check.args(["check", "--offline", "--output", "json"]);
        for (name, value) in &started.environment {
            check.env(name, inside(value, dir.path()));
        }
        check.env("CRMGATE_CONFIG", dir.path().join("crmgate.toml"));
        check.env("CRMGATE__DATA_DIR", dir.path().join("data"));
        check.env("CRMGATE__POLICIES__DIR", dir.path().join("policies"));
        let output = check.output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["sound"], true, "{}: {told:#}", started.from);
        let help = Command::new(env!("CARGO_BIN_EXE_crmgate"))
            .args(&started.arguments)
            .arg("--help")
            .output()
            .unwrap();
        assert!(
            help.status.success(),
            "{}: {:?}",
            started.from,
            started.arguments
        );
        let config: toml::Table = config.parse().unwrap();
        let port = |area: &str| {
            let listen = config[area]["listen"].as_str().unwrap();
            listen.rsplit(':').next().unwrap().parse::<u64>().unwrap()
        };
        let known = [port("control"), port("gateway")];
        for port in &started.ports {
            assert!(known.contains(port), "{}: {port}", started.from);
        }
        let shutdown = config["limits"]["shutdown"].as_str().unwrap();
        let shutdown: u64 = shutdown.trim_end_matches('s').parse().unwrap();
        assert!(started.patience > shutdown + 5, "{}", started.from);
        for path in &started.probes {
            assert!(["/healthz", "/readyz"].contains(&path.as_str()), "{path}");
        }
    }
}

#[test]
fn the_image_opens_the_ports_and_ends_as_the_gate_expects() {
    let file = read("Containerfile");
    let config: toml::Table = read("crmgate.toml").parse().unwrap();
    let exposed = file
        .lines()
        .find_map(|line| line.strip_prefix("EXPOSE "))
        .unwrap();
    for area in ["control", "gateway"] {
        let listen = config[area]["listen"].as_str().unwrap();
        let port = listen.rsplit(':').next().unwrap();
        assert!(exposed.split(' ').any(|open| open == port), "{area}");
    }
    assert!(file.contains("STOPSIGNAL SIGTERM") && file.contains("USER 10001"));
    let variables = file
        .lines()
        .find_map(|line| line.strip_prefix("ENV "))
        .unwrap();
    for pair in variables.split(' ') {
        let (name, _) = pair.split_once('=').unwrap();
        let known = [
            "CRMGATE_CONFIG",
            "CRMGATE__DATA_DIR",
            "CRMGATE__POLICIES__DIR",
        ];
        assert!(known.contains(&name), "{name}");
    }
}
