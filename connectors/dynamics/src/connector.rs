//! The connector of one connection.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_connector::mapping::Mapping;
use crmgate_connector::secret::SecretString;
use crmgate_connector::{
    Allowance, BuildContext, Capabilities, Class, Connector, ConnectorKind, Credential, Delivered,
    Draft, Failure, Fault, Fields, Form, Identity, Locator, Malformed, Matched, NativeChange,
    NativeRequest, NativeResponse, Needs, Outgoing, Outline, Parcel, ParseFailure, Pin, QueryPage,
    ReadBackResult, Refusal, RequestHead, Resolved, Routes, Sample, Session, StoredRecord, Written,
};
use crmgate_domain::{Ambient, ConnectionName, Object, Operation};
use crmgate_store::{Permit, ReadBack};
use http::HeaderMap;
use tokio::sync::OnceCell;
use url::Url;

use crate::allowed::Allowed;
use crate::auth::Entra;
use crate::metadata::Metadata;
use crate::settings::{SecuredColumns, Settings, own_mapping};
use crate::sign_in::SeenScopes;
use crate::together::Bulkless;
use crate::upstream::Upstream;
use crate::{headers, outline, request, sign_in, together};

/// The longest body of a write.
const BODY_LIMIT: usize = 128 * 1024 * 1024;

/// One connection to one Dataverse environment.
pub(crate) struct Dynamics {
    pub(crate) name: ConnectionName,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) metadata: Metadata,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) routes: Routes,
    pub(crate) scopes: SeenScopes,
    pub(crate) authority: Url,
    pub(crate) tenant: Option<String>,
    pub(crate) secured_columns: SecuredColumns,
    pub(crate) bulkless: Bulkless,
    /// The user of the connection's own credential, once an answer told it.
    pub(crate) own_user: OnceCell<String>,
}

/// The kind `dynamics`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DynamicsKind;

/// The one value of the kind.
pub static KIND: DynamicsKind = DynamicsKind;

/// The kind, for the binary's list.
#[must_use]
pub fn kind() -> impl ConnectorKind {
    DynamicsKind
}

/// The table of understood routes.
///
/// # Errors
/// When the shipped file is wrong, which a test excludes.
pub(crate) fn routes() -> Result<Routes, String> {
    Routes::parse(include_str!("../routes.yaml"), true).map_err(|error| error.to_string())
}

impl ConnectorKind for DynamicsKind {
    fn system(&self) -> &'static str {
        "dynamics"
    }

    fn sample(&self) -> Sample {
        // The table is part of the crate, and a test reads it.
        let table = own_mapping().unwrap_or_default();
        Sample::new("6f1a7c3e-0001-4000-8000-000000000001", &table)
    }

    fn build(
        &self,
        settings: &serde_json::Value,
        context: BuildContext<'_>,
    ) -> Result<Arc<dyn Connector>, Vec<Fault>> {
        let settings = Settings::read(settings, &context)?;
        let routes = routes().map_err(|error| vec![Fault::new("", error)])?;
        let BuildContext {
            name,
            http,
            ambient,
            ..
        } = context;
        let session = settings.auth.map(|auth| {
            let source = Entra {
                auth,
                http: http.clone(),
                ambient: Arc::clone(&ambient),
            };
            Session::new(Arc::new(source), Arc::clone(&ambient)).counted(&name)
        });
        let upstream = Arc::new(Upstream {
            url: settings.url,
            api_version: settings.api_version,
            http,
            session,
            ambient: Arc::clone(&ambient),
            allowed: Allowed::default(),
        });
        Ok(Arc::new(Dynamics {
            name,
            metadata: Metadata::new(
                Arc::clone(&upstream),
                Arc::clone(&ambient),
                settings.metadata_life,
            ),
            ambient,
            upstream,
            mapping: Arc::new(settings.mapping),
            routes,
            scopes: SeenScopes::new(),
            authority: settings.authority,
            tenant: settings.tenant,
            secured_columns: settings.secured_columns,
            bulkless: Bulkless::default(),
            own_user: OnceCell::new(),
        }))
    }
}

#[async_trait]
impl Connector for Dynamics {
    fn system(&self) -> &'static str {
        "dynamics"
    }

    fn name(&self) -> &ConnectionName {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            keyed_create: true,
            pin: Pin::Version,
            impersonation: true,
        }
    }

    fn routes(&self) -> &Routes {
        &self.routes
    }

    fn has_service_credential(&self) -> bool {
        self.upstream.session.is_some()
    }

    fn classify(&self, head: &RequestHead) -> Class {
        request::classify(&self.routes, head)
    }

    fn caller_token(&self, head: &RequestHead) -> Option<SecretString> {
        sign_in::bearer(&head.headers)
    }

    async fn identify(&self, token: &SecretString) -> Result<Identity, Failure> {
        self.identity_of(&Credential::Caller(token.clone()), Some(token))
            .await
    }

    async fn user_named(&self, name: &str) -> Result<Option<String>, Failure> {
        self.user_of_name(name).await
    }

    async fn sign_in(&self, request: NativeRequest) -> Result<NativeResponse, Failure> {
        self.signed_in(request).await
    }

    fn brokered_sign_in(&self, request: &NativeRequest) -> Option<SecretString> {
        sign_in::secret_of(request)
    }

    fn brokered_answer(&self, _request: &NativeRequest, token: &SecretString) -> NativeResponse {
        sign_in::brokered(token)
    }

    async fn parse(&self, request: NativeRequest) -> Result<Draft, ParseFailure> {
        let NativeRequest { head, body } = request;
        let matched = match self.classify(&head) {
            Class::Write(matched) => matched,
            Class::Unknown { why } => return Err(Malformed::new("not_understood", why).into()),
            Class::Open(_) | Class::SignIn(_) | Class::Read(_) => {
                return Err(Malformed::new("not_understood", "this request does not write").into());
            }
        };
        let raw = body
            .collect(BODY_LIMIT)
            .await
            .map_err(|error| Malformed::new("invalid_json", error.to_string()))?;
        self.draft_of(head, matched, raw).await
    }

    fn outline(&self, head: &RequestHead, matched: &Matched) -> Result<Outline, Malformed> {
        outline::outline(head, matched)
    }

    fn normal_id(&self, text: &str) -> Result<String, Malformed> {
        outline::normal_id(text)
    }

    async fn object_named(&self, name: &str) -> Result<Option<String>, Failure> {
        self.table_of_name(name).await
    }

    async fn draft(
        &self,
        operation: &Operation,
        change: Option<Object>,
    ) -> Result<Draft, ParseFailure> {
        self.canonical_draft(operation, change).await
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
        self.send(permit, outgoing, credential).await
    }

    fn form(&self, change: &dyn NativeChange, atomic: bool) -> Option<Form> {
        together::form(change, atomic)
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
        self.upstream.allowed.told()
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
        self.rendered(head, refusal)
    }

    async fn read(
        &self,
        native_object: &str,
        locator: &Locator,
        fields: &Fields,
    ) -> Result<Option<StoredRecord>, Failure> {
        self.read_record(native_object, locator, fields).await
    }

    async fn query(&self, query: &str, cursor: Option<&str>) -> Result<QueryPage, Failure> {
        self.query_page(query, cursor).await
    }

    fn mapped_objects(&self) -> Vec<(String, String)> {
        self.mapping
            .objects()
            .map(|object| (object.canonical.clone(), object.native.clone()))
            .collect()
    }

    async fn read_back(&self, read_back: &ReadBack) -> Result<ReadBackResult, Failure> {
        self.found_out(read_back).await
    }

    async fn probe(&self) -> Result<Identity, Failure> {
        self.identity_of(&Credential::Service, None).await
    }

    fn forwarded_headers(&self, head: &RequestHead) -> HeaderMap {
        headers::forwarded(&head.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_the_names_of_the_table() {
        let objects = DynamicsKind.sample().objects;
        let native = |name: &str| objects.iter().find(|(object, _)| object == name);
        assert_eq!(native("case").unwrap().1, "incident");
        assert_eq!(native("contact").unwrap().1, "contact");
    }
}
