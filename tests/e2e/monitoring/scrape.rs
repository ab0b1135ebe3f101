//! Prometheus' text form, read.

use std::collections::{BTreeMap, BTreeSet};

/// One series with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// All numbers at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Scrape {
    pub(super) samples: Vec<Sample>,
    pub(super) help: BTreeMap<String, String>,
    /// `counter`, `gauge`, `histogram`, by metric.
    pub(super) types: BTreeMap<String, String>,
}

impl Scrape {
    pub(super) fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                scrape.help.insert(name.to_owned(), help.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let before = scrape.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} stands twice");
            } else if !line.is_empty() {
                scrape.samples.push(sample(line));
            }
        }
        scrape
    }

    /// The metric that a series belongs to: a histogram's has three names.
    pub(super) fn family<'a>(&self, series: &'a str) -> Option<&'a str> {
        let own = self.types.contains_key(series).then_some(series);
        let of_histogram = || {
            let ends = ["_bucket", "_sum", "_count"].into_iter();
            let mut bases = ends.filter_map(|end| series.strip_suffix(end));
            bases.find(|base| {
                self.types
                    .get(*base)
                    .is_some_and(|kind| kind == "histogram")
            })
        };
        own.or_else(of_histogram)
    }

    /// The labels that a metric's series have, without a bucket's.
    pub(super) fn labels(&self, family: &str) -> BTreeSet<&str> {
        let of_family = self.samples.iter();
        let of_family = of_family.filter(|sample| self.family(&sample.name) == Some(family));
        let names = of_family.flat_map(|sample| sample.labels.keys());
        names
            .map(String::as_str)
            .filter(|name| *name != "le")
            .collect()
    }

    /// The sum of all series of that name with these labels.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has = |(label, value): &(&str, &str)| {
                sample
                    .labels
                    .get(*label)
                    .is_some_and(|found| found == value)
            };
            sample.name == name && labels.iter().all(has)
        };
        self.samples
            .iter()
            .filter(fits)
            .map(|sample| sample.value)
            .sum()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    // No value that the gate writes holds a quotation mark or a comma in quotation marks.
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    let labels = pairs.map(|pair| {
        let (label, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        (label.to_owned(), value.trim_end_matches('"').to_owned())
    });
    Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value: value.parse().unwrap_or_else(|_| panic!("{line}")),
    }
}
