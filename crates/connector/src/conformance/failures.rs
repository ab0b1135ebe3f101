//! MUSTs 4 and 5: the three failures, reading back, and that nothing tells a secret.

use secrecy::SecretString;

use super::{Nothing, Subject, arrived, control, fault, made, resolve, send};
use crate::{Credential, Failure, ReadBackResult};

/// A refusal, something to repeat, and an unknown outcome are three things.
pub async fn refusals_and_repeats_are_told_apart(subject: &dyn Subject) {
    let id = made(subject, "Told").await;
    let cases = [
        (r#""kind":"lock_row""#, "locked"),
        (
            r#""kind":"status","status":503,"retry_after":7"#,
            "unavailable",
        ),
        (
            r#""kind":"status","status":429,"retry_after":7"#,
            "throttled",
        ),
    ];
    for (kind, word) in cases {
        let update = resolve(subject, subject.update(&id, "+491"), &Nothing)
            .await
            .unwrap();
        fault(subject, update.change.outgoing().method.as_str(), kind).await;
        match send(subject, &update.change).await {
            Err(Failure::Repeatable {
                code, retry_after, ..
            }) => {
                assert!(code == word || word == "throttled", "{kind}: {code}");
                if kind.contains("retry_after") {
                    assert_eq!(retry_after.map(|time| time.as_secs()), Some(7), "{kind}");
                }
            }
            other => panic!("{kind}: {other:?}"),
        }
    }
    let update = resolve(subject, subject.update(&id, "+491"), &Nothing)
        .await
        .unwrap();
    let method = update.change.outgoing().method;
    fault(subject, method.as_str(), r#""kind":"drop_before_commit""#).await;
    let result = send(subject, &update.change).await;
    assert!(matches!(result, Err(Failure::Unknown { .. })), "{result:?}");
    let update = resolve(
        subject,
        subject.update(&subject.absent_id(), "+491"),
        &Nothing,
    )
    .await;
    if let Ok(update) = update {
        let result = send(subject, &update.change).await;
        assert!(matches!(result, Err(Failure::Refused { .. })), "{result:?}");
    }
}

/// What became of a write without an answer is found out.
pub async fn lost_answers_are_found_out(subject: &dyn Subject) {
    let connector = subject.connector();
    for (kind, happened) in [("drop_before_commit", false), ("drop_after_commit", true)] {
        let kind = format!(r#""kind":"{kind}""#);
        let create = resolve(subject, subject.create("Lost"), &Nothing)
            .await
            .unwrap();
        let before = arrived(subject).await;
        fault(subject, create.change.outgoing().method.as_str(), &kind).await;
        let result = send(subject, &create.change).await;
        assert!(matches!(result, Err(Failure::Unknown { .. })), "{result:?}");
        assert_eq!(arrived(subject).await, before + 1, "never repeated blindly");
        let read_back = create.change.read_back(None);
        let found = connector.read_back(&read_back).await.unwrap();
        if connector.capabilities().keyed_create {
            match found {
                ReadBackResult::Happened(id) => {
                    assert!(happened);
                    assert!(create.change.confirmed(id.as_deref()).status.is_success());
                }
                ReadBackResult::DidNotHappen => assert!(!happened),
                ReadBackResult::Uncertain(other) => panic!("a keyed create: {other}"),
            }
        }

        let id = made(subject, "Lost").await;
        let delete = resolve(subject, subject.delete(&id), &Nothing)
            .await
            .unwrap();
        fault(subject, delete.change.outgoing().method.as_str(), &kind).await;
        assert!(matches!(
            send(subject, &delete.change).await,
            Err(Failure::Unknown { .. })
        ));
        let found = connector
            .read_back(&delete.change.read_back(None))
            .await
            .unwrap();
        assert_eq!(
            matches!(found, ReadBackResult::Happened(_)),
            happened,
            "{found:?}"
        );
    }
}

/// An expired session of the connection's own is renewed, once, without anybody noticing.
pub async fn an_expired_session_is_renewed(subject: &dyn Subject) {
    let connector = subject.connector();
    connector.probe().await.unwrap();
    control(
        subject,
        "PUT",
        "faults",
        r#"{"faults":[{"kind":"expire_session","times":1}]}"#.to_owned(),
    )
    .await;
    connector.probe().await.unwrap();
    let create = resolve(subject, subject.create("Renewed"), &Nothing)
        .await
        .unwrap();
    let outgoing = create.change.outgoing();
    fault(
        subject,
        outgoing.method.as_str(),
        r#""kind":"expire_session""#,
    )
    .await;
    let permit = subject.permit(outgoing.hash()).await;
    connector
        .write(permit, outgoing, &Credential::Service)
        .await
        .unwrap();
}

/// Nothing that is formatted tells a token, a password or a key.
pub async fn secrets_stay_inside(subject: &dyn Subject) {
    let connector = subject.connector();
    let mut told = Vec::new();
    let bogus = "bogus-token-that-must-not-show";
    let token = SecretString::from(bogus);
    told.push(format!(
        "{:?}",
        connector.identify(&token).await.unwrap_err()
    ));
    let request = subject.create("Secret");
    told.push(format!("{request:?}"));
    let draft = connector.parse(request).await.unwrap();
    told.push(format!("{draft:?}"));
    let resolved = connector
        .resolve(draft, &Nothing, &subject.caller())
        .await
        .unwrap();
    told.push(format!("{:?}", resolved.change.outgoing()));
    told.push(format!(
        "{:?} {:?}",
        subject.caller(),
        resolved.change.summary()
    ));
    let outgoing = resolved.change.outgoing();
    let permit = subject.permit(outgoing.hash()).await;
    let wrong = Credential::Caller(token);
    told.push(format!(
        "{:?}",
        connector.write(permit, outgoing, &wrong).await.unwrap_err()
    ));
    fault(subject, "POST", r#""kind":"drop_before_commit""#).await;
    told.push(format!(
        "{:?}",
        send(subject, &resolved.change).await.unwrap_err()
    ));
    let mut secrets = subject.secrets();
    secrets.push(bogus.to_owned());
    for text in told {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret shows in: {text}");
        }
    }
}
