//! Who is who: people, their accounts and their groups.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::quorum;
use crate::ApprovalRequest;

/// One person, as the configuration knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// What it is called, everywhere: an e-mail address, best.
    pub name: String,
    /// All by which it may come: names and ids of tokens, CRM user ids, user names, addresses.
    pub accounts: Vec<String>,
    /// The groups it is in.
    pub groups: Vec<String>,
}

/// What is wrong with a list of people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeopleFault {
    /// A name, an account or a group is empty.
    #[error("person `{0}` has an empty name, account or group")]
    Empty(String),
    /// Two people have one name or account.
    #[error("`{account}` is `{first}` and `{second}`: expected an account of one person only")]
    Shared {
        /// The name or account.
        account: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
}

/// Accounts that belong to several people: nobody can tell who answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the account is one of several people: {}", .0.join(", "))]
pub struct Ambiguous(pub Vec<String>);

/// Everybody who is known. Names, accounts and groups are compared without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    people: Vec<Person>,
    /// Who a name or an account is.
    owners: BTreeMap<String, usize>,
    /// Who is in a group.
    groups: BTreeMap<String, BTreeSet<usize>>,
}

/// Somebody who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The person's name.
    pub person: String,
    /// All that agreements may name it by, compared.
    names: BTreeSet<String>,
    /// All by which it is told from whoever asked, compared.
    accounts: BTreeSet<String>,
    groups: BTreeSet<String>,
}

fn compared(text: &str) -> String {
    text.trim().to_lowercase()
}

impl People {
    /// A directory.
    ///
    /// # Errors
    /// All that is wrong with the list.
    pub fn new(people: Vec<Person>) -> Result<Self, Vec<PeopleFault>> {
        let mut faults = Vec::new();
        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (index, person) in people.iter().enumerate() {
            for account in std::iter::once(&person.name).chain(&person.accounts) {
                let key = compared(account);
                if key.is_empty() {
                    faults.push(PeopleFault::Empty(person.name.clone()));
                    continue;
                }
                let first = *owners.entry(key).or_insert(index);
                if let Some(other) = people.get(first).filter(|_| first != index) {
                    faults.push(PeopleFault::Shared {
                        account: account.clone(),
                        first: other.name.clone(),
                        second: person.name.clone(),
                    });
                }
            }
            for group in &person.groups {
                let key = compared(group);
                if key.is_empty() {
                    faults.push(PeopleFault::Empty(person.name.clone()));
                }
                groups.entry(key).or_default().insert(index);
            }
        }
        if faults.is_empty() {
            Ok(Self {
                people,
                owners,
                groups,
            })
        } else {
            Err(faults)
        }
    }

    /// How many are known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Whose name or account it is.
    #[must_use]
    pub fn owner(&self, account: &str) -> Option<&Person> {
        self.people.get(*self.owners.get(&compared(account))?)
    }

    /// What tells people apart: equal for two names or accounts of one.
    #[must_use]
    pub fn key(&self, account: &str) -> String {
        let name = self.owner(account).map(|person| person.name.as_str());
        compared(name.unwrap_or(account))
    }

    /// Whether two names or accounts are one person's.
    #[must_use]
    pub fn same(&self, one: &str, other: &str) -> bool {
        self.key(one) == self.key(other)
    }

    /// Who comes by these accounts. `stated`: the person that the account is made for.
    ///
    /// # Errors
    /// When they are of several people.
    pub fn voter(&self, stated: Option<&str>, accounts: &[&str]) -> Result<Voter, Ambiguous> {
        let named = stated.iter().chain(accounts);
        let owners: BTreeSet<usize> = named
            .filter_map(|account| self.owners.get(&compared(account)).copied())
            .collect();
        if owners.len() > 1 {
            let names = owners.iter().filter_map(|index| self.people.get(*index));
            return Err(Ambiguous(names.map(|person| person.name.clone()).collect()));
        }
        let person = owners.first().and_then(|index| self.people.get(*index));
        // One whom the directory does not list under the person that it is made for is not that
        // person's other accounts; without either, it is but itself.
        let unlisted = stated.or(accounts.last().copied()).unwrap_or_default();
        let name = person.map_or(unlisted, |person| person.name.as_str());
        let mut names = BTreeSet::from([compared(name)]);
        match (person, stated) {
            (Some(person), _) => names.extend(person.accounts.iter().map(|it| compared(it))),
            (None, Some(_)) => {}
            (None, None) => names.extend(accounts.iter().map(|it| compared(it))),
        }
        let mut known = names.clone();
        known.extend(accounts.iter().map(|it| compared(it)));
        Ok(Voter {
            person: name.to_owned(),
            names,
            accounts: known,
            groups: person.map(groups_of).unwrap_or_default(),
        })
    }

    /// Somebody by its name alone: whose vote is looked at again.
    #[must_use]
    pub fn known_as(&self, name: &str) -> Voter {
        let person = self.owner(name);
        let name = person.map_or(name, |person| person.name.as_str());
        let mut names = BTreeSet::from([compared(name)]);
        if let Some(person) = person {
            names.extend(person.accounts.iter().map(|it| compared(it)));
        }
        Voter {
            person: name.to_owned(),
            accounts: names.clone(),
            names,
            groups: person.map(groups_of).unwrap_or_default(),
        }
    }

    /// Whether somebody comes by one of these accounts, or is the person behind one of them.
    #[must_use]
    pub fn is_one_of(&self, voter: &Voter, accounts: &[String]) -> bool {
        let person = self.key(&voter.person);
        let own = |account: &String| {
            voter.accounts.contains(&compared(account)) || self.key(account) == person
        };
        accounts.iter().any(own)
    }

    /// Whether enough people can be found who may give the agreement, without whoever asked.
    #[must_use]
    pub fn can_agree(&self, request: &ApprovalRequest, requester: &[String]) -> bool {
        let mut found: BTreeSet<String> = request.users.iter().map(|user| self.key(user)).collect();
        for group in &request.groups {
            let members = self.groups.get(&compared(group)).into_iter().flatten();
            let members = members.filter_map(|index| self.people.get(*index));
            found.extend(members.map(|person| compared(&person.name)));
        }
        for account in requester {
            found.remove(&self.key(account));
        }
        found.remove("");
        found.len() >= quorum(request)
    }
}

impl Voter {
    /// Whether the agreement asks this person.
    #[must_use]
    pub fn is_asked(&self, request: &ApprovalRequest) -> bool {
        let user = |user: &String| self.names.contains(&compared(user));
        let group = |group: &String| self.groups.contains(&compared(group));
        request.users.iter().any(user) || request.groups.iter().any(group)
    }
}

fn groups_of(person: &Person) -> BTreeSet<String> {
    person.groups.iter().map(|group| compared(group)).collect()
}
