use std::sync::Mutex;

use super::*;
use crate::secret::ExposeSecret as _;

struct Clock(Mutex<Timestamp>);

impl Ambient for Clock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

impl Clock {
    fn pass(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

/// Gives token 1, 2, 3, …, or fails when told so.
struct Host {
    clock: Arc<Clock>,
    asked: AtomicU64,
    life: i64,
    broken: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl SignIn for Host {
    async fn sign_in(&self) -> Result<Token, SignInError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        if self.broken.load(Ordering::SeqCst) {
            let reason = format!("failure {number}");
            return Err(SignInError::Unavailable {
                reason,
                retry_after: None,
            });
        }
        Ok(Token {
            secret: SecretString::from(format!("token {number}")),
            expires: self.clock.now() + SignedDuration::from_secs(self.life),
            scopes: None,
            extra: BTreeMap::new(),
        })
    }
}

fn session(life: i64) -> (Arc<Clock>, Arc<Host>, Arc<Session>) {
    let clock = Arc::new(Clock(Mutex::new("2026-03-01T10:00:00Z".parse().unwrap())));
    let host = Arc::new(Host {
        clock: Arc::clone(&clock),
        asked: AtomicU64::new(0),
        life,
        broken: false.into(),
    });
    let session = Session::new(host.clone(), clock.clone());
    (clock, host, Arc::new(session))
}

async fn text(session: &Session) -> String {
    session
        .token()
        .await
        .unwrap()
        .secret
        .expose_secret()
        .to_owned()
}

#[tokio::test]
async fn a_token_is_kept_until_five_minutes_before_its_end() {
    let (clock, _, session) = session(3600);
    assert_eq!(text(&session).await, "token 1");
    clock.pass(3600 - 301);
    assert_eq!(text(&session).await, "token 1");
    clock.pass(1);
    assert_eq!(text(&session).await, "token 2");
}

#[tokio::test]
async fn a_short_lived_token_is_used_for_three_quarters_of_its_life() {
    let (clock, _, session) = session(60);
    assert_eq!(text(&session).await, "token 1");
    clock.pass(44);
    assert_eq!(text(&session).await, "token 1");
    clock.pass(1);
    assert_eq!(text(&session).await, "token 2");
}

#[tokio::test]
async fn a_crowd_shares_one_refresh_and_one_failure() {
    let (_, host, session) = session(3600);
    let crowd = || futures::future::join_all((0..20).map(|_| session.token()));
    host.broken.store(true, Ordering::SeqCst);
    for result in crowd().await {
        assert_eq!(result.unwrap_err().to_string(), "sign-in failed: failure 1");
    }
    host.broken.store(false, Ordering::SeqCst);
    for result in crowd().await {
        assert_eq!(result.unwrap().secret.expose_secret(), "token 2");
    }
    assert_eq!(host.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn forgetting_an_old_token_keeps_the_new_one() {
    let (_, _, session) = session(3600);
    let first = session.token().await.unwrap();
    session.forget(&first);
    assert_eq!(text(&session).await, "token 2");
    session.forget(&first);
    assert_eq!(text(&session).await, "token 2");
}

#[tokio::test]
async fn an_expired_session_signs_in_once_more_and_no_further() {
    let (_, host, session) = session(3600);
    let mut tried = Vec::new();
    let answer = session
        .with_token(|token| {
            tried.push(token.secret.expose_secret().to_owned());
            let count = tried.len();
            async move { Ok(Attempt::Expired(count)) }
        })
        .await
        .unwrap();
    assert_eq!(
        (answer, tried),
        (2, vec!["token 1".to_owned(), "token 2".to_owned()])
    );
    let answer = session
        .with_token(|token| async move {
            Ok(Attempt::Accepted(token.secret.expose_secret().to_owned()))
        })
        .await
        .unwrap();
    assert_eq!(answer, "token 2");
    assert_eq!(host.asked.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_gives_its_extra_members_but_no_token() {
    let answer: oauth::Answer = serde_json::from_str(
        r#"{"access_token":"A","token_type":"Bearer","scope":"api refresh_token","id_token":"I",
            "instance_url":"https://x.example","issued_at":"1","expires_in":7200,"n":5}"#,
    )
    .unwrap();
    let token = oauth::token(
        &answer,
        "2026-03-01T10:00:00Z".parse().unwrap(),
        Duration::from_secs(1),
    );
    assert_eq!(token.secret.expose_secret(), "A");
    assert_eq!(token.expires.to_string(), "2026-03-01T12:00:00Z");
    assert_eq!(token.scopes.unwrap(), ["api", "refresh_token"]);
    let names: Vec<&str> = token.extra.keys().map(String::as_str).collect();
    assert_eq!(names, ["instance_url", "issued_at"]);
}
