//! The environment by its interface: requests in, answers out.

mod batch;
mod conditions;
mod effects;
mod login;
mod metadata;
mod queries;
mod records;
mod relations;
mod rights;
mod robustness;
mod service;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{DynamicsOptions, Simulator};
use crate::crm::{Call, Crm};

const BASE: &str = "http://127.0.0.1:8712";
const ADMIN: &str = "imke.vossen@acme.example";
const SALES: &str = "tomas.ferreira@acme.example";

/// A caller with a token.
struct Client {
    simulator: Simulator,
    token: String,
}

/// An answer, read.
#[derive(Debug)]
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    body: Value,
}

impl Seen {
    #[track_caller]
    fn ok(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    #[track_caller]
    fn refused(self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.body["error"]["code"], code, "{}", self.text);
        self.body["error"]["message"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The identifier at the end of `OData-EntityId`.
    fn id(&self) -> Uuid {
        let address = self.header("odata-entityid");
        let id = address.rsplit_once('(').unwrap().1.trim_end_matches(')');
        Uuid::parse_str(id).unwrap()
    }

    fn values(&self) -> &Vec<Value> {
        self.body["value"].as_array().unwrap()
    }

    fn names(&self, column: &str) -> Vec<&str> {
        self.values()
            .iter()
            .map(|row| row[column].as_str().unwrap())
            .collect()
    }
}

/// The environment, called by its integration application.
fn integration() -> Client {
    let simulator = Simulator::new(DynamicsOptions::default()).unwrap();
    let id = simulator.options().applications[0].client_id;
    let token = simulator.application_token(id, BASE).unwrap();
    Client { simulator, token }
}

impl Client {
    /// The same environment, called by someone else.
    fn person(&self, user: &str) -> Self {
        Self {
            simulator: self.simulator.clone(),
            token: self.simulator.user_token(user, BASE).unwrap(),
        }
    }

    /// The same environment, called by the application that may do little.
    fn web_forms(&self) -> Self {
        let id = self.simulator.options().applications[1].client_id;
        Self {
            simulator: self.simulator.clone(),
            token: self.simulator.application_token(id, BASE).unwrap(),
        }
    }

    fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Seen {
        let path = if path.starts_with("/api/") || path.starts_with("/XRM") {
            path.to_owned()
        } else {
            format!("/api/data/v9.2/{path}")
        };
        let mut map = HeaderMap::new();
        let authorization = format!("Bearer {}", self.token);
        map.insert("authorization", authorization.parse().unwrap());
        if !body.is_empty() {
            map.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
            if name == "authorization" || name == "content-type" {
                map.insert(name, value.parse().unwrap());
            } else {
                map.append(name, value.parse().unwrap());
            }
        }
        let environment = &self.simulator.environment;
        let call = Call {
            method,
            uri: path
                .replace(' ', "%20")
                .replace('"', "%22")
                .parse()
                .unwrap(),
            headers: map,
            body: Bytes::from(body.to_owned()),
            base_url: BASE.to_owned(),
            at: environment.options.common.clock.now(),
            rows: None,
        };
        let answer = environment.answer(&call);
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        Seen {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    fn get(&self, path: &str) -> Seen {
        self.send(Method::GET, path, &[], "")
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Seen {
        self.send(Method::GET, path, headers, "")
    }

    fn post(&self, path: &str, body: &Value) -> Seen {
        self.send(Method::POST, path, &[], &body.to_string())
    }

    fn patch(&self, path: &str, body: &Value) -> Seen {
        self.send(Method::PATCH, path, &[], &body.to_string())
    }

    fn delete(&self, path: &str) -> Seen {
        self.send(Method::DELETE, path, &[], "")
    }

    /// Makes a record and gives its identifier.
    #[track_caller]
    fn make(&self, set: &str, body: &Value) -> Uuid {
        self.post(set, body).ok(204).id()
    }

    fn stored(&self, object: &str) -> Vec<Value> {
        self.simulator.environment.records(object).unwrap()
    }
}

fn account(name: &str) -> Value {
    json!({"name": name})
}
