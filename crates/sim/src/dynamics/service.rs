//! The environment as a whole: data, users, tokens, and the way in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::api::{self, Organization, Request, Surroundings};
use super::error::{ApiError, Outcome};
use super::login::{self, Tokens};
use super::options::DynamicsOptions;
use super::query::bind::Here;
use super::query::{Options, Prefer};
use super::read::Reader;
use super::schema::SchemaError;
use super::security::{Caller, Principal, user_by_object_id};
use super::seed;
use super::store::Store;
use crate::Entropy;
use crate::crm::{Answer, Call, Crm, Refusal};

/// What one user may ask in one window.
const MAX_REQUESTS: u32 = 6_000;
/// The window, in seconds.
const WINDOW: i64 = 300;
/// The three ways in which the service protects itself; faults take turns.
const THROTTLES: [(&str, &str); 3] = [
    (
        "0x80072322",
        "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
    ),
    (
        "0x80072321",
        "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.",
    ),
    (
        "0x80072326",
        "Number of concurrent requests exceeded the limit of 52.",
    ),
];

/// The simulated environment.
pub(crate) struct Environment {
    pub(crate) options: DynamicsOptions,
    store: RwLock<Store>,
    seed: Store,
    pub(crate) tokens: Tokens,
    entropy: Entropy,
    limits: Mutex<HashMap<Uuid, (i64, u32)>>,
    throttled: AtomicUsize,
}

impl Environment {
    pub(crate) fn new(options: DynamicsOptions) -> Result<Self, SchemaError> {
        let seed = seed::seed(&options)?;
        Ok(Self {
            store: RwLock::new(seed.clone()),
            seed,
            tokens: Tokens::default(),
            entropy: Entropy::new(options.common.seed),
            limits: Mutex::default(),
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

    /// Counts a request, and says how many the user has left.
    fn count(&self, user: Uuid, now: Timestamp) -> Outcome<u32> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, used) = limits.entry(user).or_insert((now.as_second(), 0));
        if now.as_second() - *start >= WINDOW {
            (*start, *used) = (now.as_second(), 0);
        }
        *used = used.saturating_add(1);
        if *used > MAX_REQUESTS && self.options.enforce_limits {
            let wait = (*start + WINDOW - now.as_second()).max(1);
            let [(code, message), ..] = THROTTLES;
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, message)
                .after(wait.unsigned_abs()));
        }
        Ok(MAX_REQUESTS.saturating_sub(*used))
    }

    fn web_api(&self, call: &Call) -> (Outcome<api::Reply>, Option<u32>) {
        let organization = Organization {
            id: self.options.organization_id,
            tenant: self.options.tenant_id,
            unique_name: &self.options.organization_name,
            friendly_name: &self.options.friendly_name,
        };
        let surroundings = Surroundings {
            organization: &organization,
            page_size: self.options.page_size,
            entropy: &self.entropy,
        };
        // Read before anything is locked; who calls is still asked first.
        let request = Request::read(call);
        if call.method == Method::GET {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            return self.admit(call, &store, |store, caller| {
                api::get(&request?, store, caller, &surroundings)
            });
        }
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let (caller, left) = match self.who(call, &store) {
            Ok(found) => found,
            Err(error) => return (Err(error), None),
        };
        store.begin();
        let done =
            request.and_then(|request| api::change(&request, &mut store, &caller, &surroundings));
        if done.is_err() {
            store.roll_back();
        }
        (done, Some(left))
    }

    fn who(&self, call: &Call, store: &Store) -> Outcome<(Caller, u32)> {
        let caller = self.caller(call, store)?;
        let counted = caller.behind.as_ref().unwrap_or(&caller.user).id;
        let left = self.count(counted, call.at)?;
        Ok((caller, left))
    }

    fn admit(
        &self,
        call: &Call,
        store: &Store,
        then: impl FnOnce(&Store, &Caller) -> Outcome<api::Reply>,
    ) -> (Outcome<api::Reply>, Option<u32>) {
        match self.who(call, store) {
            Ok((caller, left)) => (then(store, &caller), Some(left)),
            Err(error) => (Err(error), None),
        }
    }

    /// The headers that every answer of the Web API bears.
    fn dress(&self, call: &Call, mut answer: Answer, left: Option<u32>) -> Answer {
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
                &left.to_string(),
            );
            put("x-ms-ratelimit-time-remaining-xrm-requests", "1,200.00");
            put("x-ms-dop-hint", "4");
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

impl Crm for Environment {
    fn answer(&self, call: &Call) -> Answer {
        if call.path().starts_with("/api/data/") {
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
            } => {
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
            Refusal::LockedRow => ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "0x80044151",
                "SQL timeout expired.",
            ),
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

    fn reset(&self) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = self.seed.clone();
    }
}

/// What the simulator's owner holds.
pub(crate) type Shared = Arc<Environment>;
