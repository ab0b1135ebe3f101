//! Host names whose addresses may not all be reached.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves as the system does, and keeps the addresses that may be reached: a name that leads to
/// others leads nowhere.
pub(crate) struct Choosy(pub(crate) fn(IpAddr) -> bool);

impl Resolve for Choosy {
    fn resolve(&self, name: Name) -> Resolving {
        let may = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept: Vec<SocketAddr> = found.filter(|address| may(address.ip())).collect();
            if kept.is_empty() {
                return Err("the host has no address that may be reached".into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}
