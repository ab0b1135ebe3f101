//! The demo's fixed ports.

/// The ports, counted from a base.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) control: u16,
    pub(crate) gateway_salesforce: u16,
    pub(crate) gateway_dynamics: u16,
    pub(crate) ingress: u16,
    pub(crate) salesforce: u16,
    pub(crate) dynamics: u16,
    pub(crate) salesforce_tls: u16,
    pub(crate) dynamics_tls: u16,
}

impl Ports {
    /// The ports from a base on, which is far enough from the last port.
    pub(crate) const fn from(base: u16) -> Self {
        Self {
            control: base,
            gateway_salesforce: base + 1,
            gateway_dynamics: base + 2,
            ingress: base + 3,
            salesforce: base + 11,
            dynamics: base + 12,
            salesforce_tls: base + 13,
            dynamics_tls: base + 14,
        }
    }
}
