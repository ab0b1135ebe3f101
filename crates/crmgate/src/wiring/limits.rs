//! What the system grants this process, held against what the configuration promises.

use crate::config::Config;

/// Files and connections that are open whatever the load: the store, logs, watchers, upstreams.
const OWN: usize = 256;

/// Warns when the configured connections need more open files than the system grants. Linux only;
/// elsewhere there is nothing to read.
pub(crate) fn check(config: &Config) {
    let Ok(text) = std::fs::read_to_string("/proc/self/limits") else {
        return;
    };
    let listeners = 1
        + config
            .connections
            .values()
            .filter(|c| c.listen.is_some())
            .count()
        + usize::from(config.gateway.listen.is_some())
        + usize::from(config.ingress.listen.is_some());
    // Each call that comes in makes one that goes out.
    let wanted = listeners * config.limits.connections * 2 + OWN;
    if let Some(granted) = open_files(&text).filter(|granted| *granted < wanted) {
        tracing::warn!(
            granted,
            wanted,
            "the system grants fewer open files than `limits.connections` may need: raise the \
             limit (`ulimit -n`, `LimitNOFILE`) or lower the setting"
        );
    }
}

/// The soft limit; `None` when there is none.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::open_files;

    #[test]
    fn reads_the_soft_limit() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             94123                94123                processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(
            open_files("Max open files  unlimited  unlimited  files\n"),
            None
        );
        assert_eq!(open_files(""), None);
    }
}
