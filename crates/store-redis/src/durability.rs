//! What a Redis keeps when it is short of memory, or restarts.

use std::fmt;
use std::time::Duration;

use crmgate_store::StoreError;

use crate::RedisStore;

/// How a Redis is set up, as far as it tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durability {
    /// `maxmemory-policy`.
    pub eviction: Option<String>,
    /// `appendonly`.
    pub append_only: Option<String>,
    /// `appendfsync`.
    pub sync: Option<String>,
}

/// What is at risk with a setting. Accepted operations never are: they are rows of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Short of memory, it forgets keys instead of refusing writes.
    Evicts,
    /// It keeps nothing over a restart.
    Forgets,
    /// It does not say.
    Unknown,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicts => {
                "this Redis may forget keys when memory is short: set `maxmemory-policy` to \
                 `noeviction`; at risk are wake-ups and shares of allowances, not accepted \
                 operations, which are in the database and found again by the sweeper"
            }
            Self::Forgets => {
                "this Redis keeps nothing over a restart: set `appendonly` to `yes`; at risk are \
                 wake-ups and shares of allowances, not accepted operations, which are in the \
                 database and found again by the sweeper"
            }
            Self::Unknown => {
                "this Redis does not say how it is set up (`CONFIG GET` is forbidden, as managed \
                 services do): see to it that `maxmemory-policy` is `noeviction` and `appendonly` \
                 is `yes`"
            }
        })
    }
}

impl Durability {
    /// What is at risk.
    #[must_use]
    pub fn risks(&self) -> Vec<Risk> {
        let (Some(eviction), Some(append_only)) = (&self.eviction, &self.append_only) else {
            return vec![Risk::Unknown];
        };
        let mut risks = Vec::new();
        if eviction != "noeviction" {
            risks.push(Risk::Evicts);
        }
        if append_only != "yes" {
            risks.push(Risk::Forgets);
        }
        risks
    }
}

impl RedisStore {
    /// How the server is set up. One that does not say is no error.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        Ok(Durability {
            eviction: self.setting("maxmemory-policy").await?,
            append_only: self.setting("appendonly").await?,
            sync: self.setting("appendfsync").await?,
        })
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg(name);
        match self.link.ask::<Vec<String>>(&get).await {
            Ok(answer) => Ok(answer.into_iter().nth(1)),
            // Whether it is forbidden or lost shows by what is always allowed.
            Err(_) => self.ping().await.map(|()| None),
        }
    }

    /// Looks at the settings now and every so often, and warns of what is at risk, until it is
    /// dropped.
    pub async fn watch_durability(&self, every: Duration) {
        let mut told: Option<Vec<Risk>> = None;
        let mut failed = false;
        loop {
            match self.durability().await {
                Ok(found) => {
                    failed = false;
                    let risks = found.risks();
                    if told.is_none()
                        && let Some(sync) = &found.sync
                    {
                        tracing::info!(appendfsync = %sync, "redis tells how much of its newest it may lose");
                    }
                    for risk in &risks {
                        tracing::warn!("{risk}");
                    }
                    told = Some(risks);
                }
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!("how redis is set up cannot be looked at now: {error}");
                }
                Err(_) => {}
            }
            // One that did not answer is asked sooner.
            let pause = if failed {
                Duration::from_secs(30)
            } else {
                every
            };
            tokio::time::sleep(pause).await;
        }
    }
}
