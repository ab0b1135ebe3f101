//! Open sessions, by access token.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::id::RecordId;
use crate::clock::Clock;
use crate::entropy::Entropy;

/// How many sessions are kept before dead ones are swept out.
const SWEEP_AT: usize = 10_000;

/// One open session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: RecordId,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    /// Milliseconds since 1970.
    pub(crate) issued: i64,
    expires: AtomicI64,
}

/// All open sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    open: RwLock<HashMap<String, Arc<Session>>>,
    clock: Clock,
    lifetime: i64,
}

impl Session {
    /// When it idles out, in milliseconds since 1970.
    pub(crate) fn expires(&self) -> i64 {
        self.expires.load(Ordering::Relaxed)
    }

    /// Whether it may use the REST interface.
    pub(crate) fn may_use_api(&self) -> bool {
        self.scopes
            .iter()
            .any(|scope| matches!(scope.as_str(), "api" | "full" | "web"))
    }
}

impl Sessions {
    pub(crate) fn new(clock: Clock, lifetime: Duration) -> Self {
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX / 2);
        Self {
            open: RwLock::default(),
            clock,
            lifetime,
        }
    }

    /// Opens a session under a token that nobody can guess.
    pub(crate) fn open(
        &self,
        entropy: &Entropy,
        org: &str,
        user: RecordId,
        client_id: &str,
        scopes: Vec<String>,
    ) -> (String, Arc<Session>) {
        let org = org.get(..15).unwrap_or(org);
        let token = format!(
            "{org}!AQ{}",
            URL_SAFE_NO_PAD.encode([entropy.draw(), entropy.draw()].concat())
        );
        let session = self.open_as(token.clone(), user, client_id, scopes);
        (token, session)
    }

    /// Opens a session under this token.
    pub(crate) fn open_as(
        &self,
        token: String,
        user: RecordId,
        client_id: &str,
        scopes: Vec<String>,
    ) -> Arc<Session> {
        let issued = self.clock.millis();
        let expires = AtomicI64::new(issued.saturating_add(self.lifetime));
        let session = Arc::new(Session {
            user,
            client_id: client_id.to_owned(),
            scopes,
            issued,
            expires,
        });
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= SWEEP_AT {
            open.retain(|_, session| session.expires() > issued);
        }
        open.insert(token, Arc::clone(&session));
        session
    }

    /// The live session of this token.
    pub(crate) fn find(&self, token: &str) -> Option<Arc<Session>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(token)
            .filter(|session| session.expires() > self.clock.millis())
            .cloned()
    }

    /// The same, and each call gives it its whole lifetime again.
    pub(crate) fn touch(&self, token: &str) -> Option<Arc<Session>> {
        let session = self.find(token)?;
        session.expires.store(
            self.clock.millis().saturating_add(self.lifetime),
            Ordering::Relaxed,
        );
        Some(session)
    }

    /// Ends a session; whether there was one.
    pub(crate) fn end(&self, token: &str) -> bool {
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token)
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_idle_out_unless_used() {
        let clock = Clock::default();
        let sessions = Sessions::new(clock.clone(), Duration::from_mins(10));
        let entropy = Entropy::new(None);
        let user = RecordId::numbered("005", 1);
        let (token, _) = sessions.open(
            &entropy,
            "00DWd0000008Acm",
            user,
            "app",
            vec!["api".to_owned()],
        );
        clock.advance(Duration::from_mins(9));
        assert!(sessions.touch(&token).is_some());
        clock.advance(Duration::from_mins(9));
        assert!(sessions.find(&token).is_some());
        clock.advance(Duration::from_mins(2));
        assert!(sessions.touch(&token).is_none());
        let (token, _) = sessions.open(&entropy, "00DWd0000008Acm", user, "app", Vec::new());
        assert!(sessions.end(&token) && !sessions.end(&token));
        assert!(sessions.find(&token).is_none());
    }
}
