//! The understood routes of a CRM's API, as data.
//!
//! A connector keeps its table in a `routes.yaml`; whatever is not in it is [`Class::Unknown`] and
//! is refused when the connection enforces.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde::Deserialize;

/// What a route is to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteClass {
    /// Needs no credential and tells nothing: API versions.
    Open,
    /// Gives credentials: token end points.
    SignIn,
    /// Reads; passes.
    Read,
    /// Writes one record or more; is parsed and judged.
    Write,
}

/// One understood route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A stable name, used in metrics and reports.
    pub id: String,
    /// Methods, after any override.
    pub methods: Vec<String>,
    /// Template: `/services/data/{version}/sobjects/{object}/{id}`. A segment may mix text and
    /// parameters: `{set}({key})`. `{rest...}` as last segment takes all that follows.
    pub path: String,
    /// What it is.
    pub class: RouteClass,
    /// The resource as policies see it in `request.resource`; the path where not given.
    #[serde(default)]
    pub resource: Option<String>,
    /// Why it stands here, for the reader of the table.
    #[serde(default)]
    pub note: Option<String>,
}

/// A request matched to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The route.
    pub route: Arc<Route>,
    /// Decoded path parameters.
    pub parameters: BTreeMap<String, String>,
    /// The method in effect, after any override.
    pub method: Method,
}

impl Matched {
    /// A path parameter; empty when the template has none of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// What policies see as `request.resource`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.route.resource.as_deref().unwrap_or(&self.route.path)
    }
}

/// Which door a request knocks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Needs no credential.
    Open(Matched),
    /// Gives credentials.
    SignIn(Matched),
    /// Reads.
    Read(Matched),
    /// Writes; to be parsed.
    Write(Matched),
    /// Not understood: refused when the connection enforces, whatever the method.
    Unknown {
        /// What was not understood, for people.
        why: String,
    },
}

/// A route table that cannot be read: a fault of the connector's own file.
#[derive(Debug, thiserror::Error)]
#[error("routes: {0}")]
pub struct BadRoutes(String);

/// A connector's table.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    routes: Vec<(Arc<Route>, Vec<Segment>)>,
    fold_case: bool,
}

impl Routes {
    /// Reads a table. `fold_case`: literal text matches in any ASCII case.
    ///
    /// # Errors
    /// When the YAML or a template is wrong.
    pub fn parse(yaml: &str, fold_case: bool) -> Result<Self, BadRoutes> {
        let list: Vec<Route> = yaml_serde::from_str(yaml).map_err(|e| BadRoutes(e.to_string()))?;
        let routes = list
            .into_iter()
            .map(|route| Ok((template(&route.path)?, route)))
            .map(|parsed| parsed.map(|(segments, route)| (Arc::new(route), segments)))
            .collect::<Result<_, BadRoutes>>()?;
        Ok(Self { routes, fold_case })
    }

    /// All routes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|(route, _)| route.as_ref())
    }

    /// The first route for that method and those decoded path segments. `methods` of the table
    /// decide; a path that only other methods know is no match.
    #[must_use]
    pub fn find(&self, method: &Method, segments: &[String]) -> Option<Matched> {
        self.routes.iter().find_map(|(route, template)| {
            if !route.methods.iter().any(|known| known == method.as_str()) {
                return None;
            }
            let parameters = self.matches(template, segments)?;
            Some(Matched {
                route: Arc::clone(route),
                parameters,
                method: method.clone(),
            })
        })
    }

    fn matches(
        &self,
        template: &[Segment],
        segments: &[String],
    ) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        let mut given = segments.iter();
        for wanted in template {
            if let Segment::Rest(name) = wanted {
                let rest: Vec<&str> = given.by_ref().map(String::as_str).collect();
                parameters.insert(name.clone(), rest.join("/"));
                return Some(parameters);
            }
            let Segment::Pieces(pieces) = wanted else {
                return None;
            };
            match_pieces(pieces, given.next()?, self.fold_case, &mut parameters)?;
        }
        given.next().is_none().then_some(parameters)
    }
}

/// Splits a path into decoded segments; a single trailing slash is dropped.
///
/// `None` for paths that two readers could read differently: encoded slashes, backslashes or NUL,
/// dot segments (also before `;`, which some take for the end of a segment), empty segments,
/// percent signs that begin no escape, escapes that are not UTF-8, or that hide one of these from
/// who decodes once.
#[must_use]
pub fn split_path(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('/')
        .map(|segment| {
            let text = decoded(segment)?;
            // Who decodes once more must not find another path.
            let again = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
            (is_plain(&text) && is_plain(&again)).then_some(text)
        })
        .collect()
}

fn decoded(segment: &str) -> Option<String> {
    let hex = |at: usize| {
        segment
            .as_bytes()
            .get(at)
            .is_some_and(u8::is_ascii_hexdigit)
    };
    let escapes = segment
        .match_indices('%')
        .all(|(at, _)| hex(at + 1) && hex(at + 2));
    let text = percent_encoding::percent_decode_str(segment).decode_utf8();
    text.ok().filter(|_| escapes).map(Cow::into_owned)
}

fn is_plain(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    !matches!(name, "" | "." | "..") && !segment.contains(['/', '\\', '\0'])
}

#[derive(Debug, Clone)]
enum Segment {
    Pieces(Vec<Piece>),
    Rest(String),
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Parameter(String),
}

fn template(path: &str) -> Result<Vec<Segment>, BadRoutes> {
    let bad = |why: &str| BadRoutes(format!("`{path}`: {why}"));
    let path_text = path
        .strip_prefix('/')
        .ok_or_else(|| bad("starts without `/`"))?;
    let parts: Vec<&str> = path_text
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let mut segments = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix("...}")) {
            if index + 1 != parts.len() {
                return Err(bad("`{rest...}` must be last"));
            }
            segments.push(Segment::Rest(name.to_owned()));
            continue;
        }
        segments.push(Segment::Pieces(
            pieces(part).ok_or_else(|| bad("unbalanced `{`"))?,
        ));
    }
    Ok(segments)
}

fn pieces(part: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some(open) = rest.find('{') {
        let (text, from) = rest.split_at(open);
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let (name, after) = from.strip_prefix('{')?.split_once('}')?;
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
}

fn match_pieces(
    pieces: &[Piece],
    given: &str,
    fold: bool,
    found: &mut BTreeMap<String, String>,
) -> Option<()> {
    match pieces {
        [] => given.is_empty().then_some(()),
        [Piece::Text(text), rest @ ..] => {
            let head = given.get(..text.len())?;
            let same = if fold {
                head.eq_ignore_ascii_case(text)
            } else {
                head == text
            };
            same.then_some(())?;
            match_pieces(rest, given.get(text.len()..)?, fold, found)
        }
        [Piece::Parameter(name)] => {
            (!given.is_empty()).then_some(())?;
            found.insert(name.clone(), given.to_owned());
            Some(())
        }
        // The last text of a segment is looked for at the end, so that a key may contain it.
        [Piece::Parameter(name), Piece::Text(text)] => {
            let value = given
                .strip_suffix(text.as_str())
                .filter(|value| !value.is_empty())?;
            found.insert(name.clone(), value.to_owned());
            Some(())
        }
        [Piece::Parameter(name), rest @ ..] => {
            let Some(Piece::Text(text)) = rest.first() else {
                return None;
            };
            let (value, _) = given
                .split_once(text.as_str())
                .filter(|(value, _)| !value.is_empty())?;
            found.insert(name.clone(), value.to_owned());
            match_pieces(rest, given.get(value.len()..)?, fold, found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
- {id: row, methods: [GET], path: '/data/{version}/sobjects/{object}/{id}', class: read}
- {id: create, methods: [POST], path: '/data/{version}/sobjects/{object}', class: write}
- {id: key, methods: [PATCH], path: '/api/{set}({key})', class: write}
- {id: call, methods: [GET], path: '/api/{name}({args})/x', class: read}
- {id: rest, methods: [GET], path: '/files/{rest...}', class: read}
";

    fn find(method: &str, path: &str) -> Option<(String, String)> {
        let routes = Routes::parse(TABLE, true).unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = routes.find(&method, &split_path(path)?)?;
        let parameters: Vec<String> = found
            .parameters
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        Some((found.route.id.clone(), parameters.join(" ")))
    }

    #[test]
    fn matches_by_table() {
        let some = |id: &str, parameters: &str| Some((id.to_owned(), parameters.to_owned()));
        assert_eq!(
            find("GET", "/Data/v66.0/sobjects/Contact/003"),
            some("row", "id=003 object=Contact version=v66.0")
        );
        assert_eq!(
            find("POST", "/data/v66.0/sobjects/Contact/"),
            some("create", "object=Contact version=v66.0")
        );
        assert_eq!(
            find("PATCH", "/api/accounts(name='a)b')"),
            some("key", "key=name='a)b' set=accounts")
        );
        assert_eq!(find("PATCH", "/api/accounts()"), None);
        assert_eq!(find("GET", "/files/a/b"), some("rest", "rest=a/b"));
        assert_eq!(find("DELETE", "/data/v66.0/sobjects/Contact"), None);
    }

    #[test]
    fn refuses_paths_that_can_be_read_two_ways() {
        for path in [
            "/a//b",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/%2Fb",
            "/a/b%5cc",
            "/a/%00",
            "/a/%ff",
            "/a/%",
            "/a/%2",
            "/a/%u002e%u002e/b",
            "/a/..;/b",
            "/a/.;x=y/b",
            "/a/;x/b",
            "/a/%252e%252e/b",
            "/a/%252fb",
            "/a/%255cb",
            "/a/..%3b/b",
            "a",
        ] {
            assert_eq!(split_path(path), None, "{path}");
        }
        for (path, last) in [
            ("/a/b;c", "b;c"),
            ("/a/50%25", "50%"),
            ("/a/b..%20", "b.. "),
        ] {
            assert_eq!(split_path(path).unwrap()[1], last, "{path}");
        }
    }
}
