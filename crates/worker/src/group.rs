//! Operations that happen together or not at all.

use std::sync::Arc;

use crmgate_connector::Form;
use crmgate_domain::{OperationId, State};
use crmgate_enforce::queued::{Ended, Finding, Instead, Looked, Queued, Ready, Ruled};
use crmgate_store::{Begun, StoreError, StoredOperation, Why};
use tracing::{Instrument as _, Span};

use crate::line::Line;
use crate::single::NotAsked;
use crate::trace;

type Ends = Vec<(OperationId, Ended)>;

impl Line {
    /// All members are judged before anything is recorded, so that each can be told why the group
    /// does not go.
    pub(crate) async fn decide_group(self: &Arc<Self>, mut rows: Vec<StoredOperation>) -> Ends {
        let ids: Vec<OperationId> = rows.iter().map(|row| row.id).collect();
        let _held = self.leases.hold(ids.clone());
        let lost = || ids.iter().map(|id| (*id, Ended::Lost)).collect();
        let mut round = 0;
        loop {
            let ended = match self.group_round(rows, round).await {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::warn!(connection = %self.gate.connection(), %error, "a group could not be moved");
                    return lost();
                }
            };
            let changed = ended.iter().any(|(_, ended)| *ended == Ended::Changed);
            let Some(first) = ids.first().filter(|_| changed) else {
                return ended;
            };
            match self.begin(*first).await {
                Ok(Begun::Decide(again)) => rows = again,
                _ => return ended,
            }
            round += 1;
        }
    }

    async fn group_round(
        self: &Arc<Self>,
        rows: Vec<StoredOperation>,
        round: u32,
    ) -> Result<Ends, StoreError> {
        let mut members = Vec::with_capacity(rows.len());
        let mut rows = rows.into_iter();
        for stored in rows.by_ref() {
            match self.queued(stored, round).await {
                Ok(queued) => members.push(queued),
                Err(unasked) => {
                    let (stored, why) = *unasked;
                    let others = members.into_iter().map(|member| member.stored);
                    let others: Vec<_> = others.chain(rows).collect();
                    return self.without_one(&stored, why, &others).await;
                }
            }
        }
        let mut findings = Vec::with_capacity(members.len());
        // One of these calls is made, and the others are given back.
        let mut reserves = Vec::new();
        let spans: Vec<Span> = members
            .iter()
            .map(|member| trace::span(&member.stored))
            .collect();
        for (member, span) in members.iter().zip(&spans) {
            trace::judged_at(span, member.ask.point);
            match self.look_up(member).instrument(span.clone()).await {
                Ok((finding, reserve)) => {
                    findings.push(finding);
                    reserves.extend(reserve);
                }
                Err(wait) => {
                    let back = self.back_for(wait);
                    let all = members.iter().map(|member| &member.stored).collect();
                    return self.gate.hand_back(&self.desk, all, back).await;
                }
            }
        }
        let stands = fate(&members, &findings);
        if stands.is_none()
            && let Some(reason) = self.not_atomic(&findings)
        {
            let all = members.iter().map(|member| &member.stored).collect();
            let refused = (State::Refused, reason);
            return self.gate.end_undecided(&self.desk, all, refused).await;
        }
        let ended = self.rule_all(&members, (findings, &spans), stands).await?;
        drop(reserves);
        for (member, span) in members.iter().zip(&spans) {
            let own = ended.iter().find(|(id, _)| *id == member.stored.id);
            own.inspect(|(_, ended)| trace::tell(span, *ended));
        }
        Ok(ended)
    }

    async fn rule_all(
        self: &Arc<Self>,
        members: &[Queued],
        (findings, spans): (Vec<Finding>, &[Span]),
        fate: Option<Fate>,
    ) -> Result<Ends, StoreError> {
        let (mut ready, mut ended): (Vec<Ready>, Ends) = (Vec::new(), Vec::new());
        for ((member, finding), span) in members.iter().zip(findings).zip(spans) {
            let instead = fate.as_ref().and_then(|fate| fate.instead(&finding));
            let ruled = self.gate.rule(&self.desk, member, finding, instead);
            let ruled = ruled.instrument(span.clone()).await?;
            match ruled {
                Ruled::Ready(one) => ready.push(*one),
                Ruled::Stands(_, Some(pause)) => {
                    ended.push((member.stored.id, Ended::Again(pause)));
                }
                Ruled::Stands(state, None) => ended.push((member.stored.id, Ended::Over(state))),
                Ruled::Lost => ended.push((member.stored.id, Ended::Lost)),
            }
        }
        if ready.len() == members.len() {
            return Ok(self.send_group(ready).await);
        }
        if !ready.is_empty() {
            let message = "another operation of its group was taken by another worker";
            let back = (std::time::Duration::ZERO, Why::new("group_waits", message));
            ended.extend(self.gate.put_by(&self.desk, ready, back).await?);
        }
        Ok(ended)
    }

    /// One of them cannot be judged, so none of them is.
    async fn without_one(
        &self,
        stored: &StoredOperation,
        reason: NotAsked,
        others: &[StoredOperation],
    ) -> Result<Ends, StoreError> {
        let others = others.iter().collect();
        let refused = matches!(reason, NotAsked::Refused(_));
        let mut ended = vec![(stored.id, self.not_asked(stored, reason).await?)];
        ended.extend(if refused {
            let cancelled = (State::Cancelled, refused_with(stored.id));
            self.gate
                .end_undecided(&self.desk, others, cancelled)
                .await?
        } else {
            let back = (std::time::Duration::ZERO, waits_for(stored.id));
            self.gate.hand_back(&self.desk, others, back).await?
        });
        Ok(ended)
    }

    /// Why the CRM cannot promise that all of it happens or nothing.
    fn not_atomic(&self, findings: &[Finding]) -> Option<Why> {
        let connector = self.gate.connector();
        let (mut form, mut bytes) = (None::<Form>, 0_usize);
        for finding in findings {
            let change = finding.change()?;
            bytes = bytes.saturating_add(change.outgoing().body.len());
            let own = connector.form(change, true);
            let fits = match (&form, &own) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(all), Some(own)) => all.key == own.key,
            };
            if own.is_none() {
                let malformed = connector.cannot_be_atomic(change);
                return Some(Why::new(malformed.code, malformed.message));
            }
            if !fits {
                let message = "the CRM cannot write these operations all together or not at all; \
                               submit them without a group, or with `depends_on`";
                return Some(Why::new("not_atomic", message));
            }
            form = own;
        }
        let form = form?;
        if findings.len() > form.most || bytes > form.most_bytes {
            let message = format!(
                "the CRM writes at most {} operations and {} bytes all together; the group has {} \
                 and {bytes}",
                form.most,
                form.most_bytes,
                findings.len()
            );
            return Some(Why::new("group_too_large", message));
        }
        None
    }
}

/// What keeps a group from going.
enum Fate {
    /// One of it is refused.
    Refused(OperationId),
    /// One of it waits.
    Waits(OperationId),
}

fn fate(members: &[Queued], findings: &[Finding]) -> Option<Fate> {
    let first = |wanted: fn(Looked) -> bool| {
        let mut pairs = members.iter().zip(findings);
        pairs
            .find(|(_, finding)| wanted(finding.looked()))
            .map(|(member, _)| member.stored.id)
    };
    let refused = first(|looked| matches!(looked, Looked::Denied | Looked::Refused));
    let waits = first(|looked| matches!(looked, Looked::Held | Looked::Unjudged | Looked::Later));
    refused.map(Fate::Refused).or(waits.map(Fate::Waits))
}

impl Fate {
    /// What becomes of a member because of another; `None` where its own finding says it.
    fn instead(&self, finding: &Finding) -> Option<Instead> {
        match (self, finding.looked()) {
            (_, Looked::Denied | Looked::Refused)
            | (Self::Waits(_), Looked::Held | Looked::Unjudged | Looked::Later) => None,
            (Self::Refused(id), _) => Some(Instead::Cancelled(refused_with(*id))),
            (Self::Waits(id), _) => Some(Instead::Waits(waits_for(*id))),
        }
    }
}

fn refused_with(other: OperationId) -> Why {
    let message = format!("{other} of its group was refused, so nothing of the group is written");
    Why::new("group_refused", message)
}

fn waits_for(other: OperationId) -> Why {
    Why::new("group_waits", format!("{other} of its group has to wait"))
}
