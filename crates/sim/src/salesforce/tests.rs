//! The simulated org, asked as a client asks it, but without a network between.

mod collections;
mod composite;
mod conditions;
mod effects;
mod keys;
mod logins;
mod metadata;
mod people;
mod queries;
mod records;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::faults::{Faults, RowFaults};

/// An org whose sessions are open from the start.
struct Desk {
    crm: SalesforceCrm,
    clock: Clock,
    token: String,
    faults: Arc<Faults>,
}

/// An answer, its body read.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// `CODE` of the first reason.
    fn code(&self) -> &str {
        self.body[0]["errorCode"].as_str().unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.body[0]["message"].as_str().unwrap_or_default()
    }

    fn id(&self) -> String {
        self.body["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no id in {}", self.body))
            .to_owned()
    }
}

const USERS: [&str; 4] = ["admin", "toma.birkeland", "ines.calloway", "rae.quillon"];

impl Desk {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut SalesforceOptions)) -> Self {
        let mut options = SalesforceOptions::demo(|| [9; 16]);
        options.tokens = USERS
            .iter()
            .map(|user| IssuedToken {
                token: (*user).to_owned(),
                username: format!("{user}@acme.example"),
                scopes: vec!["api".to_owned()],
            })
            .collect();
        change(&mut options);
        let (clock, token) = (options.common.clock.clone(), options.access_token.clone());
        Self {
            crm: SalesforceCrm(Org::new(options).unwrap()),
            clock,
            token,
            faults: Arc::default(),
        }
    }

    /// The same org, asked by another user.
    fn user(mut self, user: &str) -> Self {
        self.token = user.to_owned();
        self
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
        let mut all = HeaderMap::new();
        if !self.token.is_empty() {
            let value = HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap();
            all.insert("authorization", value);
        }
        for (name, value) in headers {
            all.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let path = if path.starts_with("/services") || path.starts_with("/id/") {
            path.to_owned()
        } else {
            format!("/services/data/v66.0{path}")
        };
        let call = Call {
            method: method.parse::<Method>().unwrap(),
            uri: path.parse::<Uri>().unwrap(),
            headers: all,
            body: Bytes::copy_from_slice(body),
            base_url: "https://org.example:8443".to_owned(),
            at: self.clock.now(),
            rows: RowFaults::of(&self.faults, &method.parse().unwrap(), "/"),
        };
        let answer = self.crm.answer(&call);
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body,
        }
    }

    fn get(&self, path: &str) -> Got {
        self.send("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &Value) -> Got {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    fn patch(&self, path: &str, body: &Value) -> Got {
        self.send(
            "PATCH",
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    fn delete(&self, path: &str) -> Got {
        self.send("DELETE", path, &[], b"")
    }

    fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Got {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let quiet = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", ""),
        ];
        self.send("POST", path, &quiet, body.as_bytes())
    }

    fn soql(&self, text: &str) -> Got {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        self.get(&format!("/query?q={query}"))
    }

    /// One column of what a query finds.
    fn column(&self, text: &str, name: &str) -> Vec<Value> {
        let got = self.soql(text);
        let records = got.body["records"]
            .as_array()
            .unwrap_or_else(|| panic!("{text}: {}", got.body));
        records.iter().map(|record| record[name].clone()).collect()
    }

    /// The identifier of the first record that a condition finds.
    fn id_where(&self, object: &str, condition: &str) -> String {
        let found = self.column(
            &format!("SELECT Id FROM {object} WHERE {condition} LIMIT 1"),
            "Id",
        );
        found[0].as_str().unwrap().to_owned()
    }

    /// Puts faults in force that hit single rows.
    fn row_faults(&self, faults: &Value) {
        self.faults
            .set(serde_json::from_value(faults.clone()).unwrap());
    }

    fn tick(&self) {
        self.clock.advance(Duration::from_secs(1));
    }
}
