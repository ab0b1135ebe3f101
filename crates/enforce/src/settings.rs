//! What a connection's configuration says about judging.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_decision_log::event::Labels;
use crmgate_decision_log::{HashKey, Treatment};
use crmgate_domain::approval::People;
use crmgate_domain::{Kind, Mode};
use crmgate_policy::Ungoverned;
use crmgate_store::Release;

/// How a gate behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The mode at start; [`Gate::set_mode`](crate::Gate::set_mode) changes it.
    pub mode: Mode,
    /// Whether operations that cannot be judged (a failed lookup, an evaluation error) pass,
    /// marked. A decision that cannot be recorded never lets anything pass.
    pub fail_open: bool,
    /// What happens to operations that no package governs.
    pub ungoverned: UngovernedRules,
    /// How long the policies may think about one operation.
    pub policy_time: Duration,
    /// How long one judgement may take, lookups included.
    pub judge_within: Duration,
    /// How long recording a decision may take before it counts as not recorded.
    pub record_within: Duration,
    /// How many operations may be under way at once; more wait for `judge_within`, then are told
    /// to come back.
    pub concurrency: usize,
    /// How many queued operations may be judged at once. Places of their own: a full queue takes
    /// none of the gateway's, and a busy gateway none of the queue's.
    pub queue_places: usize,
    /// How long after a write of unknown outcome the CRM may still carry it out. Only then does
    /// reading back that it did not happen count.
    pub settle: Duration,
    /// When a caller is told to come back, where nothing better is known.
    pub retry_after: Duration,
    /// What becomes of policies that take long.
    pub slow: SlowSettings,
    /// What of a decision is remembered.
    pub log: LogSettings,
    /// What lets a write happen that is held at the gateway.
    pub held_writes: Release,
    /// Under whose name the gate writes what it carries out itself.
    pub held_writes_as: WriteAs,
    /// Who can agree to what is held. `None`: agreements are not refused for want of people.
    pub people: Option<Arc<People>>,
}

/// Under whose name the gate writes what it carries out itself once people agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WriteAs {
    /// The caller's, as a user of the CRM; what has none is refused.
    #[default]
    Caller,
    /// The connection's own user's.
    Service,
}

/// What becomes of policies that take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowSettings {
    /// How many judgements of one connection may be made aside at a time.
    pub threads: usize,
    /// How long one may take there before it is given up.
    pub deadline: Duration,
    /// How long the package that it hangs in is not asked afterwards; twice as long each time.
    pub bench: Duration,
}

impl Default for SlowSettings {
    fn default() -> Self {
        Self {
            threads: 1,
            deadline: Duration::from_secs(1),
            bench: Duration::from_secs(60),
        }
    }
}

/// What of a decision is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// How much of what was judged.
    pub payload: PayloadKept,
    /// How values about a person are kept.
    pub personal: Treatment,
    /// How values that could hurt a person are kept.
    pub sensitive: Treatment,
    /// How texts in fields are kept that no mapping knows.
    pub unmapped: Treatment,
    /// How long the rules of `system.log` may take.
    pub mask_time: Duration,
    /// The key of hashes that stand for values.
    pub key: HashKey,
    /// The labels that those rules see on an event.
    pub labels: Arc<Labels>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            payload: PayloadKept::Full,
            personal: Treatment::Mask,
            sensitive: Treatment::Mask,
            unmapped: Treatment::Mask,
            mask_time: Duration::from_millis(50),
            key: HashKey::new(&[]),
            labels: Arc::default(),
        }
    }
}

/// How much of what was judged is kept beside a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadKept {
    /// All of it.
    #[default]
    Full,
    /// What changes, without the records around it.
    Changes,
    /// Nothing.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            fail_open: false,
            ungoverned: UngovernedRules::default(),
            policy_time: Duration::from_millis(50),
            judge_within: Duration::from_secs(10),
            record_within: Duration::from_secs(5),
            concurrency: 512,
            queue_places: 32,
            settle: Duration::from_secs(10),
            retry_after: Duration::from_secs(2),
            slow: SlowSettings::default(),
            log: LogSettings::default(),
            held_writes: Release::default(),
            held_writes_as: WriteAs::default(),
            people: None,
        }
    }
}

/// What happens to operations that no package governs, per object and kind. The most exact entry
/// holds: the object's kind, the object, the kind under `*`, `*`. Without one, writes are refused
/// and everything else passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UngovernedRules {
    objects: BTreeMap<String, KindRules>,
}

/// The entries of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindRules {
    /// For every kind that has no entry of its own.
    pub all: Option<Ungoverned>,
    /// For one kind.
    pub kinds: BTreeMap<Kind, Ungoverned>,
}

impl UngovernedRules {
    /// Everything passes: the demo.
    #[must_use]
    pub fn allow_all() -> Self {
        let all = KindRules {
            all: Some(Ungoverned::Allow),
            kinds: BTreeMap::new(),
        };
        Self::default().with("*", all)
    }

    /// Adds the entries of an object (canonical or native name, in any case; `*` is every object).
    #[must_use]
    pub fn with(mut self, object: &str, rules: KindRules) -> Self {
        self.objects.insert(object.to_ascii_lowercase(), rules);
        self
    }

    /// What happens to this kind of operation on this object.
    #[must_use]
    pub fn choose(&self, object: &str, native_object: &str, kind: Kind) -> Ungoverned {
        let entries = || {
            [object, native_object, "*"]
                .into_iter()
                .filter_map(|name| self.objects.get(&name.to_ascii_lowercase()))
        };
        let exact = |rules: &KindRules| rules.kinds.get(&kind).copied().or(rules.all);
        let by_default = if kind.writes() {
            Ungoverned::Deny
        } else {
            Ungoverned::Allow
        };
        entries().find_map(exact).unwrap_or(by_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(all: Option<Ungoverned>, kinds: &[(Kind, Ungoverned)]) -> KindRules {
        KindRules {
            all,
            kinds: kinds.iter().copied().collect(),
        }
    }

    #[test]
    fn the_most_exact_entry_holds_and_writes_are_refused_without_one() {
        use Ungoverned::{Allow, Deny};
        let chosen = UngovernedRules::default()
            .with("*", rules(None, &[(Kind::Create, Allow)]))
            .with("Task", rules(Some(Allow), &[(Kind::Delete, Deny)]))
            .with("case", rules(None, &[(Kind::Update, Allow)]));
        assert_eq!(chosen.choose("task", "Task", Kind::Update), Allow);
        assert_eq!(chosen.choose("task", "Task", Kind::Delete), Deny);
        assert_eq!(chosen.choose("case", "incident", Kind::Update), Allow);
        assert_eq!(chosen.choose("case", "incident", Kind::Create), Allow);
        assert_eq!(chosen.choose("case", "incident", Kind::Delete), Deny);
        assert_eq!(chosen.choose("contact", "Contact", Kind::Update), Deny);
        assert_eq!(chosen.choose("contact", "Contact", Kind::Read), Allow);
        let none = UngovernedRules::default();
        assert_eq!(none.choose("contact", "Contact", Kind::Action), Deny);
        let all = UngovernedRules::allow_all();
        assert_eq!(all.choose("contact", "Contact", Kind::Delete), Allow);
    }
}
