//! The options of an address.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::super::address::split_outside;
use super::super::error::{ApiError, Outcome};
use super::expression::{Expr, parse};

/// What an address asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) select: Option<Vec<String>>,
    pub(crate) filter: Option<Expr>,
    pub(crate) expand: Vec<Expand>,
    pub(crate) order: Vec<Order>,
    pub(crate) top: Option<usize>,
    pub(crate) count: bool,
    pub(crate) apply: Option<String>,
    pub(crate) skip_token: Option<String>,
    pub(crate) fetch: Option<String>,
    /// Parameters whose names begin with `@`, and `$id`.
    pub(crate) aliases: HashMap<String, String>,
    pub(crate) id: Option<String>,
    /// The pairs as they were sent, for the link to the next page.
    pub(crate) raw: Vec<(String, String)>,
}

/// A related row or collection to be included.
#[derive(Clone, Debug)]
pub(crate) struct Expand {
    pub(crate) nav: String,
    pub(crate) options: Options,
}

/// One term of `$orderby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) path: Vec<String>,
    pub(crate) descending: bool,
}

/// More than this the service does not join.
const MAX_EXPANDS: usize = 15;
/// Expansions within expansions.
const MAX_DEPTH: usize = 10;

impl Options {
    /// Reads a query as it stands in an address.
    pub(crate) fn read(query: &str) -> Outcome<Self> {
        let mut pairs = Vec::new();
        let mut raw = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
            raw.push((name.to_owned(), value.to_owned()));
        }
        let aliases = pairs
            .iter()
            .filter(|(name, _)| name.starts_with('@'))
            .cloned()
            .collect();
        let mut options = Self::from_pairs(&pairs, aliases, 0)?;
        options.raw = raw;
        Ok(options)
    }

    fn from_pairs(
        pairs: &[(String, String)],
        aliases: HashMap<String, String>,
        depth: usize,
    ) -> Outcome<Self> {
        let mut options = Self {
            aliases,
            ..Self::default()
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            if name.starts_with('$') {
                if seen.contains(&name.as_str()) {
                    return Err(ApiError::query(format!(
                        "Query option '{name}' was specified more than once, but it must be specified at most once."
                    )));
                }
                seen.push(name);
            }
            options.take(name, value, depth)?;
        }
        if options.expand.len() > MAX_EXPANDS {
            return Err(ApiError::bad_request(
                "0x8004430d",
                format!("Number of link entities exceeded the maximum of {MAX_EXPANDS}."),
            ));
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: &str, depth: usize) -> Outcome<()> {
        match name {
            "$select" => self.select = Some(names(value)?),
            "$filter" => self.filter = Some(parse(value, &self.aliases)?),
            "$expand" => self.expand = expands(value, &self.aliases, depth)?,
            "$orderby" => self.order = orders(value)?,
            "$top" => {
                let top = value.parse().map_err(|_| {
                    ApiError::query(format!("Invalid value '{value}' for $top query option found. The $top query option requires a non-negative integer value."))
                })?;
                self.top = Some(top);
            }
            "$count" => {
                self.count = match value {
                    "true" => true,
                    "false" => false,
                    _ => {
                        return Err(ApiError::query(format!(
                            "Invalid value '{value}' for $count query option found. Valid values are 'true, false'."
                        )));
                    }
                }
            }
            "$apply" => self.apply = Some(value.to_owned()),
            "$skiptoken" => self.skip_token = Some(value.to_owned()),
            "$id" => self.id = Some(value.to_owned()),
            "$skip" => return Err(ApiError::query("Skip Clause is not supported in CRM")),
            "$search" | "$format" | "$compute" | "$index" | "$deltatoken" => {
                return Err(ApiError::query(format!(
                    "The query option '{name}' is not supported."
                )));
            }
            "fetchXml" => self.fetch = Some(value.to_owned()),
            "savedQuery" | "userQuery" | "sql" | "partitionId" => {
                return Err(ApiError::not_simulated(&format!(
                    "The query option '{name}'"
                )));
            }
            _ if name.starts_with('$') => {
                return Err(ApiError::query(format!(
                    "The query parameter {name} is not supported"
                )));
            }
            _ => {}
        }
        Ok(())
    }

    /// Nothing but plain reading of one row's own columns.
    pub(crate) fn is_plain(&self) -> bool {
        self.expand.is_empty()
    }
}

/// Percent signs and plus signs undone, as for a form.
fn decode(text: &str) -> Outcome<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::query("The query is not UTF-8."))
}

fn names(value: &str) -> Outcome<Vec<String>> {
    let names: Vec<String> = value
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        return Err(ApiError::query("The value of $select is empty."));
    }
    Ok(names)
}

fn orders(value: &str) -> Outcome<Vec<Order>> {
    value
        .split(',')
        .map(|term| {
            let mut words = term.split_whitespace();
            let path = words
                .next()
                .ok_or_else(|| ApiError::query("A term of $orderby is empty."))?;
            let descending = match words.next() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(other) => {
                    return Err(ApiError::query(format!(
                        "Syntax error at '{other}' in $orderby."
                    )));
                }
            };
            Ok(Order {
                path: path.split('/').map(str::to_owned).collect(),
                descending,
            })
        })
        .collect()
}

fn expands(value: &str, aliases: &HashMap<String, String>, depth: usize) -> Outcome<Vec<Expand>> {
    if depth > MAX_DEPTH {
        return Err(ApiError::query("$expand is nested too deeply."));
    }
    split_outside(value, ',')
        .into_iter()
        .map(|item| {
            let item = item.trim();
            let (nav, inner) = match item.split_once('(') {
                None => (item, None),
                Some((nav, rest)) => {
                    let inner = rest.strip_suffix(')').ok_or_else(|| {
                        ApiError::query(format!("Syntax error at '{item}' in $expand."))
                    })?;
                    (nav, Some(inner))
                }
            };
            let mut pairs = Vec::new();
            for part in inner
                .map(|inner| split_outside(inner, ';'))
                .unwrap_or_default()
            {
                let (name, value) = part.split_once('=').ok_or_else(|| {
                    ApiError::query(format!("Syntax error at '{part}' in $expand."))
                })?;
                pairs.push((name.trim().to_owned(), value.to_owned()));
            }
            Ok(Expand {
                nav: nav.trim().trim_end_matches("/$ref").to_owned(),
                options: Options::from_pairs(&pairs, aliases.clone(), depth + 1)?,
            })
        })
        .collect()
}
