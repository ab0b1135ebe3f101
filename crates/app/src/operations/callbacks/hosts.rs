//! Where callbacks may go.

use std::net::IpAddr;

use url::{Host, Url};

use super::super::request::Wrong;
use super::Callbacks;

/// The longest address.
const MOST_URL: usize = 2000;

/// A host that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `hooks.example.com`.
    Exact(String),
    /// `*.example.com`: everything below.
    Below(String),
}

impl std::str::FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let host = Host::parse(name).map_err(|error| {
            format!("`{text}`: {error}; expected a host's name such as `hooks.example.com` or `*.example.com`")
        })?;
        let host = host.to_string().to_ascii_lowercase();
        Ok(if below {
            Self::Below(format!(".{host}"))
        } else {
            Self::Exact(host)
        })
    }
}

impl HostPattern {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Below(end) => host.ends_with(end.as_str()),
        }
    }
}

impl Callbacks {
    /// Whether an address may be called; where it leads to is looked at again when it is.
    pub(crate) fn check(&self, url: &str) -> Result<(), Wrong> {
        let wrong =
            |message: String| Err(Wrong::at("callback_not_allowed", "callback.url", message));
        if self.settings.hosts.is_empty() {
            return wrong(
                "there are no callbacks here: the setting `operations.callbacks.hosts` names no host"
                    .to_owned(),
            );
        }
        match self.allowed(url) {
            Ok(_) => Ok(()),
            Err(problem) => wrong(problem),
        }
    }

    pub(super) fn allowed(&self, text: &str) -> Result<Url, String> {
        if text.len() > MOST_URL {
            return Err(format!("expected at most {MOST_URL} characters"));
        }
        let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}"))?;
        let secure = url.scheme() == "https" || (url.scheme() == "http" && self.settings.private);
        if !secure {
            return Err(format!("`{text}`: expected an address with `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("expected an address without user name, password and fragment".to_owned());
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        if !self
            .settings
            .hosts
            .iter()
            .any(|pattern| pattern.takes(host))
        {
            return Err(format!(
                "the host `{host}` is not one of those that the setting `operations.callbacks.hosts` allows"
            ));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if !self.settings.private && address.is_some_and(|address| !is_public(address)) {
            return Err(format!(
                "`{host}` is an address of a private network, which the setting `operations.callbacks.private` does not allow"
            ));
        }
        Ok(url)
    }
}

/// Whether an address is one of the public Internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let embedded = v6.to_ipv4_mapped().or_else(|| nat64(v6));
            if let Some(v4) = embedded {
                return is_public(IpAddr::V4(v4));
            }
            // Of the public part only 2000::/3 is given out; 6to4 and Teredo hide other addresses.
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0db8))
        }
    }
}

fn nat64(address: std::net::Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(std::net::Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::CallbackSettings;
    use super::*;

    fn callbacks(hosts: &[&str], private: bool) -> Callbacks {
        let settings = CallbackSettings {
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            private,
            ..CallbackSettings::default()
        };
        Callbacks::new(settings, None)
    }

    fn refusal(callbacks: &Callbacks, url: &str) -> String {
        callbacks
            .check(url)
            .map_or_else(|wrong| wrong.message, |()| String::new())
    }

    #[test]
    fn only_named_hosts_are_called() {
        let none = callbacks(&[], false);
        assert!(refusal(&none, "https://a.example").contains("`operations.callbacks.hosts`"));
        let some = callbacks(&["hooks.example", "*.inner.example"], false);
        for good in [
            "https://hooks.example/x?y=1",
            "https://HOOKS.example:8443/",
            "https://a.inner.example",
        ] {
            assert_eq!(refusal(&some, good), "", "{good}");
        }
        for bad in [
            "https://inner.example",
            "https://evilinner.example",
            "https://hooks.example.evil",
            "http://hooks.example",
            "ftp://hooks.example",
            "https://user@hooks.example",
            "https://hooks.example#x",
            "https://evil@hooks.example:443@other.example/",
            "hooks.example",
            "",
        ] {
            assert_ne!(refusal(&some, bad), "", "{bad}");
        }
    }

    #[test]
    fn private_addresses_take_a_setting() {
        let shut = callbacks(&["127.0.0.1", "[::1]", "10.1.2.3"], false);
        for url in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.1.2.3/",
            "https://0x7f.1/",
        ] {
            assert!(
                refusal(&shut, url).contains("`operations.callbacks.private`"),
                "{url}"
            );
        }
        let open = callbacks(&["127.0.0.1"], true);
        assert_eq!(refusal(&open, "http://127.0.0.1:8080/x"), "");
    }

    #[test]
    fn public_addresses_are_told_from_others() {
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
