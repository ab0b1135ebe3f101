//! The environment as a whole: data, users, tokens, and the way in.

mod front;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::api::{self, Organization, Request, Surroundings};
use super::batch::Step;
use super::error::{ApiError, Outcome};
use super::limits::{Left, Limits, Protection, THROTTLES};
use super::login::Tokens;
use super::options::DynamicsOptions;
use super::schema::SchemaError;
use super::security::{Caller, Principal, user_by_object_id};
use super::seed;
use super::store::Store;
use crate::Entropy;
use crate::crm::{Answer, Call};
use crate::faults::RowFault;

/// The simulated environment.
pub(crate) struct Environment {
    pub(crate) options: DynamicsOptions,
    store: RwLock<Store>,
    seed: Store,
    pub(crate) tokens: Tokens,
    entropy: Entropy,
    pub(crate) protection: Protection,
    throttled: AtomicUsize,
}

impl Environment {
    pub(crate) fn new(options: DynamicsOptions) -> Result<Self, SchemaError> {
        let mut seed = seed::seed(&options)?;
        seed.tell_effects(options.common.clock.clone());
        Ok(Self {
            store: RwLock::new(seed.clone()),
            seed,
            tokens: Tokens::default(),
            entropy: Entropy::new(options.common.seed),
            protection: Protection::new(first_limits(&options)),
            throttled: AtomicUsize::new(0),
            options,
        })
    }

    pub(crate) fn fresh_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.entropy.draw16()).into_uuid()
    }

    /// Looks at the data.
    pub(crate) fn look<T>(&self, eye: impl FnOnce(&Store) -> T) -> T {
        eye(&self.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who calls.
    fn caller(&self, call: &Call, store: &Store) -> Outcome<Caller> {
        let token = bearer(call).ok_or_else(|| unauthorized("No token was sent."))?;
        let session = self
            .tokens
            .session(token, call.at)
            .ok_or_else(|| unauthorized("The token is unknown or has expired."))?;
        let member = |object_id: Uuid| {
            user_by_object_id(store, object_id)
                .and_then(|id| Principal::of(store, id))
                .ok_or_else(|| {
                    ApiError::new(
                        StatusCode::FORBIDDEN,
                        "0x80072560",
                        "The user is not a member of the organization.",
                    )
                })
        };
        let caller = Caller::new(member(session.object_id)?);
        let header = |name: &str| {
            call.header(name)
                .map(|text| {
                    Uuid::try_parse(text.trim()).map_err(|_| {
                        ApiError::invalid_argument(format!("The header {name} must be a GUID."))
                    })
                })
                .transpose()
        };
        if let Some(object_id) = header("callerobjectid")? {
            return caller.impersonate(member(object_id)?);
        }
        match header("mscrmcallerid")? {
            Some(id) => {
                let user =
                    Principal::of(store, id).ok_or_else(|| ApiError::no_row("systemuser", id))?;
                caller.impersonate(user)
            }
            None => Ok(caller),
        }
    }

    /// What all answers depend on.
    fn surrounded<T>(&self, then: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let organization = Organization {
            id: self.options.organization_id,
            tenant: self.options.tenant_id,
            unique_name: &self.options.organization_name,
            friendly_name: &self.options.friendly_name,
        };
        then(&Surroundings {
            organization: &organization,
            page_size: self.options.page_size,
            entropy: &self.entropy,
            struck: &|fault| self.struck(fault),
        })
    }

    /// Answers a call that stands by itself.
    fn web_api(&self, call: &Call) -> (Outcome<api::Reply>, Option<Left>) {
        // Read before anything is locked; who calls is still asked first.
        let request = Request::read(call);
        if call.method == Method::GET {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            return match self.who(call, &store, 1) {
                Ok((caller, left)) => (self.get(request, &store, &caller), Some(left)),
                Err(error) => (Err(error), None),
            };
        }
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let (caller, left) = match self.who(call, &store, 1) {
            Ok(found) => found,
            Err(error) => return (Err(error), None),
        };
        // What holds several rows asks for each of them.
        let whole = if call.path().ends_with("Multiple") {
            Ok(())
        } else {
            self.row(call, 0)
        };
        let request = whole.and(request);
        (self.change(request, &mut store, &caller), Some(left))
    }

    /// The fault that hits this row, if one does.
    fn row(&self, call: &Call, index: usize) -> Outcome<()> {
        if call.rows.is_none() {
            return Ok(());
        }
        let row: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        match call.row_fault(index, call.path(), &row) {
            Some(fault) => Err(self.struck(fault)),
            None => Ok(()),
        }
    }

    /// The service's own words for what a fault does.
    fn struck(&self, fault: RowFault) -> ApiError {
        let (status, retry_after) = match fault {
            RowFault::Locked => {
                return ApiError::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "0x80044151",
                    "SQL timeout expired.",
                );
            }
            RowFault::Status {
                status,
                retry_after,
            } => (status, retry_after),
        };
        let turn = self.throttled.fetch_add(1, Ordering::Relaxed) % THROTTLES.len();
        let (code, message) = match (status.as_u16(), THROTTLES.get(turn)) {
            (429, Some(throttle)) => *throttle,
            (503, _) => ("0x80044151", "The service is unavailable."),
            (401, _) => ("0x8005f101", "The token is unknown or has expired."),
            _ => ("0x80040216", "An unexpected error occurred."),
        };
        let mut error = ApiError::new(status, code, message);
        error.retry_after = retry_after;
        error
    }

    /// Answers a call that a batch holds: it was counted with the batch.
    pub(crate) fn part(&self, call: &Call, index: usize) -> Outcome<api::Reply> {
        let request = Request::read(call);
        if call.method == Method::GET {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            let caller = self.caller(call, &store)?;
            return self.get(request, &store, &caller);
        }
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let caller = self.caller(call, &store)?;
        self.row(call, index)?;
        self.change(request, &mut store, &caller)
    }

    /// Does all of these changes or none. The error says which one failed.
    pub(crate) fn together<'a>(
        &self,
        steps: impl Iterator<Item = (usize, &'a Step)>,
        mut prepare: impl FnMut(&Step, &HashMap<String, String>) -> Outcome<Call>,
    ) -> Result<Vec<api::Reply>, (usize, ApiError)> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        store.begin();
        let mut known = HashMap::new();
        let mut replies = Vec::new();
        for (index, (row, step)) in steps.enumerate() {
            let done = prepare(step, &known).and_then(|call| {
                let request = Request::read(&call)?;
                request.refer(&known);
                let caller = self.caller(&call, &store)?;
                self.row(&call, row)?;
                self.surrounded(|around| api::change(&request, &mut store, &caller, around))
            });
            match done {
                Ok(reply) => {
                    if let (Some(id), Some(address)) = (&step.content_id, reply.address()) {
                        known.insert(id.clone(), address.to_owned());
                    }
                    replies.push(reply);
                }
                Err(error) => {
                    store.roll_back();
                    return Err((index, error));
                }
            }
        }
        Ok(replies)
    }

    fn get(
        &self,
        request: Outcome<Request<'_>>,
        store: &Store,
        caller: &Caller,
    ) -> Outcome<api::Reply> {
        self.surrounded(|around| api::get(&request?, store, caller, around))
    }

    fn change(
        &self,
        request: Outcome<Request<'_>>,
        store: &mut Store,
        caller: &Caller,
    ) -> Outcome<api::Reply> {
        store.begin();
        let done = self.surrounded(|around| api::change(&request?, store, caller, around));
        if done.is_err() {
            store.roll_back();
        }
        done
    }

    /// Who calls, and what is left to them after this call of so many operations.
    pub(crate) fn who(
        &self,
        call: &Call,
        store: &Store,
        operations: usize,
    ) -> Outcome<(Caller, Left)> {
        let caller = self.caller(call, store)?;
        let counted = caller.behind.as_ref().unwrap_or(&caller.user).id;
        let who = (counted, self.sign_in(call).unwrap_or(counted));
        let left = self.protection.count(who, operations, call.at)?;
        Ok((caller, left))
    }

    /// Whose token a call carries.
    fn sign_in(&self, call: &Call) -> Option<Uuid> {
        let session = self.tokens.session(bearer(call)?, call.at)?;
        Some(session.object_id)
    }

    /// The headers that every answer of the Web API bears.
    pub(crate) fn dress(&self, call: &Call, mut answer: Answer, left: Option<Left>) -> Answer {
        let id = self.fresh_id().to_string();
        let unauthorized = answer.status() == StatusCode::UNAUTHORIZED;
        let headers = answer.headers_mut();
        let mut put = |name: &'static str, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("req_id", &id);
        put("x-ms-service-request-id", &id);
        if let Some(left) = left {
            put(
                "x-ms-ratelimit-burst-remaining-xrm-requests",
                &left.requests.to_string(),
            );
            put(
                "x-ms-ratelimit-time-remaining-xrm-requests",
                &left.seconds(),
            );
            put("x-ms-dop-hint", &left.dop_hint.to_string());
        }
        if unauthorized {
            let challenge = format!(
                "Bearer authorization_uri={base}/{}/oauth2/authorize, resource_id={base}/",
                self.options.tenant_id,
                base = call.base_url
            );
            put("www-authenticate", &challenge);
        }
        if call
            .header("cookie")
            .is_none_or(|cookies| !cookies.contains("ARRAffinity="))
        {
            put(
                "set-cookie",
                "ARRAffinity=5f0c1d; Path=/; HttpOnly; Secure; SameSite=None",
            );
        }
        answer
    }
}

fn first_limits(options: &DynamicsOptions) -> Limits {
    Limits {
        enforced: options.enforce_limits,
        ..Limits::default()
    }
}

fn bearer(call: &Call) -> Option<&str> {
    let value = call.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "0x8005f101", message)
}

/// What the simulator's owner holds.
pub(crate) type Shared = Arc<Environment>;
