//! Who may do what: one table.

use crmgate_domain::ConnectionName;
use crmgate_store::{Role, TokenInfo};

use crate::AppError;

/// Something a caller may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Have an operation judged without writing it.
    Validate,
    /// Write through a brokered connection's gateway.
    WriteThrough,
    /// Read decisions; a mere client sees its own only.
    ReadDecisions,
    /// Read all decisions in one stream.
    ExportDecisions,
    /// Read held operations; a mere client sees its own only.
    ReadHolds,
    /// See what people are asked to agree to; a mere client sees its own only.
    ReadApprovals,
    /// Answer what one is asked to agree to.
    Vote,
    /// See the connections and their state.
    ReadConnections,
    /// Read what was seen at a connection and what enforcing would do.
    ReadReport,
    /// Switch a connection between observing and enforcing.
    SwitchMode,
    /// See which policies are in force and what is broken.
    ReadPolicies,
    /// Load the policies again.
    ReloadPolicies,
    /// See the tokens.
    ReadTokens,
    /// Make and revoke tokens.
    ManageTokens,
    /// Read metrics, where they are not open.
    ReadMetrics,
    /// Read the record's entries and checkpoints, to verify them.
    ReadRecord,
    /// Erase payloads of decisions.
    Erase,
    /// See which processes share the store.
    ReadProcesses,
    /// Submit operations to the queue.
    Submit,
    /// See queued operations; a mere client sees its own only.
    ReadOperations,
    /// Take queued operations back; a mere client its own only.
    CancelOperations,
    /// Try queued operations once more; a mere client its own only.
    RetryOperations,
    /// Say what became of queued operations whose outcome is uncertain.
    ResolveOperations,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 23] = [
        Self::Validate,
        Self::WriteThrough,
        Self::ReadDecisions,
        Self::ExportDecisions,
        Self::ReadHolds,
        Self::ReadApprovals,
        Self::Vote,
        Self::ReadConnections,
        Self::ReadReport,
        Self::SwitchMode,
        Self::ReadPolicies,
        Self::ReloadPolicies,
        Self::ReadTokens,
        Self::ManageTokens,
        Self::ReadMetrics,
        Self::ReadRecord,
        Self::Erase,
        Self::ReadProcesses,
        Self::Submit,
        Self::ReadOperations,
        Self::CancelOperations,
        Self::RetryOperations,
        Self::ResolveOperations,
    ];

    /// The table: the roles that may. `Admin` may do everything and is not listed.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Approver, Auditor, Author, Client, Operator};
        match self {
            Self::Validate => &[Author, Operator, Client],
            Self::WriteThrough => &[Client],
            Self::ReadDecisions => &[Author, Operator, Approver, Auditor, Client],
            Self::ExportDecisions => &[Auditor],
            Self::ReadHolds | Self::ReadApprovals => &[Operator, Approver, Auditor, Client],
            Self::Vote => &[Approver],
            Self::ReadConnections => &[Author, Operator, Approver, Auditor],
            Self::ReadReport => &[Author, Operator, Auditor],
            Self::SwitchMode => &[Operator],
            Self::ReadPolicies => &[Author, Operator, Approver, Auditor],
            Self::ReloadPolicies => &[Operator],
            Self::ReadTokens => &[Auditor],
            Self::ManageTokens => &[],
            Self::ReadMetrics => &[Operator, Auditor],
            Self::ReadRecord => &[Auditor],
            Self::Erase => &[],
            Self::ReadProcesses => &[Author, Operator, Auditor],
            Self::Submit | Self::CancelOperations | Self::RetryOperations => &[Operator, Client],
            Self::ReadOperations => &[Operator, Approver, Auditor, Client],
            Self::ResolveOperations => &[Operator],
        }
    }

    /// What it is, for messages: "may not …".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Validate => "have operations judged",
            Self::WriteThrough => "write through a connection",
            Self::ReadDecisions => "read decisions",
            Self::ExportDecisions => "export decisions",
            Self::ReadHolds => "read held operations",
            Self::ReadApprovals => "see what people are asked to agree to",
            Self::Vote => "answer what people are asked to agree to",
            Self::ReadConnections => "see connections",
            Self::ReadReport => "read connection reports",
            Self::SwitchMode => "switch a connection's mode",
            Self::ReadPolicies => "see the policies in force",
            Self::ReloadPolicies => "reload the policies",
            Self::ReadTokens => "see tokens",
            Self::ManageTokens => "make or revoke tokens",
            Self::ReadMetrics => "read metrics",
            Self::ReadRecord => "read the whole record",
            Self::Erase => "erase payloads",
            Self::ReadProcesses => "see the processes",
            Self::Submit => "submit operations",
            Self::ReadOperations => "see queued operations",
            Self::CancelOperations => "cancel queued operations",
            Self::RetryOperations => "retry queued operations",
            Self::ResolveOperations => "resolve queued operations",
        }
    }
}

/// Who calls the control API, or writes through a brokered connection: a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token, without the token.
    pub token: TokenInfo,
}

impl Principal {
    /// Whether the token has a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.token.roles.contains(&role)
    }

    /// Whether the action is allowed by role.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        self.has(Role::Admin) || action.roles().iter().any(|role| self.has(*role))
    }

    /// Demands the action.
    ///
    /// # Errors
    /// `Forbidden`, naming the roles that would do.
    pub fn demand(&self, action: Action) -> Result<(), AppError> {
        if self.may(action) {
            return Ok(());
        }
        let mut roles = vec![Role::Admin.as_str()];
        roles.extend(action.roles().iter().map(|role| role.as_str()));
        Err(AppError::Forbidden(format!(
            "token `{}` may not {}: that takes one of the roles {}",
            self.token.name,
            action.describe(),
            roles.join(", "),
        )))
    }

    /// Whether the connection is within the token's scope.
    #[must_use]
    pub fn sees(&self, connection: &ConnectionName) -> bool {
        self.token.connections.is_empty() || self.token.connections.contains(connection)
    }

    /// The connections it may see; `None` is all.
    #[must_use]
    pub fn visible(&self) -> Option<Vec<ConnectionName>> {
        (!self.token.connections.is_empty()).then(|| self.token.connections.clone())
    }

    /// The actor whose things alone it may see: its own, for a token that is a client and nothing
    /// more.
    #[must_use]
    pub fn only_own(&self) -> Option<&str> {
        let only_client = self.token.roles.iter().all(|role| *role == Role::Client);
        only_client.then_some(self.token.id.as_str())
    }
}
