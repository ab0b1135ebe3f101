//! The suite that every connector runs against its CRM's simulator: the MUSTs of
//! [`Connector`](crate::Connector), and what the gate above rests on.
//!
//! A connector implements [`Subject`] in its tests and writes
//! `crmgate_connector::conformance_tests!(fresh)`, where `fresh` is an async function that gives a
//! subject over a simulator of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a conformance suite fails the test that runs it"
)]

mod answers;
mod failures;
mod together;
mod views;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use crmgate_domain::{Ambient, FieldSet, Kind, PayloadHash, Reads};
use crmgate_outbound::{Client, Settings};
use crmgate_store::Permit;
use serde::Deserialize;

use crate::connector::Shared;
use crate::{
    Body, Credential, Failure, NativeChange, NativeRequest, Needs, ParseFailure, RequestHead,
    Resolved, Written,
};

pub use answers::{answers_stay_at_the_gate, doors_are_shut, refusals_are_the_crms_own};
pub use failures::{
    an_expired_session_is_renewed, lost_answers_are_found_out, refusals_and_repeats_are_told_apart,
    secrets_stay_inside,
};
pub use together::{
    groups_are_atomic, lost_calls_lose_no_write, permits_are_bound_one_by_one, rows_fail_alone,
    seeds_give_keys, stale_pins_fail_alone, writes_go_together,
};
pub use views::{
    canonical_values_come_back, malformed_writes_reach_nothing, spellings_give_one_input,
    unread_fields_are_unknown,
};
pub use writes::{
    absent_records_are_refused, deletes_are_pinned, judged_is_written, permits_are_bound,
    upserts_are_resolved,
};

/// A connector over a simulator of its own, and requests in its CRM's protocol.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The connector; its connection has a credential of its own.
    fn connector(&self) -> Shared;

    /// The same connection without one.
    fn without_credential(&self) -> Shared;

    /// A caller who may do everything.
    fn caller(&self) -> Credential;

    /// Where the simulator listens: `http://127.0.0.1:PORT`.
    fn crm_url(&self) -> String;

    /// Everything that must never show: tokens, passwords, keys.
    fn secrets(&self) -> Vec<String>;

    /// Time and randomness.
    fn ambient(&self) -> Arc<dyn Ambient>;

    /// A permit for this payload, minted from a recorded decision.
    async fn permit(&self, payload: PayloadHash) -> Permit;

    /// A create of a record of the canonical object [`Self::object`] whose last name is `name`.
    fn create(&self, name: &str) -> NativeRequest;

    /// Sets the record's phone number, and never creates.
    fn update(&self, id: &str, phone: &str) -> NativeRequest;

    /// Creates or updates the record with this unique key: its last name.
    fn upsert(&self, key: &str, name: &str) -> NativeRequest;

    /// Deletes the record.
    fn delete(&self, id: &str) -> NativeRequest;

    /// Reads the record.
    fn read(&self, id: &str) -> NativeRequest;

    /// Reads whose answers hold links.
    fn linked(&self) -> Vec<NativeRequest>;

    /// The canonical object of those records; it has `last_name` and `phone`.
    fn object(&self) -> &'static str {
        "contact"
    }

    /// An id that no record has.
    fn absent_id(&self) -> String;

    /// Groups of requests that are the same write.
    fn spellings(&self) -> Vec<Vec<NativeRequest>>;

    /// A create that sets every kind of field, for the way to canonical values and back.
    fn rich(&self) -> NativeRequest;

    /// Writes of understood routes that must be refused before anything is sent.
    fn malformed(&self) -> Vec<NativeRequest>;

    /// Requests that may write and are not understood.
    fn doors(&self) -> Vec<RequestHead>;
}

/// Policies that read every field.
pub struct Everything;

impl Needs for Everything {
    fn reads(&self, _: Kind, _: &str, _: &str) -> Reads {
        Reads {
            record: FieldSet::All,
            before: FieldSet::All,
            ..Reads::default()
        }
    }
}

/// Policies that read nothing.
pub struct Nothing;

impl Needs for Nothing {
    fn reads(&self, _: Kind, _: &str, _: &str) -> Reads {
        Reads::default()
    }
}

/// One call that reached the simulator.
#[derive(Debug, Deserialize)]
struct Call {
    method: String,
    path: String,
}

async fn control(subject: &dyn Subject, method: &str, path: &str, body: String) -> Bytes {
    let client = Client::new(Settings {
        system_roots: false,
        ..Settings::default()
    })
    .unwrap();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{}/_sim/{path}", subject.crm_url()))
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .unwrap();
    let answer = client.execute_bytes(request, 1 << 26).await.unwrap();
    let text = String::from_utf8_lossy(answer.body());
    assert!(
        answer.status().is_success(),
        "the simulator's control: {text}"
    );
    answer.into_body()
}

/// How many calls that may write reached the CRM, sign-in left out.
async fn arrived(subject: &dyn Subject) -> usize {
    let body = control(subject, "GET", "requests", String::new()).await;
    let calls: Vec<Call> = serde_json::from_slice(&body).unwrap();
    let writes = |call: &&Call| call.method != "GET" && !call.path.contains("token");
    calls.iter().filter(writes).count()
}

/// Lets the next call that may write meet a fault.
async fn fault(subject: &dyn Subject, method: &str, fault: &str) {
    let body = format!(r#"{{"faults":[{{"method":"{method}","times":1,{fault}}}]}}"#);
    control(subject, "PUT", "faults", body).await;
}

async fn resolve(
    subject: &dyn Subject,
    request: NativeRequest,
    needs: &dyn Needs,
) -> Result<Resolved, ParseFailure> {
    resolve_by(&subject.connector(), subject, request, needs).await
}

async fn resolve_by(
    connector: &Shared,
    subject: &dyn Subject,
    request: NativeRequest,
    needs: &dyn Needs,
) -> Result<Resolved, ParseFailure> {
    let draft = connector.parse(request).await?;
    connector.resolve(draft, needs, &subject.caller()).await
}

async fn send(subject: &dyn Subject, change: &Arc<dyn NativeChange>) -> Result<Written, Failure> {
    let outgoing = change.outgoing();
    assert_eq!(
        outgoing.hash(),
        change.outgoing().hash(),
        "`outgoing` gives equal results"
    );
    let permit = subject.permit(outgoing.hash()).await;
    subject
        .connector()
        .write(permit, outgoing, &subject.caller())
        .await
}

/// Creates a record; gives its id.
async fn made(subject: &dyn Subject, name: &str) -> String {
    let resolved = resolve(subject, subject.create(name), &Nothing)
        .await
        .unwrap();
    let written = send(subject, &resolved.change).await.unwrap();
    let id = written.record_id.clone();
    assert!(resolved.change.reply(written.response).status.is_success());
    id.unwrap_or_else(|| panic!("a create tells the new record's id"))
}

async fn text_of(body: Body) -> String {
    String::from_utf8_lossy(&body.collect(1 << 26).await.unwrap()).into_owned()
}

/// Makes one test of each part of the suite. `$fresh` is an async function that gives a subject.
#[macro_export]
macro_rules! conformance_tests {
    ($fresh:path) => {
        $crate::conformance_tests! {
            $fresh:
            absent_records_are_refused
            an_expired_session_is_renewed
            answers_stay_at_the_gate
            canonical_values_come_back
            deletes_are_pinned
            doors_are_shut
            judged_is_written
            lost_answers_are_found_out
            malformed_writes_reach_nothing
            permits_are_bound
            refusals_and_repeats_are_told_apart
            refusals_are_the_crms_own
            secrets_stay_inside
            spellings_give_one_input
            unread_fields_are_unknown
            upserts_are_resolved
        }
    };
    ($fresh:path: $($part:ident)+) => {
        $(
            #[tokio::test]
            async fn $part() {
                $crate::conformance::$part(&$fresh().await).await;
            }
        )+
    };
}
