//! One connection's settings.

use std::collections::BTreeMap;
use std::time::Duration;

use ::config::{Value, ValueKind};
use crmgate_app::IdentityMode;
use crmgate_domain::{ConnectionName, Enforcement, Kind, Mode, Object};
use crmgate_enforce::{KindRules, UngovernedRules, WriteAs};
use crmgate_policy::Ungoverned;
use crmgate_store::Release;
use url::Url;

use super::areas::{Gateway, Listen, TlsFiles, Upstream};
use super::decision_log::Kept;
use super::section::Section;
use super::{Faults, value};

/// One configured CRM org.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) system: String,
    pub(crate) mode: Mode,
    pub(crate) identity: IdentityMode,
    pub(crate) identity_ttl: Duration,
    /// The host name by which clients come to the shared listener.
    pub(crate) host: Option<String>,
    /// A certificate of its own, on its listener or the shared one.
    pub(crate) tls: Option<TlsFiles>,
    /// A listener of its own.
    pub(crate) listen: Option<Listen>,
    pub(crate) public_url: Option<Url>,
    pub(crate) ungoverned: UngovernedRules,
    pub(crate) fail_open: bool,
    /// What lets a held write happen.
    pub(crate) held_writes: Release,
    /// Under whose name the gate writes those that it carries out, where it says so.
    pub(crate) held_writes_as: Option<WriteAs>,
    /// Parameters of global packages, as `data.params`.
    pub(crate) params: Object,
    /// Global packages that count less or more here.
    pub(crate) enforcement: BTreeMap<String, Enforcement>,
    pub(crate) upstream: Upstream,
    /// How fair the workers are to the org.
    pub(crate) queue: crmgate_worker::fair::Rules,
    /// How its decisions are remembered, where it says so.
    pub(crate) decision_log: Kept,
    /// The connector's own settings.
    pub(crate) settings: serde_json::Value,
}

/// How long a caller's identity is remembered unless the connection says otherwise: short enough
/// that a removed permission soon counts.
const IDENTITY_TTL: Duration = Duration::from_secs(300);

/// Reads all connections and checks that clients can tell them apart.
pub(super) fn read_all(
    section: Section<'_>,
    gateway: &Gateway,
    upstream: &Upstream,
    faults: &Faults,
) -> BTreeMap<ConnectionName, Connection> {
    let mut connections = BTreeMap::new();
    for (name, mut section) in section.sections() {
        let place = format!("connections.{name}");
        match ConnectionName::try_from(name) {
            Ok(name) => {
                let connection = Connection::read(&mut section, gateway, upstream);
                let settings = section.rest();
                connections.insert(
                    name,
                    Connection {
                        settings,
                        ..connection
                    },
                );
            }
            Err(error) => faults.add(&place, error.to_string()),
        }
    }
    tell_apart(&connections, faults);
    connections
}

fn tell_apart(connections: &BTreeMap<ConnectionName, Connection>, faults: &Faults) {
    let mut hosts = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (name, connection) in connections {
        let host = connection.host.clone();
        if let Some(other) = host.and_then(|host| hosts.insert(host, name)) {
            faults.add(
                &format!("connections.{name}.host"),
                format!("is the host of connection `{other}` already"),
            );
        }
        let address = connection.listen.as_ref().map(|listen| listen.address);
        let address = address.filter(|address| address.port() != 0);
        if let Some(other) = address.and_then(|address| addresses.insert(address, name)) {
            faults.add(
                &format!("connections.{name}.listen"),
                format!("is the address of connection `{other}` already"),
            );
        }
    }
}

impl Connection {
    /// Reads what is common to all kinds; what is left is the connector's.
    fn read(section: &mut Section<'_>, gateway: &Gateway, upstream: &Upstream) -> Self {
        let modes = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];
        let identities = [
            ("pass_through", IdentityMode::PassThrough),
            ("brokered", IdentityMode::Brokered),
        ];
        reachable(section, gateway);
        let host = section.get("host", host_name);
        let tls = TlsFiles::read(section);
        if section.has("trusted_proxies") && !section.has("listen") {
            section.fault(
                "trusted_proxies",
                "only goes with a `listen` address; the shared listener has `gateway.trusted_proxies`",
            );
        }
        let listen = Listen::with_tls(section, tls.clone());
        let identity = section
            .get("identity", |v| value::word(v, &identities))
            .unwrap_or_default();
        let held_writes = held_writes(section, identity);
        Self {
            system: section.need("system", value::text),
            mode: section
                .get("mode", |v| value::word(v, &modes))
                .unwrap_or_default(),
            identity,
            held_writes,
            held_writes_as: held_writes_as(section, held_writes),
            identity_ttl: section
                .get("identity_ttl", value::duration)
                .unwrap_or(IDENTITY_TTL),
            host,
            tls,
            listen,
            public_url: section.get("public_url", origin),
            ungoverned: ungoverned(section),
            fail_open: section.get("fail_open", value::flag).unwrap_or_default(),
            params: section.get("params", object).unwrap_or_default(),
            enforcement: section
                .section("enforcement")
                .map(enforcement)
                .unwrap_or_default(),
            queue: super::worker::rules(section),
            decision_log: Kept::of_connection(section),
            upstream: Upstream::read(section.section_or_empty("upstream"), Some(upstream)),
            settings: serde_json::Value::Null,
        }
    }
}

/// The gate carries out what is held where its own credential writes; elsewhere the caller, whose
/// token is not kept, comes again.
fn held_writes(section: &mut Section<'_>, identity: IdentityMode) -> Release {
    let words = [("ticket", Release::Ticket), ("execute", Release::Execution)];
    let brokered = identity == IdentityMode::Brokered;
    let by_default = if brokered {
        Release::Execution
    } else {
        Release::Ticket
    };
    let wanted = section.get("held_writes", |v| value::word(v, &words));
    if wanted == Some(Release::Execution) && !brokered {
        section.fault(
            "held_writes",
            "`execute` needs `identity = \"brokered\"`: with `pass_through` a write takes the \
             caller's own token, which is not kept; expected `ticket`",
        );
    }
    wanted.unwrap_or(by_default)
}

fn held_writes_as(section: &mut Section<'_>, held_writes: Release) -> Option<WriteAs> {
    let words = [("caller", WriteAs::Caller), ("service", WriteAs::Service)];
    let wanted = section.get("held_writes_as", |v| value::word(v, &words));
    if wanted.is_some() && held_writes == Release::Ticket {
        section.fault(
            "held_writes_as",
            "only goes with `held_writes = \"execute\"`: with `ticket` the caller writes",
        );
    }
    wanted
}

fn reachable(section: &Section<'_>, gateway: &Gateway) {
    if section.has("listen") {
        return;
    }
    if !section.has("host") {
        section.fault(
            "host",
            "is missing: expected the `host` by which clients come to `gateway.listen`, or a \
             `listen` address of the connection's own",
        );
    } else if gateway.listen.is_none() {
        section.fault(
            "host",
            "needs `gateway.listen`, which is not set; or give the connection a `listen` of its own",
        );
    }
}

fn host_name(v: &Value) -> Result<String, String> {
    let text = value::text(v)?.to_ascii_lowercase();
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if plain && !text.starts_with('.') && !text.ends_with('.') {
        Ok(text)
    } else {
        Err(format!("expected a host name without port, found `{text}`"))
    }
}

/// A URL that is nothing but scheme, host and port: real clients drop paths.
fn origin(v: &Value) -> Result<Url, String> {
    let url = value::web_url(v)?;
    if url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
        Ok(url)
    } else {
        Err(format!(
            "expected an address without a path: clients would drop it; found `{url}`"
        ))
    }
}

fn object(v: &Value) -> Result<Object, String> {
    let json = value::json(v);
    if !json.is_object() {
        return Err(format!("expected a table, found {}", value::describe(v)));
    }
    serde_json::from_value(json).map_err(|error| error.to_string())
}

fn enforcement(mut section: Section<'_>) -> BTreeMap<String, Enforcement> {
    let words = [
        ("enforce", Enforcement::Enforce),
        ("warn", Enforcement::Warn),
        ("dryrun", Enforcement::Dryrun),
        ("off", Enforcement::Off),
    ];
    let entries = flatten(section.entries());
    let read = entries.into_iter().filter_map(|(package, entry)| {
        let word = value::word(&entry, &words);
        word.map(|word| (package.clone(), word))
            .map_err(|problem| section.fault(&package, problem))
            .ok()
    });
    read.collect()
}

/// Package names have dots, which TOML reads as tables unless they are quoted; both are meant.
fn flatten(entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let inner = entries
        .into_iter()
        .flat_map(|(key, entry)| match entry.kind {
            ValueKind::Table(table) => flatten(table.into_iter().collect())
                .into_iter()
                .map(|(rest, entry)| (format!("{key}.{rest}"), entry))
                .collect(),
            _ => vec![(key, entry)],
        });
    inner.collect()
}

/// The kinds of operation that the table can name: those that policies see and that write.
const KINDS: [Kind; 6] = [
    Kind::Create,
    Kind::Update,
    Kind::Delete,
    Kind::Associate,
    Kind::Disassociate,
    Kind::Action,
];

/// What happens to operations that no policy governs, per object and kind.
fn ungoverned(section: &mut Section<'_>) -> UngovernedRules {
    let mut rules = UngovernedRules::default();
    // One word for everything is the commonest choice.
    if section.is_text("ungoverned") {
        let all = section.get("ungoverned", |v| value::word(v, &VERDICTS));
        let kinds = BTreeMap::new();
        return rules.with("*", KindRules { all, kinds });
    }
    let Some(mut objects) = section.section("ungoverned") else {
        return rules;
    };
    for (object, entry) in objects.entries() {
        let entry = match &entry.kind {
            ValueKind::Table(kinds) => of_kinds(&objects, &object, kinds),
            _ => KindRules {
                all: value::word(&entry, &VERDICTS)
                    .map_err(|problem| objects.fault(&object, problem))
                    .ok(),
                kinds: BTreeMap::new(),
            },
        };
        rules = rules.with(&object, entry);
    }
    rules
}

const VERDICTS: [(&str, Ungoverned); 2] =
    [("allow", Ungoverned::Allow), ("deny", Ungoverned::Deny)];

fn of_kinds(
    objects: &Section<'_>,
    object: &str,
    kinds: &::config::Map<String, Value>,
) -> KindRules {
    let mut rules = KindRules::default();
    for (word, entry) in kinds {
        let setting = format!("{object}.{word}");
        let known = KINDS.iter().find(|kind| kind.as_str() == word.as_str());
        match (known, value::word(entry, &VERDICTS)) {
            (_, Err(problem)) => objects.fault(&setting, problem),
            (Some(kind), Ok(verdict)) => {
                rules.kinds.insert(*kind, verdict);
            }
            (None, Ok(verdict)) if word == "*" => rules.all = Some(verdict),
            (None, Ok(_)) => objects.fault(&setting, unknown_kind()),
        }
    }
    rules
}

fn unknown_kind() -> String {
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.as_str()).collect();
    format!("is no kind of write; expected one of: {}", known.join(", "))
}
