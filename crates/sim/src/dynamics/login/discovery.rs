//! What clients read about the directory before they sign in.

use serde_json::{Value, json};

use super::super::options::DynamicsOptions;
use super::{key, knows_tenant};
use crate::crm::Call;

/// The document at an address, if there is one.
pub(super) fn document(
    options: &DynamicsOptions,
    call: &Call,
    tenant: &str,
    endpoint: &str,
) -> Option<Value> {
    let base = &call.base_url;
    match endpoint {
        "v2.0/.well-known/openid-configuration" if knows_tenant(options, tenant) => {
            Some(configuration(options, base, "/v2.0"))
        }
        ".well-known/openid-configuration" if knows_tenant(options, tenant) => {
            Some(configuration(options, base, ""))
        }
        "discovery/v2.0/keys" | "discovery/keys"
            if tenant == "common" || knows_tenant(options, tenant) =>
        {
            Some(key::public())
        }
        "discovery/instance" => Some(json!({
            "tenant_discovery_endpoint":
                format!("{base}/{}/v2.0/.well-known/openid-configuration", options.tenant_id),
            "api-version": "1.1",
            "metadata": [],
        })),
        _ => None,
    }
}

fn configuration(options: &DynamicsOptions, base: &str, version: &str) -> Value {
    let tenant = options.tenant_id;
    json!({
        "token_endpoint": format!("{base}/{tenant}/oauth2{version}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/{tenant}/discovery{version}/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": if version.is_empty() {
            format!("https://sts.windows.net/{tenant}/")
        } else {
            format!("{base}/{tenant}{version}")
        },
        "authorization_endpoint": format!("{base}/{tenant}/oauth2{version}/authorize"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    })
}
