//! What the application as a whole tells about itself.

use crmgate_domain::{ConnectionName, Mode};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::App;

/// What a reload can come to.
const RELOADS: [&str; 3] = ["changed", "same", "broken"];

/// Tells the recorder of metrics what each number is.
pub(crate) fn describe() {
    describe_gauge!(
        "crmgate_crm_reachable",
        Unit::Count,
        "1 while the CRM tells us, with the connection's own credential, who we are."
    );
    describe_gauge!(
        "crmgate_connection_observing",
        Unit::Count,
        "1 in observe mode: nothing is protected."
    );
    describe_gauge!(
        "crmgate_connection_fail_open",
        Unit::Count,
        "1 where what cannot be judged passes."
    );
    describe_gauge!(
        "crmgate_holds_waiting",
        Unit::Count,
        "Held operations that wait for people."
    );
    describe_gauge!(
        "crmgate_policy_degraded",
        Unit::Count,
        "1 while the newest policies are broken and the last good revision is in force."
    );
    describe_gauge!(
        "crmgate_policy_shut",
        Unit::Count,
        "1 where no layer of the connection's own could be loaded: its operations are in error."
    );
    describe_gauge!(
        "crmgate_policy_benched",
        Unit::Count,
        "Packages that are left out for now because they did not stop by the deadline."
    );
    describe_gauge!(
        "crmgate_policy_loaded_timestamp_seconds",
        Unit::Seconds,
        "When the policies in force came into force, in seconds since 1970."
    );
    describe_gauge!(
        "crmgate_policy_packages",
        Unit::Count,
        "Packages of both layers that are loaded."
    );
    describe_counter!(
        "crmgate_policy_reloads_total",
        Unit::Count,
        "Reloads of the policies, by what came of them."
    );
    describe_record();
    for result in RELOADS {
        counter!("crmgate_policy_reloads_total", "result" => result).absolute(0);
    }
}

/// What the record's keeper tells.
fn describe_record() {
    describe_gauge!(
        "crmgate_record_checkpoint_age_seconds",
        Unit::Seconds,
        "For how long a sink has lacked a checkpoint; 0 while it has all."
    );
    describe_counter!(
        "crmgate_record_checkpoints_total",
        Unit::Count,
        "Checkpoints that a sink has taken."
    );
    describe_gauge!(
        "crmgate_record_whole",
        Unit::Count,
        "1 as long as verification finds the record as it was written; 0: somebody changed it."
    );
    describe_gauge!(
        "crmgate_record_faults",
        Unit::Count,
        "What the last verification found."
    );
    describe_gauge!(
        "crmgate_record_verified_entries",
        Unit::Count,
        "Entries that the last verification went through."
    );
    describe_counter!(
        "crmgate_record_pruned_total",
        Unit::Count,
        "What was old enough to go, by what it was."
    );
    describe_counter!(
        "crmgate_record_erased_total",
        Unit::Count,
        "Decisions whose payload was erased on request."
    );
    counter!("crmgate_record_erased_total").increment(0);
    for what in ["payloads", "entries", "sightings", "revisions", "holds"] {
        counter!("crmgate_record_pruned_total", "what" => what).increment(0);
    }
}

pub(crate) fn reloaded(result: &'static str) {
    counter!("crmgate_policy_reloads_total", "result" => result).increment(1);
}

pub(crate) fn reachable(connection: &ConnectionName, reachable: bool) {
    set(
        "crmgate_crm_reachable",
        connection,
        u8::from(reachable).into(),
    );
}

fn set(metric: &'static str, connection: &ConnectionName, value: f64) {
    gauge!(metric, "connection" => connection.to_string()).set(value);
}

impl App {
    /// Sets the numbers that are states and not events: call it before they are read.
    pub fn measure(&self) {
        let status = self.policies().status();
        let set_in_force = self.policies().active().current();
        for connection in self.connections().iter() {
            let name = connection.name();
            let own = |layer: Option<&ConnectionName>| layer.is_none_or(|of| of == name);
            let packages = set_in_force.packages().filter(|(of, _)| own(*of)).count();
            let packages = u32::try_from(packages).unwrap_or(u32::MAX);
            let broken = status.connections.iter().find(|of| of.connection == *name);
            let shut = broken.is_some_and(|broken| broken.shut);
            for (metric, is_so) in [
                (
                    "crmgate_connection_observing",
                    connection.mode() == Mode::Observe,
                ),
                (
                    "crmgate_connection_fail_open",
                    connection.gate().settings().fail_open,
                ),
                (
                    "crmgate_policy_degraded",
                    status.degraded || broken.is_some(),
                ),
                ("crmgate_policy_shut", shut),
            ] {
                set(metric, name, u8::from(is_so).into());
            }
            set("crmgate_policy_packages", name, packages.into());
            let benched = connection.gate().benched().len();
            let benched = u32::try_from(benched).unwrap_or(u32::MAX);
            set("crmgate_policy_benched", name, benched.into());
            let since = status.since.as_duration().as_secs_f64();
            set("crmgate_policy_loaded_timestamp_seconds", name, since);
        }
    }

    /// Counts what waits in the store.
    pub(crate) async fn measure_holds(&self) {
        let names: Vec<ConnectionName> = self
            .connections()
            .iter()
            .map(|connection| connection.name().clone())
            .collect();
        self.holds().measure_age(&names).await;
        match self.holds().waiting().await {
            Ok(waiting) => {
                for connection in self.connections().iter() {
                    let count = waiting.get(connection.name()).copied().unwrap_or(0);
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    set("crmgate_holds_waiting", connection.name(), count.into());
                }
            }
            Err(error) => tracing::warn!(%error, "held operations could not be counted"),
        }
    }
}
