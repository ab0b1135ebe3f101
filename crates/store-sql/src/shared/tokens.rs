//! crmgate's own tokens.

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use crmgate_store::{NewToken, StoreError, TokenInfo, TokenLog};
use sqlx::Row as _;

use super::steps::with_record;
use super::{Row, Store, sql, within};
use crate::convert::{nanoseconds, read, timestamp, write};

fn stored(row: &Row) -> Result<NewToken, StoreError> {
    let info: TokenInfo = read("a token", row.get(2))?;
    let revoked: Option<i64> = row.get(1);
    Ok(NewToken {
        info: TokenInfo {
            revoked_at: revoked.map(timestamp).transpose()?,
            ..info
        },
        secret_hash: row.get(0),
    })
}

#[async_trait]
impl TokenLog for Store {
    async fn add_token(&self, token: NewToken) -> Result<(), StoreError> {
        let body = write("a token", &token.info)?;
        let id = token.info.id.clone();
        let revoked = token.info.revoked_at.map(nanoseconds);
        let added = with_record(self, move |writer| {
            let query = sql(
                "INSERT INTO tokens (id, secret_hash, revoked_at, body) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(token.info.id.clone())
            .bind(token.secret_hash.clone())
            .bind(revoked)
            .bind(body.clone());
            Box::pin(
                async move { Ok(query.execute(&mut writer.connection).await?.rows_affected()) },
            )
        })
        .await?;
        if added == 0 {
            return Err(StoreError::Exists(format!("token `{id}`")));
        }
        Ok(())
    }

    async fn token(&self, id: &str) -> Result<Option<NewToken>, StoreError> {
        let row = within(
            sql("SELECT secret_hash, revoked_at, body FROM tokens WHERE id = ?")
                .bind(id)
                .fetch_optional(self.reader()),
        )
        .await?;
        row.as_ref().map(stored).transpose()
    }

    async fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError> {
        let rows = within(
            sql("SELECT secret_hash, revoked_at, body FROM tokens ORDER BY seq DESC")
                .fetch_all(self.reader()),
        )
        .await?;
        rows.iter().map(|row| Ok(stored(row)?.info)).collect()
    }

    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let at = nanoseconds(at);
        let revoked = with_record(self, move |writer| {
            let query = sql("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
                .bind(at)
                .bind(id.clone());
            Box::pin(
                async move { Ok(query.execute(&mut writer.connection).await?.rows_affected()) },
            )
        })
        .await?;
        Ok(revoked > 0)
    }
}
