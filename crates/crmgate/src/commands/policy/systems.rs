//! The kinds of CRM that policies are tried for.

use crmgate_connector::ConnectorKind;
use crmgate_policy::cases::System;

use crate::wiring::connections::KINDS;

/// Every kind of CRM, with a connection named as the kind.
pub(super) fn all() -> Vec<System> {
    let system = |kind: &&dyn ConnectorKind| {
        let sample = kind.sample();
        Some(System {
            name: kind.system().to_owned(),
            connection: kind.system().parse().ok()?,
            record_id: sample.record_id.to_owned(),
            native_objects: sample.objects.into_iter().collect(),
        })
    };
    KINDS.iter().filter_map(system).collect()
}
