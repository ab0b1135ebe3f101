//! Listeners: TLS, limits, graceful shutdown.
