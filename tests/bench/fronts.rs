//! The upstream, nginx in front of it, and the gate in front of it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crmgate_sim::salesforce::{SalesforceOptions, Simulator};
use crmgate_sim::serve::{Running, spawn};
use tempfile::TempDir;

use crate::pki::write_certificates;

/// Where the load goes.
pub(crate) const PATH: &str = "/services/data/v66.0/sobjects/Contact";

/// The upstream and the plain front.
pub(crate) struct Bench {
    dir: TempDir,
    nginx: Child,
    upstream: u16,
    front: u16,
    pub(crate) token: String,
    _simulator: Running,
}

impl Bench {
    /// Starts the simulator (for what the gate asks: who, describe) and nginx as upstream and as
    /// plain front.
    pub(crate) async fn start() -> Self {
        // Beside the build, so that it lies on a disk and not in memory.
        let dir = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")).unwrap();
        write_certificates(dir.path());
        let mut counter = 0_u8;
        let options = SalesforceOptions::demo(|| {
            counter += 1;
            [counter; 16]
        });
        let token = options.access_token.clone();
        let simulator = spawn(Simulator::new(options).unwrap().router())
            .await
            .unwrap();
        let (upstream, front) = (free_port(), free_port());
        let nginx = nginx(dir.path(), upstream, front, simulator.addr.port());
        wait_for_port(front);
        Self {
            dir,
            nginx,
            upstream,
            front,
            token,
            _simulator: simulator,
        }
    }

    pub(crate) fn nginx_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.front)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir().join("ca.pem")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The master ends its workers on SIGTERM only.
        let _ = Command::new("kill")
            .arg(self.nginx.id().to_string())
            .status();
        let _ = self.nginx.wait();
    }
}

/// The gate under one set of rules.
pub(crate) struct Gate {
    process: Child,
    port: u16,
    data: PathBuf,
    pub(crate) started_in_ms: f64,
}

impl Gate {
    pub(crate) fn start(bench: &Bench, rules: &str) -> Self {
        let (port, control) = (free_port(), free_port());
        let dir = bench.dir();
        let data = dir.join(format!("data-{rules}"));
        let policies = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("bench/policies")
            .join(rules);
        let config = dir.join(format!("{rules}.toml"));
        let text = format!(
            "data_dir = {data:?}\n\
             [logging]\nlevel = \"warn\"\n\
             [policies]\ndir = {policies:?}\n\
             [control]\nlisten = \"127.0.0.1:{control}\"\n\
             [upstream]\nca_files = [{ca:?}]\n\
             [connections.bench]\nsystem = \"salesforce\"\nlisten = \"127.0.0.1:{port}\"\n\
             tls = {{ certificate = {cert:?}, key = {key:?} }}\n\
             login_url = \"https://127.0.0.1:{up}\"\ninstance_url = \"https://127.0.0.1:{up}\"\n\
             auth = {{ flow = \"none\" }}\n",
            ca = bench.ca_file(),
            cert = dir.join("cert.pem"),
            key = dir.join("key.pem"),
            up = bench.upstream,
        );
        fs::write(&config, text).unwrap();
        let binary =
            std::env::var_os("CRMGATE_BINARY").expect("CRMGATE_BINARY: run tests/bench/run");
        let started = Instant::now();
        let process = Command::new(binary)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_port(port);
        let started_in_ms = started.elapsed().as_secs_f64() * 1e3;
        Self {
            process,
            port,
            data,
            started_in_ms,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Resident memory.
    pub(crate) fn memory_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }

    /// Processor time so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.process.id())
    }

    /// How much the record holds, as proof that decisions went to disk.
    pub(crate) fn decisions(&self) -> String {
        let bytes: u64 = fs::read_dir(&self.data)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        format!("{:.1} MiB on disk", bytes as f64 / 1048576.0)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nginx(dir: &Path, upstream: u16, front: u16, simulator: u16) -> Child {
    let tls = format!(
        "ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem; ssl_session_cache shared:s:1m;",
        dir.display()
    );
    let created = r#"{"id":"003000000000001AAA","success":true,"errors":[]}"#;
    let config = format!(
        "worker_processes auto; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log warn;
         events {{ worker_connections 1024; }}
         http {{
           access_log off; keepalive_requests 1000000; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
           fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
           upstream back {{ server 127.0.0.1:{upstream}; keepalive 64; }}
           server {{
             listen 127.0.0.1:{upstream} ssl; {tls}
             location = {PATH} {{ default_type application/json; return 201 '{created}'; }}
             location / {{ proxy_pass http://127.0.0.1:{simulator}; proxy_set_header Host $http_host; }}
           }}
           server {{
             listen 127.0.0.1:{front} ssl; {tls}
             location / {{
               proxy_pass https://back; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_set_header Host 127.0.0.1:{upstream}; proxy_ssl_session_reuse on;
             }}
           }}
         }}",
        dir = dir.display(),
    );
    fs::write(dir.join("nginx.conf"), config).unwrap();
    Command::new("nginx")
        .arg("-c")
        .arg(dir.join("nginx.conf"))
        .arg("-e")
        .arg(dir.join("nginx.log"))
        .spawn()
        .unwrap()
}

/// Processor time of a process, from its `stat`: hundredths of a second.
fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let ticks = after_name.split(' ').skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / 100.0
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn wait_for_port(port: u16) {
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
