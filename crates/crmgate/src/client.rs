//! The control API's client, which the commands are.

use std::path::Path;
use std::time::Duration;

use crmgate_outbound::{Body, Client, Settings};
use http::{Method, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::cli::Remote;
use crate::exit::{Exit, Failure};
use crate::output::complain;

/// The longest answer taken.
const MAX_ANSWER: usize = 64 << 20;

/// How long lines may take to be sent and taken.
const UPLOAD: Duration = Duration::from_secs(4 * 3600);

/// Where the demo leaves what a client needs.
const DEMO: &str = ".crmgate-demo/demo.json";
/// How soon crmgate is asked again where it could not be reached.
const AGAIN: Duration = Duration::from_secs(1);

/// The control API of a running crmgate.
pub(crate) struct Api {
    client: Client,
    url: Url,
    token: String,
}

/// The parts of `demo.json` that a client of the control API needs.
#[derive(Deserialize)]
struct DemoFile {
    control_url: Url,
    tokens: DemoTokens,
}

#[derive(Deserialize)]
struct DemoTokens {
    admin: String,
}

impl Api {
    /// The API that the command line, the environment or the demo names.
    pub(crate) fn open(remote: &Remote) -> Result<Self, Failure> {
        let (url, token) = match (&remote.url, &remote.token) {
            (Some(url), Some(token)) => (url.clone(), token.clone()),
            (Some(_), None) => {
                return Err(Failure::new(
                    Exit::Usage,
                    "there is no token: give `--token` or `CRMGATE_TOKEN`",
                ));
            }
            (None, given) => {
                let demo = demo(Path::new(DEMO))?;
                let token = given.clone().unwrap_or(demo.tokens.admin);
                (demo.control_url, token)
            }
        };
        let settings = Settings {
            extra_ca_files: remote.ca_file.iter().cloned().collect(),
            ..Settings::default()
        };
        let client =
            Client::new(settings).map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        Ok(Self { client, url, token })
    }

    /// The API of the demo whose facts these are.
    pub(crate) fn of_demo(facts: &Value) -> Result<Self, Failure> {
        let unusable = |error: String| Failure::new(Exit::System, error);
        let demo = DemoFile::deserialize(facts).map_err(|error| unusable(error.to_string()))?;
        let client =
            Client::new(Settings::default()).map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            client,
            url: demo.control_url,
            token: demo.tokens.admin,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Calls the API and gives its answer's body; `null` for an answer without one.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let url = self
            .url
            .join(path)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{path}`: {error}")))?;
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = request
            .body(bytes)
            .map_err(|error| Failure::new(Exit::Usage, format!("`--token` or path: {error}")))?;
        let answer = crate::output::patiently("waiting for crmgate", async {
            self.client.execute(request, MAX_ANSWER).await
        });
        let answer = answer.await.map_err(|error| self.unreachable(&error))?;
        read(answer.status(), answer.body())
    }

    /// Calls the API and gives its answer's body as it comes.
    pub(crate) async fn stream(&self, path: &str) -> Result<Body, Failure> {
        let url = self
            .url
            .join(path)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{path}`: {error}")))?;
        let request = Request::get(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Body::empty())
            .map_err(|error| Failure::new(Exit::Usage, format!("`--token` or path: {error}")))?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let (head, body) = answer.into_parts();
        let body = crmgate_outbound::read_to_end(body, MAX_ANSWER).await;
        let body = body.unwrap_or_default();
        Err(read(head.status, &body).err().unwrap_or_else(|| {
            Failure::new(
                Exit::Unreachable,
                format!("crmgate answered {}", head.status),
            )
        }))
    }

    /// Sends lines as they come, and gives the answer, whatever its status.
    pub(crate) async fn send_lines(
        &self,
        path: &str,
        key: &str,
        body: Body,
    ) -> Result<(StatusCode, Value), Failure> {
        let url = self
            .url
            .join(path)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{path}`: {error}")))?;
        let request = Request::post(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header("idempotency-key", key)
            .body(body)
            .map_err(|error| Failure::new(Exit::Usage, format!("`--key` or `--token`: {error}")))?;
        let again = |error: Failure| {
            let hint = format!("; send it again with `--key {key}`: it is taken once");
            Failure::new(error.exit, error.message + &hint)
        };
        let answer = self.client.send_within(request, UPLOAD).await;
        let answer = answer.map_err(|error| again(self.unreachable(&error)))?;
        let (head, body) = answer.into_parts();
        let body = crmgate_outbound::read_to_end(body, MAX_ANSWER).await;
        let body = body.map_err(|error| {
            again(Failure::new(
                Exit::Unreachable,
                format!("the answer: {error}"),
            ))
        })?;
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok((head.status, answer)),
            Err(_) => read(head.status, &body).map(|answer| (head.status, answer)),
        }
    }

    fn unreachable(&self, error: &impl std::fmt::Display) -> Failure {
        Failure::new(
            Exit::Unreachable,
            format!(
                "{error}; is crmgate running, and is `{}` its control API?",
                self.url
            ),
        )
    }
}

/// What asking gives, once crmgate can be asked: it may be restarting.
///
/// # Errors
/// Any other than that it cannot be reached.
pub(crate) async fn sometime<T>(
    mut ask: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut told = false;
    loop {
        match ask().await {
            Err(failure) if failure.exit == Exit::Unreachable => {
                if !told {
                    complain(format!("{failure}; asking again every second"));
                    told = true;
                }
            }
            answered => return answered,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn demo(file: &Path) -> Result<DemoFile, Failure> {
    let text = std::fs::read_to_string(file).map_err(|_| {
        Failure::new(
            Exit::Usage,
            format!(
                "which crmgate? give `--url` and `--token`, or `CRMGATE_URL` and `CRMGATE_TOKEN`; \
                 there is no demo either (`{}`)",
                file.display()
            ),
        )
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Exit::Usage, format!("`{}`: {error}", file.display())))
}

/// The API's error shape.
#[derive(Deserialize)]
struct ApiError {
    code: String,
    message: String,
}

fn read(status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
    if status.is_success() {
        if body.is_empty() {
            return Ok(Value::Null);
        }
        return serde_json::from_slice(body).map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("the answer is no JSON ({error}): is the address that of the control API?"),
            )
        });
    }
    let exit = if status.is_server_error() {
        Exit::Unreachable
    } else {
        Exit::Refused
    };
    Err(match serde_json::from_slice::<ApiError>(body) {
        Ok(error) => Failure::new(
            exit,
            format!("{} ({}, {status})", error.message, error.code),
        ),
        Err(_) => Failure::new(exit, format!("crmgate answered {status}")),
    })
}
