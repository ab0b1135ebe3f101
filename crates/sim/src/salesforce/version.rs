//! Versions of the interface.

use serde_json::{Value, json};

/// The oldest version that is still served; older ones are gone.
const OLDEST: u16 = 310;
const NEWEST_LABEL_YEAR: u16 = 26;

/// One served version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u16);

/// What a version in an address turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Yes(Version),
    /// It was served once.
    Retired,
    /// It never was.
    Unknown,
}

/// `66.0` → 660.
pub(crate) fn parse(text: &str) -> Option<u16> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let major: u16 = major.parse().ok()?;
    (minor == "0" && major < 1000).then_some(major * 10)
}

/// The newest version that is served.
pub(crate) fn newest(number: u16) -> Version {
    Version(number)
}

/// Looks up `v66.0`.
pub(crate) fn served(segment: &str, newest: u16) -> Served {
    match segment
        .strip_prefix('v')
        .filter(|text| text.contains('.'))
        .and_then(parse)
    {
        Some(number) if (OLDEST..=newest).contains(&number) => Served::Yes(Version(number)),
        Some(number) if (10..OLDEST).contains(&number) => Served::Retired,
        _ => Served::Unknown,
    }
}

impl Version {
    /// `66.0`.
    pub(crate) fn text(self) -> String {
        format!("{}.{}", self.0 / 10, self.0 % 10)
    }

    /// Whether it is this one, such as 46 for 46.0, or a later one.
    pub(crate) fn since(self, major: u16) -> bool {
        self.0 >= major * 10
    }
}

/// The list that anyone may read.
pub(crate) fn list(newest: u16) -> Value {
    let numbers = (OLDEST..=newest).step_by(10);
    numbers
        .map(|number| {
            let text = Version(number).text();
            json!({"label": label(number), "url": format!("/services/data/v{text}"), "version": text})
        })
        .collect()
}

/// Three releases a year: 64.0 was Summer '25, 65.0 Winter '26, 66.0 Spring '26.
fn label(number: u16) -> String {
    let since = i32::from(number) / 10 - 66;
    let season = ["Spring", "Summer", "Winter"]
        .get(usize::try_from(since.rem_euclid(3)).unwrap_or_default());
    let season = season.copied().unwrap_or_default();
    // Winter is named after the year that follows.
    let year = i32::from(NEWEST_LABEL_YEAR) + since.div_euclid(3) + i32::from(season == "Winter");
    format!("{season} '{year:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert!(matches!(served("v66.0", 660), Served::Yes(version) if version.text() == "66.0"));
        assert_eq!(served("v67.0", 660), Served::Unknown);
        assert_eq!(served("v20.0", 660), Served::Retired);
        assert_eq!(served("66.0", 660), Served::Unknown);
        assert_eq!(served("v66", 660), Served::Unknown);
        assert_eq!(served("v66.5", 660), Served::Unknown);
        assert_eq!(
            (label(640), label(650), label(660)),
            (
                "Summer '25".into(),
                "Winter '26".into(),
                "Spring '26".into()
            )
        );
    }
}
