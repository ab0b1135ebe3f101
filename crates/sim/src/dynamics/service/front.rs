//! The environment as the front sees it.

use std::any::Any;
use std::sync::PoisonError;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::super::batch;
use super::super::error::ApiError;
use super::super::login;
use super::super::query::bind::Here;
use super::super::query::{Options, Prefer};
use super::super::read::Reader;
use super::super::security::Caller;
use super::super::seed;
use super::{Environment, bearer, first_limits};
use crate::crm::{Answer, Call, Crm, Refusal};
use crate::faults::RowFault;

impl Crm for Environment {
    fn answer(&self, call: &Call) -> Answer {
        if call.path().starts_with("/api/data/") {
            if batch::is(call) {
                return batch::answer(self, call);
            }
            let (done, left) = self.web_api(call);
            let answer = match done {
                Ok(reply) => reply.answer(),
                Err(error) => error.answer(),
            };
            return self.dress(call, answer, left);
        }
        if let Some(answer) = login::answer(&self.options, &self.tokens, call, self.fresh_id()) {
            return answer;
        }
        if call.path().starts_with("/XRMServices/") {
            let known = self.look(|store| self.caller(call, store).map(drop));
            let error = match known {
                Ok(()) => ApiError::not_simulated("The SOAP endpoint"),
                Err(error) => error,
            };
            return self.dress(call, error.answer(), None);
        }
        let mut answer = Response::new(Bytes::from_static(
            b"<!DOCTYPE html><html><head><title>Not Found</title></head><body>404 - File or directory not found.</body></html>",
        ));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        answer
    }

    fn refuse(&self, call: &Call, refusal: Refusal) -> Answer {
        let error = match refusal {
            Refusal::Status {
                status,
                retry_after,
            } => self.struck(RowFault::Status {
                status,
                retry_after,
            }),
            Refusal::LockedRow => self.struck(RowFault::Locked),
            Refusal::TooLarge => ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "0x80040216",
                "The request is too large.",
            ),
            Refusal::UnknownEncoding(encoding) => ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "0x80060888",
                format!("The content encoding '{encoding}' is not supported."),
            ),
            Refusal::BrokenEncoding => {
                ApiError::query("The body is not what its content encoding says.")
            }
        };
        self.dress(call, error.answer(), None)
    }

    fn expire_session(&self, call: &Call) {
        if let Some(token) = bearer(call) {
            self.tokens.revoke(token);
        }
    }

    fn records(&self, object: &str) -> Option<Vec<Value>> {
        let everyone = Caller::new(seed::administrator(&self.seed)?);
        let prefer = Prefer::default();
        self.look(|store| {
            let schema = store.schema();
            let table = schema.table(object).or_else(|| schema.set(object))?;
            let reader = Reader {
                store,
                caller: &everyone,
                prefer: &prefer,
                here: Here {
                    user: everyone.user.id,
                    unit: everyone.user.unit,
                    now: self.options.common.clock.now(),
                },
                service: "",
                page_size: usize::MAX,
                bare: false,
            };
            let options = Options::default();
            store
                .rows(&table.name)
                .map(|row| reader.record(table, row, &options).map(Value::Object).ok())
                .collect()
        })
    }

    fn effects(&self, after: u64) -> Vec<Value> {
        self.look(|store| store.effects().after(after))
    }

    fn objects(&self) -> Vec<String> {
        self.look(|store| {
            store
                .schema()
                .tables()
                .map(|table| table.set.clone())
                .collect()
        })
    }

    /// An `ETag` is the record's version, and goes back in `If-Match` as it is.
    fn marks_compressed(&self) -> bool {
        false
    }

    fn arrive(&self, call: &Call) -> Option<Box<dyn Any + Send>> {
        self.sign_in(call).map(|who| self.protection.arrive(who))
    }

    fn limits(&self) -> Option<Value> {
        serde_json::to_value(self.protection.limits()).ok()
    }

    fn set_limits(&self, body: Option<&[u8]>) -> Result<(), String> {
        let limits = match body {
            Some(body) => serde_json::from_slice(body)
                .map_err(|error| format!("limits can't be read: {error}"))?,
            None => first_limits(&self.options),
        };
        self.protection.set(limits)
    }

    fn reset(&self) {
        // What the environment began with can work.
        self.protection.set(first_limits(&self.options)).ok();
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = self.seed.clone();
    }
}
