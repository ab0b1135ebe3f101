//! Puts the parts together.

pub(crate) mod bundles;
pub(crate) mod certificates;
pub(crate) mod child;
pub(crate) mod connections;
pub(crate) mod decision_log;
pub(crate) mod ingress;
pub(crate) mod kill_point;
pub(crate) mod limits;
pub(crate) mod listeners;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod policies;
pub(crate) mod record;
pub(crate) mod room;
pub(crate) mod running;
pub(crate) mod signals;
pub(crate) mod store;
pub(crate) mod traces;
pub(crate) mod watch;
pub(crate) mod watermark;
pub(crate) mod work;
