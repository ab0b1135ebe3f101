//! The contract.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{Actor, ConnectionName, Object, Operation};
use crmgate_store::{Permit, ReadBack};
use http::HeaderMap;
use secrecy::SecretString;

use crate::{
    Allowance, Capabilities, Class, Delivered, Draft, Failure, Fields, Form, Locator, Malformed,
    Matched, NativeChange, NativeRequest, NativeResponse, Needs, Outgoing, Outline, Parcel,
    QueryPage, Refusal, RequestHead, Resolved, Routes, StoredRecord,
};

/// Whose credential goes upstream.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The caller's own token (pass-through).
    Caller(SecretString),
    /// The connection's own.
    Service,
    /// The connection's own, on behalf of this user of the CRM, by the CRM's id. A connector
    /// without the capability MUST send nothing under it.
    OnBehalfOf(String),
}

/// Who a caller's token belongs to.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The actor; roles and groups as far as the connection's configuration says to look.
    pub actor: Actor,
    /// The CRM's org id, normalized.
    pub org: Option<String>,
}

/// What a successful write gave.
#[derive(Debug)]
pub struct Written {
    /// The CRM's answer to what was sent; not yet through [`NativeChange::reply`].
    pub response: NativeResponse,
    /// The record's normalized id, where the answer tells.
    pub record_id: Option<String>,
}

/// What reading back found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBackResult {
    /// It happened; the record's id.
    Happened(Option<String>),
    /// It did not happen.
    DidNotHappen,
    /// It cannot be told: why, for whoever must look, with the records that may be it.
    Uncertain(String),
}

/// One connection to one CRM org.
///
/// MUSTs, each held by the conformance suite:
///
/// 1. `classify` MUST be total and MUST give [`Class::Unknown`] for whatever is not in the route
///    table, whatever the spelling, override or suffix.
/// 2. `parse` MUST refuse what two readers could read differently: duplicate keys after the CRM's
///    own folding, content types it does not parse, forms it does not know.
/// 3. Two spellings of one write MUST give equal views; native to canonical and back MUST be the
///    identity on mapped values.
/// 4. `write` MUST admit the permit against `outgoing.hash()` before a byte is sent, MUST NOT send
///    twice, and MUST tell the failures apart as [`Failure`] says.
/// 5. Nothing a connector logs, returns in an error, or formats may hold a token, password or key.
/// 6. Answers that leave through a connector MUST NOT contain the CRM's own address where a client
///    would follow it.
/// 7. Refusals MUST be in the CRM's own shape, with a status no real client retries, loops on or
///    swallows; inabilities in a retryable one.
#[async_trait]
pub trait Connector: Send + Sync {
    /// `salesforce`, `dynamics`, ….
    fn system(&self) -> &'static str;

    /// The connection's name.
    fn name(&self) -> &ConnectionName;

    /// What this CRM can do.
    fn capabilities(&self) -> Capabilities;

    /// The understood routes, as data.
    fn routes(&self) -> &Routes;

    /// What the CRM's newest answer to a call of this connection said about the calls that are
    /// left; `None` where it says nothing, or has not answered yet.
    fn allowance(&self) -> Option<Allowance> {
        None
    }

    /// Whether the connection has a credential of its own.
    fn has_service_credential(&self) -> bool;

    // --- the native protocol ---

    /// Which door a request knocks at. Resolves method overrides and suffixes first.
    fn classify(&self, head: &RequestHead) -> Class;

    /// The caller's credential, wherever this CRM's clients put it.
    fn caller_token(&self, head: &RequestHead) -> Option<SecretString>;

    /// Who a token belongs to, by asking the CRM. Not cached here.
    ///
    /// # Errors
    /// `Refused` when the CRM says the token is not valid.
    async fn identify(&self, token: &SecretString) -> Result<Identity, Failure>;

    /// The CRM's id of the user of that name who may sign in: for [`Credential::OnBehalfOf`]. `None`
    /// when there is none, or more than one.
    ///
    /// # Errors
    /// As [`Failure`].
    async fn user_named(&self, name: &str) -> Result<Option<String>, Failure> {
        let _ = name;
        Ok(None)
    }

    /// Forwards a sign-in request to the CRM's sign-in host and rewrites the answer so that the
    /// client stays at the gate. Remembers the scopes a token answer shows, for [`Self::identify`].
    ///
    /// # Errors
    /// When the sign-in host cannot be reached. The host's own refusals are answers, not errors.
    async fn sign_in(&self, request: NativeRequest) -> Result<NativeResponse, Failure>;

    /// The crmgate token inside a sign-in request at a brokered connection (the OAuth client
    /// secret or the password), if it has one.
    fn brokered_sign_in(&self, request: &NativeRequest) -> Option<SecretString>;

    /// The sign-in answer of a brokered connection: `token` becomes the client's access token.
    fn brokered_answer(&self, request: &NativeRequest, token: &SecretString) -> NativeResponse;

    /// Parses a write of an understood route. The body is whole and decoded.
    ///
    /// # Errors
    /// What is wrong with it; nothing was sent.
    async fn parse(&self, request: NativeRequest) -> Result<Draft, ParseFailure>;

    /// What a write of an understood route is about, as far as its address and headers tell:
    /// nothing is asked. What only metadata can tell is left to [`Self::parse`].
    ///
    /// # Errors
    /// What is wrong with it.
    fn outline(&self, head: &RequestHead, matched: &Matched) -> Result<Outline, Malformed> {
        let _ = head;
        Outline::of(matched, |id| self.normal_id(id))
    }

    /// A record id, normalized: nothing is asked.
    ///
    /// # Errors
    /// When it is none.
    fn normal_id(&self, text: &str) -> Result<String, Malformed> {
        Ok(text.to_owned())
    }

    /// The CRM's own name of an object that is named by it in any spelling, or as addresses name
    /// it; `None` when the CRM has none of that name. Remembered like all metadata.
    ///
    /// # Errors
    /// When the CRM cannot be asked now.
    async fn object_named(&self, name: &str) -> Result<Option<String>, Failure> {
        Ok(Some(name.to_owned()))
    }

    /// Makes a draft of an operation in canonical form (validate calls, later the queue): `kind`,
    /// `object`, `id` and a change under canonical (`email`) or `native.X` names.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn draft(
        &self,
        operation: &Operation,
        change: Option<Object>,
    ) -> Result<Draft, ParseFailure>;

    /// Looks up what the draft is about and what the policies need: stored record, version,
    /// related records, metadata.
    ///
    /// A field that cannot be read MUST be in `views.unknown`; a record that does not exist is a
    /// `Refused` failure with the CRM's own not-found answer (an upsert's becomes a create).
    ///
    /// # Errors
    /// As [`Failure`].
    async fn resolve(
        &self,
        draft: Draft,
        needs: &dyn Needs,
        caller: &Credential,
    ) -> Result<Resolved, ParseFailure>;

    /// Sends a judged write, once.
    ///
    /// # Errors
    /// As [`Failure`]; `VersionMismatch` only when `outgoing.pinned_by_gate`.
    async fn write(
        &self,
        permit: Permit,
        outgoing: Outgoing,
        credential: &Credential,
    ) -> Result<Written, Failure>;

    /// The batch form by which a judged change could go with others; `None` when it must go alone.
    /// `atomic`: those of one call must happen together or not at all; then `None` means that this
    /// CRM cannot promise it for this change.
    ///
    /// MUST be given only for changes that stay as safe as alone: a create with a key of its own,
    /// an update or delete that is pinned within the form.
    fn form(&self, change: &dyn NativeChange, atomic: bool) -> Option<Form> {
        let _ = (change, atomic);
        None
    }

    /// Why a change for which [`Self::form`] gives no atomic form cannot be part of what happens
    /// together or not at all; for whoever asked for it.
    fn cannot_be_atomic(&self, change: &dyn NativeChange) -> Malformed {
        let _ = change;
        let why =
            "this CRM cannot promise that this happens together with other writes or not at all";
        Malformed::new("not_atomic", why)
    }

    /// Sends judged writes of one form together, each once.
    ///
    /// MUST admit every permit before a byte is sent; one that does not fit fails its own write
    /// (all of them, when `atomic`), and the others go. MUST tell for each write what became of
    /// it: refusals, locks and mismatches of single rows as when they go alone; when no answer
    /// came, every write that was sent is `Unknown`. Where the CRM rolls all back because of one
    /// row, that row has its own failure and the others are [`Failure::rolled_back`]; where that row
    /// was done before, or may have been, they are `Unknown`.
    async fn write_together(
        &self,
        parcels: Vec<Parcel>,
        atomic: bool,
        credential: &Credential,
    ) -> Delivered {
        if atomic {
            return Delivered::all(parcels.len(), 0, || {
                Failure::not_sent("this CRM cannot write these together")
            });
        }
        let mut results = Vec::with_capacity(parcels.len());
        let mut calls = 0;
        for parcel in parcels {
            calls += 1;
            results.push(self.write(parcel.permit, parcel.outgoing, credential).await);
        }
        Delivered { results, calls }
    }

    /// Passes a request as it came: reads and open doors without a permit; with one (of basis
    /// `opaque`, `observed` or `failed_open`) a write that is not understood, or not changed by
    /// the gate. A permit MUST be admitted against [`RequestHead::passing_hash`] before a byte is
    /// sent; a request whose class may write MUST NOT pass without one. At an open door
    /// `credential` is not used. Answers flow, links rewritten.
    ///
    /// # Errors
    /// When no answer came. The CRM's own refusals are answers, not errors.
    async fn pass(
        &self,
        request: NativeRequest,
        credential: &Credential,
        permit: Option<Permit>,
    ) -> Result<NativeResponse, Failure>;

    /// Puts an answer of the gate into the CRM's own shape.
    fn render(&self, head: &RequestHead, refusal: &Refusal) -> NativeResponse;

    // --- records, with the connection's own credential ---

    /// Reads one record; `None` when it does not exist.
    ///
    /// # Errors
    /// As [`Failure`].
    async fn read(
        &self,
        native_object: &str,
        locator: &Locator,
        fields: &Fields,
    ) -> Result<Option<StoredRecord>, Failure>;

    /// Runs a query in the CRM's own language, or continues one.
    ///
    /// # Errors
    /// As [`Failure`].
    async fn query(&self, query: &str, cursor: Option<&str>) -> Result<QueryPage, Failure>;

    /// Canonical and native names of the objects this connector maps.
    fn mapped_objects(&self) -> Vec<(String, String)>;

    /// Whether a write whose outcome is unknown happened.
    ///
    /// # Errors
    /// As [`Failure`]; then it is asked again later.
    async fn read_back(&self, read_back: &ReadBack) -> Result<ReadBackResult, Failure>;

    /// Signs in and asks who we are: `crmgate check` and readiness.
    ///
    /// # Errors
    /// As [`Failure`].
    async fn probe(&self) -> Result<Identity, Failure>;

    /// Headers of a native request that reach the CRM on a pass-through write or read; everything
    /// else is dropped. Exposed so that a test can walk it.
    fn forwarded_headers(&self, head: &RequestHead) -> HeaderMap;
}

/// Why a request gives no draft or no resolved change.
#[derive(Debug, thiserror::Error)]
pub enum ParseFailure {
    /// The request is wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Looking something up failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// A shared connector.
pub type Shared = Arc<dyn Connector>;
