//! The page at `/`, for people who come by with a browser. It shows no data.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderValue, header};

use crate::Parts;

pub(crate) async fn page(State(parts): State<Arc<Parts>>) -> Response {
    let mut rows = String::new();
    for gateway in &parts.gateways {
        // Names are narrow by type and addresses come from the configuration, but neither is
        // trusted to be HTML.
        let (name, url) = (escape(&gateway.connection), escape(&gateway.url));
        writeln!(rows, "<tr><td>{name}</td><td><code>{url}</code></td></tr>").ok();
    }
    let page = include_str!("page.html")
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{rows}", &rows);
    let mut response = Html(page).into_response();
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
