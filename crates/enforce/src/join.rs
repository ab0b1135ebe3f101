//! Equal creates join: a client that repeats a create whose answer it did not get must not make a
//! second record.

use std::sync::Arc;

use crmgate_connector::ReadBackResult;
use crmgate_domain::{Mode, PayloadHash};
use crmgate_store::{OutcomeKind, Unfinished};
use jiff::ToSpan as _;

use crate::decide::Verdict;
use crate::inflight::{self, Claim, Claimed, Ended};
use crate::outcome::Learned;
use crate::write::told;
use crate::{Answer, Assessment, Gate, Reply, words};

/// How long a create can be joined by an equal one of the same actor.
pub(crate) const WINDOW_SECONDS: i64 = 120;

/// What became of a create that may have an equal one.
pub(crate) enum Joined {
    /// None is under way: go on. Nobody else does until the claim is dropped.
    Claimed(Claim),
    /// Another one answers for this one.
    Answered(Box<Answer>),
}

/// What is known of an earlier equal create.
enum Twin {
    Happened(Ended),
    DidNotHappen,
    Unknown,
}

impl Gate {
    pub(crate) async fn join(
        self: &Arc<Self>,
        key: PayloadHash,
        assessment: &Assessment,
        round: u32,
    ) -> Joined {
        let claim = loop {
            match self.in_flight().claim(key) {
                Claimed::Mine(claim) => break claim,
                Claimed::Other(other) => {
                    let limit = self.settings().judge_within;
                    let Ok(ended) = tokio::time::timeout(limit, inflight::ended(other)).await
                    else {
                        return self.still_unknown(assessment, round).await;
                    };
                    match ended {
                        Some(ended) if ended.kind == OutcomeKind::Succeeded => {
                            return self.joined(&ended, assessment, round).await;
                        }
                        Some(ended) if ended.kind == OutcomeKind::Unknown => {
                            return self.still_unknown(assessment, round).await;
                        }
                        // It was refused or never written: this one is on its own.
                        _ => tokio::task::yield_now().await,
                    }
                }
            }
        };
        let since = self.ambient().now() - WINDOW_SECONDS.seconds();
        let name = self.connection();
        let searching = self.store().unfinished_twin(name, key, since);
        match self.in_time(searching).await {
            Ok(None) => Joined::Claimed(claim),
            Ok(Some(twin)) if self.in_flight().has_ended(twin.decision) => Joined::Claimed(claim),
            Ok(Some(twin)) => match self.ask_after(&twin).await {
                Twin::DidNotHappen => Joined::Claimed(claim),
                Twin::Happened(ended) => {
                    claim.end(ended.clone());
                    self.joined(&ended, assessment, round).await
                }
                Twin::Unknown => self.still_unknown(assessment, round).await,
            },
            Err(error) => Joined::Answered(Box::new(self.not_recorded(&error))),
        }
    }

    /// Finds out what came of an earlier create, and takes it down.
    async fn ask_after(self: &Arc<Self>, twin: &Unfinished) -> Twin {
        let under_way = self.in_flight().enter(twin.decision);
        let limit = self.settings().judge_within;
        let read_back = self.unsealed(&twin.read_back);
        let looking = self.connector().read_back(&read_back);
        let Ok(Ok(found)) = tokio::time::timeout(limit, looking).await else {
            return Twin::Unknown;
        };
        match found {
            ReadBackResult::Happened(record_id) => {
                let learned = Learned {
                    record_id: record_id.clone(),
                    ..Learned::coded(OutcomeKind::Succeeded, "read_back")
                };
                self.learn(twin.decision, learned, under_way);
                Twin::Happened(Ended {
                    decision: twin.decision,
                    kind: OutcomeKind::Succeeded,
                    record_id,
                })
            }
            ReadBackResult::DidNotHappen if self.settled(twin.at) => {
                let learned = Learned::coded(OutcomeKind::NotWritten, "read_back");
                self.learn(twin.decision, learned, under_way);
                Twin::DidNotHappen
            }
            ReadBackResult::DidNotHappen | ReadBackResult::Uncertain(_) => Twin::Unknown,
        }
    }

    /// The other one's record is this one's, too. The decision is recorded without leave to write.
    async fn joined(
        self: &Arc<Self>,
        other: &Ended,
        assessment: &Assessment,
        round: u32,
    ) -> Joined {
        let record = self.entry(Verdict::of(assessment.clone(), Mode::Enforce, round));
        let decision = record.decision.clone();
        if let Err(error) = self.record(record).await {
            return Joined::Answered(Box::new(self.not_recorded(&error)));
        }
        self.meters().joined();
        tracing::info!(
            connection = %self.connection(),
            decision = %decision.id,
            joined = %other.decision,
            "an equal create had been written already"
        );
        let learned = Learned {
            record_id: other.record_id.clone(),
            ..Learned::coded(OutcomeKind::Succeeded, "joined")
        };
        let under_way = self.in_flight().enter(decision.id);
        self.learn(decision.id, learned, under_way);
        let reply = assessment.change.confirmed(other.record_id.as_deref());
        let answer = told(decision.id, &decision.judgement, Reply::Native(reply));
        Joined::Answered(Box::new(Answer {
            changed: assessment.change.changed_fields(),
            ..answer
        }))
    }

    async fn still_unknown(self: &Arc<Self>, assessment: &Assessment, round: u32) -> Joined {
        let record = self.entry(Verdict::of(assessment.clone(), Mode::Enforce, round));
        let decision = record.decision.clone();
        if let Err(error) = self.record(record).await {
            return Joined::Answered(Box::new(self.not_recorded(&error)));
        }
        let under_way = self.in_flight().enter(decision.id);
        let learned = Learned::coded(OutcomeKind::NotWritten, "joined");
        self.learn(decision.id, learned, under_way);
        let message = "an equal create was sent before and it is not known yet whether it was \
                       written; it is being looked up";
        let retry_after = self.settings().retry_after;
        let refusal = words::unable(Some(decision.id), message, retry_after);
        let answer = told(decision.id, &decision.judgement, Reply::Refused(refusal));
        Joined::Answered(Box::new(answer))
    }
}
