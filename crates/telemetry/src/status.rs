//! HTTP statuses as labels: by class, and by themselves where somebody acts on them.

/// Every word that [`word`] gives.
pub const ALL: [&str; 10] = [
    "1xx", "2xx", "3xx", "401", "403", "404", "429", "4xx", "503", "5xx",
];

/// The label of a status.
#[must_use]
pub const fn word(status: u16) -> &'static str {
    match status {
        0..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        401 => "401",
        403 => "403",
        404 => "404",
        429 => "429",
        400..500 => "4xx",
        503 => "503",
        500.. => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, word};

    #[test]
    fn every_status_has_a_word() {
        assert!((0..=u16::MAX).all(|status| ALL.contains(&word(status))));
        assert!(ALL.iter().all(|one| (100..600).any(|s| word(s) == *one)));
    }
}
