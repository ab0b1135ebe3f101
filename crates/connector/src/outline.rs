//! What a write is about, as far as it can be told without asking the CRM: enough to take it into
//! a queue, in its record's lane.

use crmgate_domain::Kind;

use crate::{Malformed, Matched, Target};

/// What the address of a write tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What is asked.
    pub requested: Kind,
    /// The object, as the address names it.
    pub object: String,
    /// The record: an id is normalized, a key stands as written.
    pub target: Target,
}

impl Outline {
    /// The outline of a write whose route is named after what it does and has the parameters
    /// `object`, and `id` or `field` and `value`.
    ///
    /// # Errors
    /// When the id is none.
    pub fn of(
        matched: &Matched,
        normal_id: impl Fn(&str) -> Result<String, Malformed>,
    ) -> Result<Self, Malformed> {
        let keyed = || {
            let key = (matched.parameter("field"), matched.parameter("value"));
            Target::Key(vec![(key.0.to_owned(), key.1.to_owned())])
        };
        let target = match matched.parameters.get("id") {
            Some(id) => Target::Id(normal_id(id)?),
            None if matched.parameters.contains_key("field") => keyed(),
            None => Target::New,
        };
        let requested = match (matched.route.id.as_str(), &target) {
            ("delete", _) => Kind::Delete,
            ("upsert", _) | (_, Target::Key(_)) => Kind::Upsert,
            (_, Target::New) => Kind::Create,
            (_, Target::Id(_)) => Kind::Update,
        };
        Ok(Self {
            requested,
            object: matched.parameter("object").to_owned(),
            target,
        })
    }
}
