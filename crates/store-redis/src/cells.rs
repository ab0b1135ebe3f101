//! Cells.

use std::time::Duration;

use async_trait::async_trait;
use crmgate_store::{Cell, Cells, StoreError, Swapped};
use redis::Value;

use crate::RedisStore;
use crate::scripts::SWAP;

impl RedisStore {
    fn cell_key(&self, key: &str) -> String {
        format!("{}:cell:{key}", self.prefix)
    }
}

fn cell(version: Option<u64>, body: Option<String>) -> Option<Cell> {
    Some(Cell {
        version: version?,
        body: body?,
    })
}

#[async_trait]
impl Cells for RedisStore {
    async fn cell(&self, key: &str) -> Result<Option<Cell>, StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(self.cell_key(key)).arg("v").arg("b");
        let (version, body) = self.link.ask(&read).await?;
        Ok(cell(version, body))
    }

    async fn swap(
        &self,
        key: &str,
        seen: Option<u64>,
        body: String,
        keep: Option<Duration>,
    ) -> Result<Swapped, StoreError> {
        let seen = seen.map(|version| version.to_string());
        let keep = keep.map(|keep| keep.as_millis().max(1).to_string());
        let mut call = SWAP.key(self.cell_key(key));
        call.arg(seen.unwrap_or_default())
            .arg(body)
            .arg(keep.unwrap_or_default());
        let answer: (Option<u64>, Option<Value>, Option<Value>) = self.link.run(&call).await?;
        match answer {
            (Some(version), _, _) => Ok(Swapped::Done(version)),
            (None, version, body) => {
                let read = |value: Option<Value>| value.filter(|value| *value != Value::Nil);
                let version = read(version).map(redis::from_redis_value::<u64>);
                let body = read(body).map(redis::from_redis_value::<String>);
                let unreadable =
                    |_| StoreError::Corrupt(format!("redis: the cell `{key}` is not one"));
                Ok(Swapped::Lost(cell(
                    version.transpose().map_err(unreadable)?,
                    body.transpose().map_err(unreadable)?,
                )))
            }
        }
    }
}
