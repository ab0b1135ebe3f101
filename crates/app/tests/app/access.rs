//! The table of rights, written down a second time.

use crmgate_app::{Action, Principal};
use crmgate_store::{Role, TokenInfo};

fn holder(role: Role) -> Principal {
    Principal {
        token: TokenInfo {
            id: "0123".to_owned(),
            name: "robot".to_owned(),
            roles: vec![role],
            connections: Vec::new(),
            team: None,
            scopes: Vec::new(),
            person: None,
            created_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            expires_at: None,
            revoked_at: None,
        },
    }
}

#[test]
fn each_role_may_what_the_table_says() {
    //                        admin author operator approver auditor client
    let table = [
        (Action::Validate, [true, true, true, false, false, true]),
        (
            Action::WriteThrough,
            [true, false, false, false, false, true],
        ),
        (Action::ReadDecisions, [true, true, true, true, true, true]),
        (Action::ReadHolds, [true, false, true, true, true, true]),
        (
            Action::ReadConnections,
            [true, true, true, true, true, false],
        ),
        (Action::ReadReport, [true, true, true, false, true, false]),
        (Action::SwitchMode, [true, false, true, false, false, false]),
        (Action::ReadPolicies, [true, true, true, true, true, false]),
        (
            Action::ReloadPolicies,
            [true, false, true, false, false, false],
        ),
        (Action::ReadTokens, [true, false, false, false, true, false]),
        (
            Action::ManageTokens,
            [true, false, false, false, false, false],
        ),
        (Action::ReadMetrics, [true, false, true, false, true, false]),
        (
            Action::ExportDecisions,
            [true, false, false, false, true, false],
        ),
        (Action::ReadRecord, [true, false, false, false, true, false]),
        (Action::Erase, [true, false, false, false, false, false]),
        (Action::ReadApprovals, [true, false, true, true, true, true]),
        (Action::Vote, [true, false, false, true, false, false]),
        (
            Action::ReadProcesses,
            [true, true, true, false, true, false],
        ),
        (Action::Submit, [true, false, true, false, false, true]),
        (
            Action::ReadOperations,
            [true, false, true, true, true, true],
        ),
        (
            Action::CancelOperations,
            [true, false, true, false, false, true],
        ),
        (
            Action::RetryOperations,
            [true, false, true, false, false, true],
        ),
        (
            Action::ResolveOperations,
            [true, false, true, false, false, false],
        ),
    ];
    assert_eq!(table.len(), Action::ALL.len());
    for (action, expected) in table {
        for (role, may) in Role::ALL.into_iter().zip(expected) {
            let holder = holder(role);
            assert_eq!(holder.may(action), may, "{role:?} {action:?}");
            assert_eq!(holder.demand(action).is_ok(), may);
        }
    }
}

#[test]
fn a_refusal_says_which_roles_would_do() {
    let refused = holder(Role::Client).demand(Action::SwitchMode).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "token `robot` may not switch a connection's mode: that takes one of the roles admin, \
         operator"
    );
}
