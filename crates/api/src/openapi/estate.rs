//! The JSON of what there is to look after: connections, policies, tokens, processes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::bodies::bodies;

bodies! {
    /// A connection and how it stands.
    ConnectionBody {
        /// Its name.
        name: String,
        /// What kind of CRM.
        system: String,
        /// `enforce` or `observe`.
        mode: String,
        /// Since when and by whom, where a change was ever recorded.
        mode_since: Option<ModeChangeBody>,
        /// Whether anything is protected: `false` in observe mode.
        protected: bool,
        /// `pass_through` or `brokered`.
        identity: String,
        /// Whether the connection has a credential of its own.
        service_credential: bool,
        /// Whether what cannot be judged passes.
        fail_open: bool,
    }

    /// A change of mode.
    ModeChangeBody {
        /// From when.
        at: String,
        /// Which mode.
        mode: String,
        /// Who changed it: a token's name, `configuration`.
        by: String,
    }

    /// The connections.
    ConnectionList {
        /// By name.
        items: Vec<ConnectionBody>,
    }

    /// The wanted mode.
    ModeBody {
        /// `enforce` or `observe`.
        mode: String,
    }

    /// What was seen at a connection.
    ReportBody {
        /// The connection.
        connection: String,
        /// Its mode now.
        mode: String,
        /// From when on.
        since: Option<String>,
        /// Per client and route, refused things first.
        rows: Vec<ReportRowBody>,
        /// What stands in the way of enforcing.
        obstacles: Vec<ObstacleBody>,
        /// Whether enforcing would break nothing that was seen.
        safe_to_enforce: bool,
        /// The last line, for people.
        conclusion: String,
    }

    /// One client at one route.
    ReportRowBody {
        /// The client.
        client: String,
        /// The route.
        route: String,
        /// `read`, `write`, `sign_in`, `open`, `unknown`.
        class: String,
        /// How often it was seen.
        seen: u64,
        /// How often the gate understood it.
        understood: u64,
        /// How often enforcing refuses it.
        refused: u64,
        /// How often enforcing holds it.
        held: u64,
        /// How often it could not be judged.
        not_judged: u64,
        /// Why it does not pass, most frequent first, with counts.
        why: Vec<(String, u64)>,
        /// Last time.
        last_at: String,
    }

    /// One thing that stands in the way of enforcing.
    ObstacleBody {
        /// A stable word.
        code: String,
        /// For people.
        message: String,
    }

    /// The policies in force.
    PoliciesBody {
        /// The revision in force.
        revision: String,
        /// Since when.
        since: String,
        /// Whether the newest sources are broken, and the last good revision is in force instead.
        degraded: bool,
        /// Since when they are broken.
        broken_since: Option<String>,
        /// What is wrong with them.
        faults: Vec<String>,
        /// Connections whose own layer is broken, while what the others changed is in force.
        connections: Vec<BrokenLayerBody>,
        /// The bundles that policies come from: `name`, `connection`, `source`, `revision`,
        /// `etag`, `signed_by`, `from_copy`, `last_success`, `since`, `trouble`, `warnings`.
        bundles: Vec<Value>,
    }

    /// A revision that is or was in force.
    RevisionBody {
        /// Its name.
        revision: String,
        /// When it last came into force.
        at: String,
        /// Whether all of its sources are here, and not only those of connections that the caller
        /// sees.
        whole: bool,
        /// Its sources, as a text in JSON: `global` and `connections`.
        sources: String,
    }

    /// A connection whose newest layer is not in force.
    BrokenLayerBody {
        /// The connection.
        connection: String,
        /// Since when its layer is broken.
        since: String,
        /// Whether nothing is judged for it: its writes are in error, because it has no earlier
        /// layer that could stand in. Else its last good one is in force.
        shut: bool,
        /// What is wrong with it, one line each.
        faults: Vec<String>,
    }

    /// What a reload did.
    ReloadedBody {
        /// The revision in force now.
        revision: String,
        /// Whether it is another one than before.
        changed: bool,
        /// Connections whose own layer is broken and did not come into force.
        without: Vec<String>,
    }

    /// A token that is asked for.
    TokenRequestBody {
        /// What people call it: 1 to 100 characters.
        name: String,
        /// At least one of `admin`, `author`, `operator`, `approver`, `auditor`, `client`.
        roles: Vec<String>,
        /// Which connections it may touch; empty is all.
        connections: Option<Vec<String>>,
        /// The team of an author.
        team: Option<String>,
        /// The scopes it grants at brokered connections.
        scopes: Option<Vec<String>>,
        /// The person who holds it, by name or account: votes count people.
        person: Option<String>,
        /// Seconds until it ends; never, where not given.
        expires_in_seconds: Option<u64>,
    }

    /// A new token.
    CreatedTokenBody {
        /// `crmgate_<id>_<secret>`: shown this once.
        token: String,
        /// All but the secret.
        info: TokenBody,
    }

    /// A token without its secret.
    TokenBody {
        /// Its public id.
        id: String,
        /// What people call it.
        name: String,
        /// What its holder may do.
        roles: Vec<String>,
        /// Which connections it may touch; empty is all.
        connections: Vec<String>,
        /// The team of an author.
        team: Option<String>,
        /// The scopes it grants at brokered connections.
        scopes: Vec<String>,
        /// The person who holds it.
        person: Option<String>,
        /// When it was made.
        created_at: String,
        /// When it ends; `null` never.
        expires_at: Option<String>,
        /// When it was revoked.
        revoked_at: Option<String>,
    }

    /// The tokens.
    TokenList {
        /// Newest first.
        items: Vec<TokenBody>,
    }

    /// One run of a process.
    ProcessBody {
        /// Its id.
        id: String,
        /// `serve` or `worker`.
        kind: String,
        /// The machine's name.
        host: String,
        /// The version of crmgate.
        version: String,
        /// When it started.
        started_at: String,
        /// When it last said that it lives.
        beat_at: String,
        /// The policies that are in force there.
        revision: String,
        /// Whether it ends what it has and takes nothing new.
        draining: bool,
        /// Whether it is the one that answers.
        this: bool,
        /// Whether the policies in force there are those in force here.
        same_policies: bool,
    }

    /// The processes that share the store.
    ProcessList {
        /// The oldest first.
        items: Vec<ProcessBody>,
    }
}
