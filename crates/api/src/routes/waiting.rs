//! How long callers wish to wait.

use std::time::Duration;

use crmgate_app::AppError;

/// A time such as `30s`; none, where not given.
pub(crate) fn time(text: Option<&str>) -> Result<Duration, AppError> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| {
            let problem = format!("`{text}`: expected a time such as `30s`");
            AppError::invalid("wait", problem)
        })
}
