//! The contract, each part answered by its module.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_connector::mapping::Mapping;
use crmgate_connector::session::Session;
use crmgate_connector::{
    Allowance, Capabilities, Class, Connector, Credential, Delivered, Draft, Failure, Fields, Form,
    Identity, Locator, Malformed, Matched, NativeChange, NativeRequest, NativeResponse, Needs,
    Outgoing, Outline, Parcel, ParseFailure, Pin, QueryPage, ReadBackResult, Refusal, RequestHead,
    Resolved, Routes, StoredRecord, Written,
};
use crmgate_domain::{Ambient, ConnectionName, Object, Operation, PayloadHash};
use crmgate_outbound::Client;
use crmgate_store::{Permit, ReadBack};
use http::HeaderMap;
use secrecy::SecretString;

use crate::allowance::Seen;
use crate::auth::FlowSignIn;
use crate::metadata::Metadata;
use crate::settings::{Introspection, Settings};
use crate::upstream::{SharedUpstream, Upstream};
use crate::{door, headers, login, outline, render, together};

/// Tokens whose scopes are remembered, and for how long: a session can last a day.
const SCOPES_KEPT: u64 = 10_000;
const SCOPES_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Records made by this process that are remembered, and for how long: somewhat longer than it
/// takes until it is known what came of a lost create.
const MADE_KEPT: u64 = 50_000;
const MADE_LIFE: Duration = Duration::from_secs(30 * 60);

/// One connection to one Salesforce org.
pub(crate) struct SalesforceConnector {
    pub(crate) name: ConnectionName,
    pub(crate) upstream: SharedUpstream,
    pub(crate) metadata: Metadata,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) api_version: String,
    pub(crate) key_fields: BTreeMap<String, String>,
    pub(crate) own_fields: Vec<String>,
    pub(crate) currency: Option<String>,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) scopes: moka::future::Cache<PayloadHash, Vec<String>>,
    /// Ids of records that creates of this process made lately: none of them is what a create made
    /// whose answer was lost.
    pub(crate) made: moka::future::Cache<String, ()>,
    /// The org's id, once an answer told it.
    pub(crate) org: OnceLock<String>,
}

impl SalesforceConnector {
    pub(crate) fn new(
        settings: Settings,
        name: ConnectionName,
        http: Client,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        let session = settings.flow.map(|flow| {
            let mut endpoint = settings.login.clone();
            endpoint.set_path("/services/oauth2/token");
            let source = FlowSignIn::new(flow, http.clone(), endpoint, Arc::clone(&ambient));
            Session::new(Arc::new(source), Arc::clone(&ambient)).counted(&name)
        });
        let upstream = Arc::new(Upstream {
            http,
            instance: settings.instance,
            login: settings.login,
            session,
            ambient: Arc::clone(&ambient),
            allowance: Seen::default(),
        });
        let metadata = Metadata::new(
            Arc::clone(&upstream),
            Arc::clone(&ambient),
            &settings.api_version,
        );
        Self {
            name,
            upstream,
            metadata,
            mapping: Arc::new(settings.mapping),
            ambient,
            api_version: settings.api_version,
            key_fields: settings.key_fields,
            own_fields: settings.own_fields,
            currency: settings.currency,
            introspection: settings.introspection,
            scopes: moka::future::Cache::builder()
                .max_capacity(SCOPES_KEPT)
                .time_to_live(SCOPES_LIFE)
                .build(),
            made: moka::future::Cache::builder()
                .max_capacity(MADE_KEPT)
                .time_to_live(MADE_LIFE)
                .build(),
            org: OnceLock::new(),
        }
    }
}

#[async_trait]
impl Connector for SalesforceConnector {
    fn system(&self) -> &'static str {
        "salesforce"
    }

    fn name(&self) -> &ConnectionName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            keyed_create: !self.key_fields.is_empty(),
            pin: Pin::Second,
            impersonation: false,
        }
    }

    fn routes(&self) -> &Routes {
        door::routes()
    }

    fn has_service_credential(&self) -> bool {
        self.upstream.session.is_some()
    }

    fn classify(&self, head: &RequestHead) -> Class {
        door::classify(head)
    }

    fn caller_token(&self, head: &RequestHead) -> Option<SecretString> {
        login::caller_token(head)
    }

    async fn identify(&self, token: &SecretString) -> Result<Identity, Failure> {
        self.who_is(token).await
    }

    async fn sign_in(&self, request: NativeRequest) -> Result<NativeResponse, Failure> {
        self.sign_in_through(request).await
    }

    fn brokered_sign_in(&self, request: &NativeRequest) -> Option<SecretString> {
        login::brokered(request)
    }

    fn brokered_answer(&self, request: &NativeRequest, token: &SecretString) -> NativeResponse {
        self.brokered_token(request, token)
    }

    async fn parse(&self, request: NativeRequest) -> Result<Draft, ParseFailure> {
        self.parse_request(request).await
    }

    fn outline(&self, _: &RequestHead, matched: &Matched) -> Result<Outline, Malformed> {
        outline::outline(matched)
    }

    fn normal_id(&self, text: &str) -> Result<String, Malformed> {
        crate::parse::record_id(text)
    }

    async fn object_named(&self, name: &str) -> Result<Option<String>, Failure> {
        self.object_of_name(name).await
    }

    async fn draft(
        &self,
        operation: &Operation,
        change: Option<Object>,
    ) -> Result<Draft, ParseFailure> {
        self.draft_operation(operation, change).await
    }

    async fn resolve(
        &self,
        draft: Draft,
        needs: &dyn Needs,
        caller: &Credential,
    ) -> Result<Resolved, ParseFailure> {
        self.resolve_draft(draft, needs, caller).await
    }

    async fn write(
        &self,
        permit: Permit,
        outgoing: Outgoing,
        credential: &Credential,
    ) -> Result<Written, Failure> {
        self.send_write(permit, outgoing, credential).await
    }

    fn form(&self, change: &dyn NativeChange, atomic: bool) -> Option<Form> {
        together::form(change, atomic)
    }

    fn cannot_be_atomic(&self, change: &dyn NativeChange) -> Malformed {
        together::cannot_be_atomic(change)
    }

    async fn write_together(
        &self,
        parcels: Vec<Parcel>,
        atomic: bool,
        credential: &Credential,
    ) -> Delivered {
        self.send_together(parcels, atomic, credential).await
    }

    fn allowance(&self) -> Option<Allowance> {
        self.upstream.allowance.told()
    }

    async fn pass(
        &self,
        request: NativeRequest,
        credential: &Credential,
        permit: Option<Permit>,
    ) -> Result<NativeResponse, Failure> {
        self.pass_on(request, credential, permit).await
    }

    fn render(&self, head: &RequestHead, refusal: &Refusal) -> NativeResponse {
        render::render(head, refusal)
    }

    async fn read(
        &self,
        native_object: &str,
        locator: &Locator,
        fields: &Fields,
    ) -> Result<Option<StoredRecord>, Failure> {
        let describe = self
            .metadata
            .describe(native_object, &Credential::Service)
            .await?;
        let values = self.plain_values(&describe);
        let row = self
            .row(&Credential::Service, &values, locator, fields)
            .await?;
        Ok(row.map(|row| row.record))
    }

    async fn query(&self, query: &str, cursor: Option<&str>) -> Result<QueryPage, Failure> {
        self.run_query(query, cursor).await
    }

    fn mapped_objects(&self) -> Vec<(String, String)> {
        self.mapping
            .objects()
            .map(|map| (map.canonical.clone(), map.native.clone()))
            .collect()
    }

    async fn read_back(&self, read_back: &ReadBack) -> Result<ReadBackResult, Failure> {
        self.look_back(read_back).await
    }

    async fn probe(&self) -> Result<Identity, Failure> {
        self.who_are_we().await
    }

    fn forwarded_headers(&self, head: &RequestHead) -> HeaderMap {
        headers::forwarded(head)
    }
}
