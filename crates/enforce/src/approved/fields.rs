//! What people are shown of a change.

use std::sync::Arc;

use crmgate_connector::NativeChange;
use crmgate_decision_log::Treatment;
use crmgate_decision_log::mask::treated;
use crmgate_domain::{Document, FieldRef, Operation, Redaction};
use crmgate_store::HeldField;

use crate::Gate;
use crate::remember::classes::View;
use crate::settings::LogSettings;

/// Field by field: what policies hide is hidden for good, what is about a person is marked.
pub(super) fn of(
    gate: &Gate,
    operation: &Operation,
    change: &Arc<dyn NativeChange>,
    redactions: &[Redaction],
) -> Vec<HeldField> {
    let key = &gate.settings().log.key;
    // Hides what packages hide, and nothing else but secrets.
    let open = LogSettings {
        personal: Treatment::Keep,
        sensitive: Treatment::Keep,
        unmapped: Treatment::Keep,
        ..LogSettings::default()
    };
    let careful = LogSettings {
        unmapped: Treatment::Keep,
        ..LogSettings::default()
    };
    let table = gate.classes().table(operation);
    let known = Some(change.as_ref());
    let mut hiding = table.marker(operation, known, &open, redactions);
    let mut marking = table.marker(operation, known, &careful, &[]);
    let mut fields = Vec::new();
    for (name, change) in &change.views().changes {
        let field = FieldRef(name.clone());
        let (view, bare) = match field.native() {
            Some(native) => (View::Native, native.to_owned()),
            None => (View::Canonical, name.clone()),
        };
        let mut hide = |value: &Document| {
            let treatment = hiding.treatment(view, &bare, value);
            treated(value, treatment, key)
        };
        let from = change.from.as_ref().and_then(&mut hide);
        let dropped = || crmgate_decision_log::REDACTED.into();
        let to = hide(&change.to).unwrap_or_else(dropped);
        let told = [Some(&change.to), change.from.as_ref()];
        let mut told = told.into_iter().flatten();
        let confidential =
            told.any(|value| marking.treatment(view, &bare, value) != Treatment::Keep);
        fields.push(HeldField {
            field,
            from,
            to,
            confidential,
        });
    }
    fields
}

impl Gate {
    /// The change as asked, without what packages hide from people.
    pub(crate) fn shown(
        &self,
        operation: &Operation,
        change: &Arc<dyn NativeChange>,
        redactions: &[Redaction],
        summary: Document,
    ) -> Document {
        let Document::Object(members) = summary else {
            return summary;
        };
        let open = LogSettings {
            personal: Treatment::Keep,
            sensitive: Treatment::Keep,
            unmapped: Treatment::Keep,
            ..LogSettings::default()
        };
        let table = self.classes().table(operation);
        let mut hiding = table.marker(operation, Some(change.as_ref()), &open, redactions);
        let key = &self.settings().log.key;
        let members = members.into_iter().filter_map(|(name, value)| {
            let treatment = hiding.treatment(View::Native, &name, &value);
            Some((name, treated(&value, treatment, key)?))
        });
        Document::Object(members.collect())
    }
}
