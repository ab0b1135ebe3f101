//! What is counted of workers. Labels are connections and fixed words.

use std::time::Duration;

use crmgate_domain::{ConnectionName, Timestamp};
use crmgate_telemetry::Each;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::fair::{Shared, WaitFor};

/// The handles of one connection's places.
#[derive(Debug)]
pub(crate) struct FairMeters {
    waited: Histogram,
    turned_back: Each<WaitFor, Counter>,
    under_way: Gauge,
    limit: Gauge,
    bucket: Gauge,
    breaker: Gauge,
    today: Gauge,
    processes: Gauge,
}

impl FairMeters {
    pub(crate) fn new(connection: &ConnectionName) -> Self {
        describe();
        let name = connection.to_string();
        let gauge = |metric: &'static str| gauge!(metric, "connection" => name.clone());
        Self {
            waited: histogram!("crmgate_worker_place_wait_seconds", "connection" => name.clone()),
            turned_back: Each::of(&WaitFor::ALL, |why| {
                counter!("crmgate_worker_turned_back_total",
                    "connection" => name.clone(), "why" => why.as_str())
            }),
            under_way: gauge("crmgate_worker_calls_under_way"),
            limit: gauge("crmgate_worker_call_limit"),
            bucket: gauge("crmgate_worker_bucket_calls"),
            breaker: gauge("crmgate_worker_breaker_open"),
            today: gauge("crmgate_worker_calls_today"),
            processes: gauge("crmgate_worker_processes"),
        }
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.waited.record(time);
    }

    pub(crate) fn turned_back(&self, why: WaitFor) {
        if let Some(counter) = self.turned_back.get(why) {
            counter.increment(1);
        }
    }

    pub(crate) fn under_way(&self, calls: u32) {
        self.under_way.set(f64::from(calls));
    }

    pub(crate) fn knows(&self, shared: &Shared, now: Timestamp) {
        self.limit.set(shared.limit().calls());
        self.bucket.set(shared.bucket().tokens());
        let open = !shared.breaker().is_closed();
        self.breaker.set(if open { 1.0 } else { 0.0 });
        self.today.set(number(shared.spent(now)));
        let processes = u64::try_from(shared.processes()).unwrap_or(u64::MAX);
        self.processes.set(number(processes));
    }
}

/// The handles of the worker as a whole.
#[derive(Debug, Clone)]
pub(crate) struct WorkerMeters {
    lost_leases: Counter,
    swept: Counter,
    relayed: Counter,
    relay_lost: Counter,
}

impl WorkerMeters {
    pub(crate) fn new() -> Self {
        describe_worker();
        Self {
            lost_leases: counter!("crmgate_worker_lost_leases_total"),
            swept: counter!("crmgate_worker_swept_total"),
            relayed: counter!("crmgate_worker_relayed_jobs_total"),
            relay_lost: counter!("crmgate_worker_relay_lost_jobs_total"),
        }
    }

    pub(crate) fn lost_leases(&self, count: usize) {
        self.lost_leases.increment(whole(count));
    }

    pub(crate) fn swept(&self, count: usize) {
        self.swept.increment(whole(count));
    }

    pub(crate) fn relayed(&self, count: usize) {
        self.relayed.increment(whole(count));
    }

    pub(crate) fn relay_lost(&self, count: usize) {
        self.relay_lost.increment(whole(count));
    }
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn number(count: u64) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

fn describe() {
    describe_histogram!(
        "crmgate_worker_place_wait_seconds",
        Unit::Seconds,
        "How long calls waited for their place."
    );
    describe_counter!(
        "crmgate_worker_turned_back_total",
        Unit::Count,
        "Calls for which no place could be had soon, by what stood in the way."
    );
    describe_gauge!(
        "crmgate_worker_calls_under_way",
        Unit::Count,
        "Calls to the CRM that this process's workers have under way."
    );
    describe_gauge!(
        "crmgate_worker_call_limit",
        Unit::Count,
        "Calls that all processes may have under way: grows with good answers, halves on a throttle."
    );
    describe_gauge!(
        "crmgate_worker_bucket_calls",
        Unit::Count,
        "Calls that all processes may begin now."
    );
    describe_gauge!(
        "crmgate_worker_breaker_open",
        Unit::Count,
        "1 while the CRM is left alone because it does not answer."
    );
    describe_gauge!(
        "crmgate_worker_calls_today",
        Unit::Count,
        "Calls that the workers of all processes made on this day (UTC)."
    );
    describe_gauge!(
        "crmgate_worker_processes",
        Unit::Count,
        "Processes that share the connection's calls."
    );
}

fn describe_worker() {
    describe_counter!(
        "crmgate_worker_lost_leases_total",
        Unit::Count,
        "Operations whose lease ended while this process still worked on them."
    );
    describe_counter!(
        "crmgate_worker_swept_total",
        Unit::Count,
        "Operations that should have been moving and were woken again."
    );
    describe_counter!(
        "crmgate_worker_relayed_jobs_total",
        Unit::Count,
        "Jobs that were put into a queue outside of the database."
    );
    describe_counter!(
        "crmgate_worker_relay_lost_jobs_total",
        Unit::Count,
        "Jobs that could not be put there and are left to the sweeper."
    );
}
