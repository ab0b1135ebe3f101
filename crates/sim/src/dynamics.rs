//! The simulated Dynamics 365 environment.
