//! What of a decision is remembered: masked before it is recorded, never after.

use std::sync::Arc;

use crmgate_connector::NativeChange;
use crmgate_decision_log::mask::pointer;
use crmgate_decision_log::{Event, Scrubber};
use crmgate_domain::{Document, HoldId, Operation, Redaction, Views};
use crmgate_policy::{LogVerdict, MaskOp, MaskRule};
use crmgate_store::{Bound, DecisionRecord, HeldField, Payload, PayloadState, ReadBack};

use crate::Gate;
use crate::settings::PayloadKept;

pub(crate) mod classes;
mod hide;
pub(crate) mod seal;
pub(crate) mod seen;
#[cfg(test)]
mod tests;

use classes::{Marker, ObjectClasses};
use seen::Seen;

/// A decision on its way into the record: nothing in it is masked yet, so that the caller can be
/// told all of it.
pub(crate) struct Entry {
    pub(crate) record: DecisionRecord,
    pub(crate) judged: Option<Judged>,
}

/// What was judged.
#[derive(Clone)]
pub(crate) struct Judged {
    pub(crate) seen: Arc<Seen>,
    pub(crate) change: Option<Arc<dyn NativeChange>>,
    /// Values that are in no view, as those of a change that could not be looked up.
    pub(crate) besides: Vec<Document>,
    /// What people would be asked about, where they may have to be.
    pub(crate) asking: Option<Arc<Asking>>,
}

/// What a hold must know of what was judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asking {
    pub(crate) fields: Vec<HeldField>,
    pub(crate) bound: Bound,
    /// A hold whose agreements still stand.
    pub(crate) builds_on: Option<HoldId>,
    /// A hold that does not stand any more.
    pub(crate) replaces: Option<HoldId>,
}

impl std::fmt::Debug for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Judged").field(&self.seen.hash).finish()
    }
}

impl std::ops::Deref for Entry {
    type Target = DecisionRecord;

    fn deref(&self) -> &DecisionRecord {
        &self.record
    }
}

impl std::ops::DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut DecisionRecord {
        &mut self.record
    }
}

impl Gate {
    /// Writes down what was judged.
    pub(crate) fn seen(
        &self,
        operation: &Operation,
        views: &Views,
        change: Option<&Arc<dyn NativeChange>>,
        redactions: &[Redaction],
    ) -> Judged {
        let table = self.classes().table(operation);
        let settings = &self.settings().log;
        let known = change.map(AsRef::as_ref);
        let mut marker = table.marker(operation, known, settings, redactions);
        let seen = Seen::of(operation, views, &mut marker);
        table.learn(marker.finish());
        Judged {
            seen: Arc::new(seen),
            change: change.cloned(),
            besides: Vec::new(),
            asking: None,
        }
    }

    /// A read-back as the store gets it.
    pub(crate) fn sealed(&self, read_back: &ReadBack) -> ReadBack {
        seal::seal(read_back, &self.settings().log.key, self.ambient())
    }

    /// A read-back as the store gave it, readable again.
    pub(crate) fn unsealed(&self, read_back: &ReadBack) -> ReadBack {
        seal::unseal(read_back, &self.settings().log.key)
    }

    /// Masks a decision. INVARIANT: this is the only way into the record, and what cannot be
    /// masked is left out of it: the envelope stays, whatever happens.
    pub(crate) fn remember(&self, entry: Entry) -> DecisionRecord {
        let Entry { mut record, judged } = entry;
        record.opaque = record.opaque.as_deref().map(hide::opaque);
        let Some((judged, operation)) = judged.zip(record.operation.clone()) else {
            hide::addresses(&mut record.decision.judgement);
            return record;
        };
        let table = self.classes().table(&operation);
        let masking = Masking {
            gate: self,
            table: &table,
            operation: &operation,
            judged: &judged,
        };
        if let Err(problem) = masking.mask(&mut record) {
            self.meters().mask_failed();
            tracing::error!(
                connection = %self.connection(),
                decision = %record.decision.id,
                problem,
                "the masks of the decision log failed: what was judged is not kept"
            );
            hide::all(&mut record.decision.judgement, record.operation.as_mut());
            record.payload = Payload {
                state: PayloadState::MaskFailed,
                ..Payload::default()
            };
        }
        record
    }
}

/// What masking one decision goes by.
struct Masking<'a> {
    gate: &'a Gate,
    table: &'a ObjectClasses,
    operation: &'a Operation,
    judged: &'a Judged,
}

impl Masking<'_> {
    fn mask(&self, record: &mut DecisionRecord) -> Result<(), String> {
        let verdict = self.ask(record);
        // Where rules fail, the defaults still hold for what stays of the envelope.
        let (rules, failed) = match verdict {
            Ok(rules) => (rules, None),
            Err(problem) => (None, Some(problem)),
        };
        let mut hidden: Vec<Document> = self.judged.seen.hidden().collect();
        hidden.extend(self.judged.besides.iter().cloned());
        if let Some(rules) = &rules {
            hidden.extend(rules.hidden());
        }
        let scrubber = Scrubber::new(&hidden)?;
        let settings = &self.gate.settings().log;
        {
            let mut marker = self.marker(record);
            hide::judgement(
                &mut record.decision.judgement,
                &scrubber,
                &mut marker,
                settings,
            );
            if let Some(operation) = &mut record.operation {
                hide::operation(operation, &scrubber, &mut marker, settings);
            }
        }
        if let Some(problem) = failed {
            return Err(problem);
        }
        let dropped = rules.as_ref().is_some_and(|rules| rules.verdict.drop);
        record.payload = self.payload(record, &scrubber, rules)?;
        if dropped {
            record.payload = Payload {
                state: PayloadState::Dropped,
                ..Payload::default()
            };
        }
        Ok(())
    }

    fn marker(&self, record: &DecisionRecord) -> Marker<'_> {
        self.table.marker(
            self.operation,
            self.judged.change.as_deref(),
            &self.gate.settings().log,
            &record.decision.judgement.redactions,
        )
    }

    /// Asks the rules, where there are any, about the whole event.
    fn ask(&self, record: &DecisionRecord) -> Result<Option<Rules>, String> {
        let connection = self.gate.connection();
        let policies = self.gate.policies().current();
        if !policies.has_log_rules(connection) {
            return Ok(None);
        }
        let settings = &self.gate.settings().log;
        let input =
            Document::parse(self.judged.seen.text.as_bytes()).map_err(|error| error.to_string())?;
        let event = Event::decision(&settings.labels, record, None).with_input(input)?;
        let verdict = policies
            .log_verdict(connection, &event, self.operation.at, settings.mask_time)
            .map_err(|error| error.to_string())?;
        Ok(Some(Rules { event, verdict }))
    }

    fn payload(
        &self,
        record: &mut DecisionRecord,
        scrubber: &Scrubber,
        rules: Option<Rules>,
    ) -> Result<Payload, String> {
        let settings = &self.gate.settings().log;
        let changes_only = settings.payload == PayloadKept::Changes;
        let mut kept = self.judged.seen.kept(scrubber, &settings.key, changes_only);
        if let Some(rules) = rules {
            rules.apply(record, &mut kept, scrubber)?;
        }
        if settings.payload == PayloadKept::None {
            return Ok(Payload::default());
        }
        Ok(Payload {
            state: PayloadState::Kept,
            input: Some(kept.text).filter(|text| text != "null"),
            erased: kept.erased,
            masked: kept.masked,
        })
    }
}

/// What the rules said, and of what.
struct Rules {
    event: Document,
    verdict: LogVerdict,
}

impl Rules {
    /// The values that they hide.
    fn hidden(&self) -> impl Iterator<Item = Document> {
        let masks = self.verdict.masks.iter();
        masks.filter_map(|mask| pointer::get(&self.event, &pointer::parse(&mask.path)?).cloned())
    }

    /// Applies them behind the defaults: what those hid stays hidden.
    fn apply(
        self,
        record: &mut DecisionRecord,
        kept: &mut seen::Kept,
        scrubber: &Scrubber,
    ) -> Result<(), String> {
        if self.verdict.masks.is_empty() {
            return Ok(());
        }
        let mut both = crmgate_domain::Object::new();
        let input = Document::parse(kept.text.as_bytes()).map_err(|error| error.to_string())?;
        let result =
            serde_json::to_vec(&record.decision.judgement).map_err(|error| error.to_string())?;
        let result = Document::parse(&result).map_err(|error| error.to_string())?;
        both.set("input", input);
        both.set("result", result);
        let mut both = Document::Object(both);
        for MaskRule { path, op } in self.verdict.masks {
            let hidden_already = kept.masked.contains(&path) || kept.erased.contains(&path);
            let Some(parts) = pointer::parse(&path).filter(|_| !hidden_already) else {
                continue;
            };
            match op {
                MaskOp::Remove if pointer::remove(&mut both, &parts) => kept.erased.push(path),
                MaskOp::Remove => {}
                MaskOp::Upsert(mut value) => {
                    scrubber.document(&mut value);
                    if pointer::upsert(&mut both, &parts, value) {
                        kept.masked.push(path);
                    }
                }
            }
        }
        let input = pointer::get(&both, &["input".to_owned()]);
        kept.text = input.map_or_else(|| "null".to_owned(), Document::to_json);
        let nothing = Document::Null;
        let result = pointer::get(&both, &["result".to_owned()]).unwrap_or(&nothing);
        hide::as_masked(&mut record.decision.judgement, result);
        Ok(())
    }
}
