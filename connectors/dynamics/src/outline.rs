//! What an address tells without the table's metadata.

use crmgate_connector::{Credential, Failure, Malformed, Matched, Outline, RequestHead, Target};
use crmgate_domain::Kind;

use crate::connector::Dynamics;
use crate::key::{Key, Literal};
use crate::request::{self, Condition};
use crate::value;

/// A GUID in its usual form.
pub(crate) fn normal_id(text: &str) -> Result<String, Malformed> {
    value::guid(text).ok_or_else(|| {
        let message = format!("`{text}` is no record id: expected a GUID");
        Malformed::new("invalid_id", message)
    })
}

/// What a write's address and preconditions tell.
pub(crate) fn outline(head: &RequestHead, matched: &Matched) -> Result<Outline, Malformed> {
    let condition = request::condition(&head.headers, &head.method)?;
    let target = match matched.parameters.get("key") {
        None => Target::New,
        Some(key) => match Key::parse(key)? {
            Key::Id(id) => Target::Id(id),
            Key::Named(named) => Target::Key(as_written(named)),
        },
    };
    let requested = match (matched.route.id.as_str(), &condition) {
        ("create", _) | ("update", Condition::MustNotExist) => Kind::Create,
        ("update", Condition::None) => Kind::Upsert,
        ("delete", _) => Kind::Delete,
        _ => Kind::Update,
    };
    Ok(Outline {
        requested,
        object: matched.parameter("set").to_owned(),
        target,
    })
}

fn as_written(named: Vec<(String, Literal)>) -> Vec<(String, String)> {
    let mut written: Vec<(String, String)> = named
        .into_iter()
        .map(|(name, literal)| match literal {
            Literal::Quoted(text) | Literal::Bare(text) => (name, text),
        })
        .collect();
    written.sort();
    written
}

impl Dynamics {
    /// The table's logical name, of a table that is named by it or by its set; `None` when the
    /// environment has none of that name.
    pub(crate) async fn table_of_name(&self, name: &str) -> Result<Option<String>, Failure> {
        if let Some(map) = self.mapping.object_by_native(name) {
            return Ok(Some(map.native.clone()));
        }
        let directory = self.metadata.directory(&Credential::Service).await?;
        let entry = directory
            .by_set(name)
            .or_else(|| directory.by_name(name))
            .map(|entry| entry.name.clone());
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use crmgate_connector::Routes;
    use crmgate_connector::routes::split_path;
    use http::HeaderMap;

    use super::*;

    fn told(method: &str, path: &str, headers: HeaderMap) -> Result<Outline, Malformed> {
        let routes = Routes::parse(include_str!("../routes.yaml"), false).unwrap();
        let head = RequestHead {
            method: method.parse().unwrap(),
            uri: path.parse().unwrap(),
            headers,
            gate: "https://gate.test".parse().unwrap(),
        };
        let segments = split_path(head.path()).unwrap();
        outline(&head, &routes.find(&head.method, &segments).unwrap())
    }

    #[test]
    fn preconditions_tell_updates_from_upserts() {
        let path = "/api/data/v9.2/contacts(5D8A0E4C-0000-4000-8000-000000000001)";
        let plain = told("PATCH", path, HeaderMap::new()).unwrap();
        assert_eq!(plain.requested, Kind::Upsert);
        let id = "5d8a0e4c-0000-4000-8000-000000000001".to_owned();
        assert_eq!(plain.target, Target::Id(id));
        let pinned = [(http::header::IF_MATCH, "*".parse().unwrap())];
        let update = told("PATCH", path, pinned.into_iter().collect()).unwrap();
        assert_eq!(update.requested, Kind::Update);
        let new = told("POST", "/api/data/v9.2/contacts", HeaderMap::new()).unwrap();
        assert_eq!((new.requested, new.target), (Kind::Create, Target::New));
    }

    #[test]
    fn keys_are_told_in_one_order_and_bad_ones_refused() {
        let one = told(
            "PATCH",
            "/api/data/v9.2/contacts(b=2,a='x')",
            HeaderMap::new(),
        )
        .unwrap();
        let other = told(
            "PATCH",
            "/api/data/v9.2/contacts(a='x',b=2)",
            HeaderMap::new(),
        );
        assert_eq!(one, other.unwrap());
        let bad = told("PATCH", "/api/data/v9.2/contacts(7)", HeaderMap::new()).unwrap_err();
        assert_eq!(bad.code, "invalid_id");
    }
}
