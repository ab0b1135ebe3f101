//! An OPA server of our own, over a socket in a folder of our own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crmgate_domain::{Document, Object};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// A running OPA; ended when dropped.
pub(super) struct Server {
    child: Child,
    runtime: tokio::runtime::Handle,
    connection: SendRequest<Full<Bytes>>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Starts it with policies: name and text.
    pub(super) fn start(opa: &Path, runtime: &Runtime, policies: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (socket, told) = (dir.path().join("opa.sock"), dir.path().join("opa.log"));
        for (name, text) in policies {
            let file = dir.path().join("policies").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let mut child = Command::new(opa)
            .args([
                "run",
                "--server",
                "--skip-version-check",
                "--log-level",
                "error",
            ])
            .arg("--addr")
            .arg(format!("unix://{}", socket.display()))
            .arg("policies")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&told).unwrap())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let stream = loop {
            if let Ok(stream) = runtime.block_on(UnixStream::connect(&socket)) {
                break stream;
            }
            let ended = child.try_wait().unwrap();
            let told = || std::fs::read_to_string(&told).unwrap_or_default();
            assert!(ended.is_none(), "OPA ended: {ended:?}\n{}", told());
            assert!(started.elapsed() < Duration::from_secs(60), "no socket");
            std::thread::sleep(Duration::from_millis(20));
        };
        let connection = runtime.block_on(async {
            let (connection, driver) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(driver);
            connection
        });
        Self {
            child,
            runtime: runtime.handle().clone(),
            connection,
            _dir: dir,
        }
    }

    fn call(&mut self, method: Method, path: &str, body: &str) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "opa")
            .header("content-type", "application/json")
            .body(Full::from(body.to_owned()))
            .unwrap();
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            connection.ready().await.unwrap();
            let response = connection.send_request(request).await.unwrap();
            let status = response.status();
            (status, response.collect().await.unwrap().to_bytes())
        })
    }

    pub(super) fn put_data(&mut self, data: &Object) {
        for (name, value) in data.iter() {
            let path = format!("/v1/data/{name}");
            let (status, body) = self.call(Method::PUT, &path, &value.to_json());
            assert_eq!(status, 204, "{name}: {}", String::from_utf8_lossy(&body));
        }
    }

    /// What the reserved rules of a package say; `input` is the body of the question.
    pub(super) fn said(&mut self, package: &str, input: &str) -> Result<Object, String> {
        let path = format!("/v1/data/crmgate_said/said/{package}?strict-builtin-errors=true");
        let (status, body) = self.call(Method::POST, &path, input);
        let text = || String::from_utf8_lossy(&body).into_owned();
        let answer = Document::parse(&body).map_err(|error| error.to_string())?;
        let result = answer.as_object().and_then(|answer| answer.get("result"));
        match result.and_then(Document::as_object) {
            Some(said) if status == 200 => Ok(said.clone()),
            _ => Err(text()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
