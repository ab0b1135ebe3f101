//! The same policies and input through OPA, where it is on the machine: `OPA` names it, else
//! `opa` on the path.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Calls over HTTP that are measured, after half as many that are not.
const CALLS: usize = 4_000;

/// Asks every governing package, as a judgement does.
const GATHER: &str = "package bench\n\nrefusals contains [name, refusal] if {\n\tsome name\n\tsome \
                      refusal in data.crm.g[name].deny\n}\n";

/// What OPA takes for one decision, in nanoseconds.
pub(crate) struct Taken {
    /// Inside its process, as `opa bench` measures it.
    pub(crate) inside: f64,
    /// The median over its HTTP API, on one kept connection.
    pub(crate) over_http: f64,
}

/// Where OPA is.
pub(crate) fn find() -> Option<PathBuf> {
    let named = std::env::var_os("OPA").map(PathBuf::from);
    let opa = named.unwrap_or_else(|| "opa".into());
    let version = Command::new(&opa).arg("version").output().ok()?;
    version.status.success().then_some(opa)
}

/// Measures one set of packages.
pub(crate) fn measure(opa: &Path, packages: &[(String, String)], input: &str) -> Taken {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("bench.rego"), GATHER).unwrap();
    for (file, text) in packages {
        std::fs::write(policies.join(file), text).unwrap();
    }
    let file = dir.path().join("input.json");
    std::fs::write(&file, input).unwrap();
    Taken {
        inside: inside(opa, &policies, &file),
        over_http: Server::start(opa, &policies).median(input),
    }
}

fn inside(opa: &Path, policies: &Path, input: &Path) -> f64 {
    let told = Command::new(opa)
        .args(["bench", "--format", "json", "--count", "3", "--data"])
        .arg(policies)
        .arg("--input")
        .arg(input)
        .arg("data.bench.refusals")
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    // One document a run, one behind the other.
    let runs = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
    let mut each: Vec<f64> = runs
        .map(|run| {
            let run = run.unwrap();
            run["T"].as_f64().unwrap() / run["N"].as_f64().unwrap()
        })
        .collect();
    each.sort_by(f64::total_cmp);
    each[each.len() / 2]
}

struct Server {
    child: Child,
    stream: BufReader<TcpStream>,
}

impl Server {
    fn start(opa: &Path, policies: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(opa)
            .args([
                "run",
                "--server",
                "--log-level",
                "error",
                "--disable-telemetry",
                "--addr",
            ])
            .arg(address.to_string())
            .arg(policies)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < patience, "OPA does not serve: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        stream.set_nodelay(true).unwrap();
        Self {
            child,
            stream: BufReader::new(stream),
        }
    }

    fn median(mut self, input: &str) -> f64 {
        let body = format!("{{\"input\": {input}}}");
        let request = format!(
            "POST /v1/data/bench/refusals HTTP/1.1\r\nhost: opa\r\ncontent-type: \
             application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut each: Vec<f64> = (0..CALLS + CALLS / 2)
            .map(|_| {
                let start = Instant::now();
                self.call(&request);
                start.elapsed().as_secs_f64() * 1e9
            })
            .skip(CALLS / 2)
            .collect();
        each.sort_by(f64::total_cmp);
        each[each.len() / 2]
    }

    fn call(&mut self, request: &str) {
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(answer["result"].is_array(), "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
