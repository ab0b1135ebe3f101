//! What people agreed to: what it is bound to, whether it still stands, and what it lets pass.
//!
//! INVARIANT: an agreement counts only for the payload it was given for, and only while the stored
//! values that were read or written then are the same now.

use std::collections::BTreeSet;
use std::sync::Arc;

use crmgate_connector::NativeChange;
use crmgate_connector::vocabulary::{DataClass, Vocabulary};
use crmgate_domain::approval::{Approvers, Given};
use crmgate_domain::{
    Actor, Document, FieldRef, FieldSet, HoldId, Object, Operation, OperationId, PayloadHash,
    Reads, Views,
};
use crmgate_store::{Bound, HeldField, Hold, HoldStatus, StoreError};

use crate::remember::Asking;
use crate::{Ask, Assessment, Gate, NotJudged, hash};

mod fields;
mod ticket;

pub(crate) use ticket::came_to_nothing;

/// How many holds that build on each other are looked at.
const MOST_LINKS: usize = 16;

/// Holds in which the same was asked before, the newest first, with what was answered there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prior {
    pub(crate) links: Vec<(Hold, Given)>,
    /// Whether the stored values are wanted that agreeing is bound to.
    pub(crate) bind: bool,
    /// Whether they are wanted in any case: what is queued always goes out pinned to what was
    /// read, so that a lost answer can be told from one that never came.
    pub(crate) pinned: bool,
}

impl Prior {
    /// Nothing was asked; the stored values are wanted.
    pub(crate) const fn binding() -> Self {
        Self {
            links: Vec::new(),
            bind: true,
            pinned: false,
        }
    }

    /// The newest.
    pub(crate) fn newest(&self) -> Option<&Hold> {
        self.links.first().map(|(hold, _)| hold)
    }

    /// Fields whose stored values agreeing is bound to, whatever policies read.
    pub(crate) fn fields(&self, ask: &Ask) -> FieldSet {
        if !self.bind {
            return FieldSet::default();
        }
        let changed = ask.draft.change.iter().flat_map(Object::iter);
        let changed = changed.map(|(name, _)| FieldRef(format!("native.{name}")));
        let bound = self
            .links
            .iter()
            .filter_map(|(hold, _)| hold.bound.as_ref());
        let bound = bound.flat_map(|bound| bound.fields.iter().cloned());
        FieldSet::Only(changed.chain(bound).collect())
    }

    /// Who can agree, and what still stands of what was agreed.
    pub(crate) fn approvers(&self, gate: &Gate, ask: &Ask, views: &Views) -> Approvers {
        // Nobody was asked before most judgements: then there is nothing to be compared.
        let asked = (!self.links.is_empty()).then(|| hash::asked(&ask.caller.actor, &ask.draft));
        let standing = self
            .links
            .iter()
            .rev()
            .filter(|(hold, _)| Some(hold.payload_hash) == asked && fits(hold, views));
        let settings = gate.settings();
        Approvers {
            people: settings.people.clone().unwrap_or_default(),
            searched: settings.people.is_some(),
            requester: requester(&ask.caller.actor),
            given: standing.map(|(_, given)| given.clone()).collect(),
        }
    }
}

/// All by which whoever asks is known.
pub(crate) fn requester(actor: &Actor) -> Vec<String> {
    let named = [
        Some(&actor.id),
        actor.username.as_ref(),
        actor.email.as_ref(),
        actor.on_behalf_of.as_ref(),
    ];
    let mut names: Vec<String> = named.into_iter().flatten().cloned().collect();
    names.retain(|name| !name.trim().is_empty());
    names.dedup();
    names
}

/// Whether what agreeing is bound to is as it was.
fn fits(hold: &Hold, views: &Views) -> bool {
    let bound = hold.bound.as_ref();
    bound.is_some_and(|bound| stored_values(views, &bound.fields) == bound.stored)
}

/// SHA-256 over the stored values of those fields.
fn stored_values(views: &Views, fields: &[FieldRef]) -> PayloadHash {
    let mut text = String::new();
    for field in fields {
        hash::write_text(&field.0, &mut text);
        let value = match field.native() {
            Some(name) => views.native_before.as_ref().and_then(|it| it.get(name)),
            None => views.before.as_ref().and_then(|it| it.get(&field.0)),
        };
        match value {
            Some(value) => hash::write(value, &mut text),
            // What is not there differs from what is null.
            None => text.push('-'),
        }
    }
    PayloadHash::of(&[text.as_bytes()])
}

/// The stored fields that are read or written. Where a package reads every field, those that the
/// vocabulary knows and people can set: what the CRM itself sets changes with every write.
fn bound_fields(operation: &Operation, views: &Views, reads: &Reads) -> Vec<FieldRef> {
    let mut fields: BTreeSet<FieldRef> = views.changes.keys().cloned().map(FieldRef).collect();
    if views.before.is_none() && views.native_before.is_none() {
        return Vec::new();
    }
    match reads.all_fields() {
        FieldSet::Only(read) => fields.extend(read),
        FieldSet::All => {
            let vocabulary = Vocabulary::standard();
            let settable = |name: &&str| {
                let field = vocabulary.field(&operation.object, name);
                field.is_some_and(|field| field.class != DataClass::System)
            };
            let names = views.before.iter().flat_map(Object::iter);
            let names = names.map(|(name, _)| name).filter(settable);
            fields.extend(names.map(|name| FieldRef(name.to_owned())));
        }
    }
    fields.into_iter().collect()
}

/// An agreement as policies see it.
pub(crate) fn as_input(given: &[Given]) -> Vec<Document> {
    let told = given.iter().flat_map(|given| {
        given.votes.iter().map(|vote| {
            let mut shown = Object::new();
            shown.set("hold", given.hold.to_string().as_str().into());
            shown.set("by", vote.person.as_str().into());
            shown.set("choice", vote.choice.as_str().into());
            shown.set("at", vote.at.to_string().as_str().into());
            let agreements = vote.agreements.iter().map(|agreement| {
                let mut one = Object::new();
                one.set("package", agreement.package.as_str().into());
                one.set("code", agreement.code.as_str().into());
                Document::Object(one)
            });
            shown.set("agreements", Document::Array(agreements.collect()));
            Document::Object(shown)
        })
    });
    told.collect()
}

impl Gate {
    /// What was answered in a hold, and in those that it builds on.
    pub(crate) async fn prior(&self, newest: Hold) -> Result<Prior, StoreError> {
        let mut prior = Prior::binding();
        let mut next = Some(newest);
        while let Some(hold) = next.take().filter(|_| prior.links.len() < MOST_LINKS) {
            let usable = matches!(hold.status, HoldStatus::Approved | HoldStatus::Spent);
            let votes = if usable {
                self.in_time(self.store().votes(hold.id)).await?
            } else {
                Vec::new()
            };
            if let Some(id) = hold.builds_on {
                next = self.in_time(self.store().held(id)).await?;
            }
            let given = Given {
                hold: hold.id,
                votes,
            };
            prior.links.push((hold, given));
        }
        Ok(prior)
    }

    /// Judges a queued operation with what people have agreed to since it was held.
    pub(crate) async fn assess_queued(
        &self,
        ask: &Ask,
        id: OperationId,
        hold: Option<HoldId>,
    ) -> Result<Assessment, NotJudged> {
        let mut prior = match hold {
            None => Prior::binding(),
            Some(hold) => match self.prior_of(hold).await {
                Ok(prior) => prior,
                Err(error) => return Err(self.unreadable(ask, id, &error)),
            },
        };
        prior.pinned = true;
        self.assess(ask, id, &prior).await
    }

    async fn prior_of(&self, hold: HoldId) -> Result<Prior, StoreError> {
        match self.in_time(self.store().held(hold)).await? {
            Some(hold) => self.prior(hold).await,
            None => Ok(Prior::binding()),
        }
    }

    /// What a hold must know of what was judged.
    pub(crate) fn asking(
        &self,
        operation: &Operation,
        (change, reads): (&Arc<dyn NativeChange>, &Reads),
        prior: &Prior,
        redactions: &[crmgate_domain::Redaction],
    ) -> Asking {
        let views = change.views();
        let fields = bound_fields(operation, views, reads);
        let bound = Bound {
            stored: stored_values(views, &fields),
            fields,
        };
        let before = prior
            .newest()
            .filter(|hold| matches!(hold.status, HoldStatus::Waiting | HoldStatus::Approved));
        let stands = before.is_some_and(|hold| fits(hold, views));
        let agreed = before.filter(|hold| stands && hold.status == HoldStatus::Approved);
        // A queued operation that is judged again waits in no hold any more.
        let left = |hold: &&Hold| hold.status == HoldStatus::Waiting && hold.queued.is_some();
        let stale = before.filter(|hold| !stands || left(hold));
        Asking {
            fields: self.held_fields(operation, change, redactions),
            bound,
            builds_on: agreed.map(|hold| hold.id),
            replaces: stale.map(|hold| hold.id),
        }
    }

    fn held_fields(
        &self,
        operation: &Operation,
        change: &Arc<dyn NativeChange>,
        redactions: &[crmgate_domain::Redaction],
    ) -> Vec<HeldField> {
        fields::of(self, operation, change, redactions)
    }
}
