//! Every query of the dashboard and the alerts, held against the real numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use super::scrape::Scrape;
use super::{traffic, watched};

const DASHBOARD: &str = include_str!("../../../deploy/grafana/crmgate.json");
const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yaml");

/// What Prometheus adds to every series.
const TARGET: [&str; 2] = ["job", "instance"];

/// A query and where it stands.
struct Query {
    place: String,
    text: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_asks_for_what_there_is() {
    let site = watched().await;
    let _gate = site.start(&[]);
    traffic(&site).await;
    site.metrics().await;
    let scrape = site.metrics().await;
    let queries: Vec<Query> = dashboard().into_iter().chain(alerts()).collect();
    assert!(queries.len() > 100, "{} queries", queries.len());
    let faults: Vec<String> = queries
        .iter()
        .flat_map(|query| faults(query, &scrape))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let text = site.control("/metrics").await.body;
    promtool(text.as_str().unwrap());
}

/// Prometheus' own tool reads the rules, tries them on made-up series, and looks at the numbers.
fn promtool(metrics: &str) {
    let Some(tool) = crate::needs::promtool() else {
        return;
    };
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");
    for arguments in [
        ["check", "rules", "alerts.yaml"].as_slice(),
        &["test", "rules", "alerts.test.yaml"],
        &["check", "metrics"],
    ] {
        let mut running = Command::new(&tool)
            .args(arguments)
            .current_dir(rules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = running.stdin.take().unwrap();
        // Only the last one reads it.
        let _ = input.write_all(metrics.as_bytes());
        drop(input);
        let done = running.wait_with_output().unwrap();
        let told = [done.stdout, done.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(done.status.success(), "promtool {arguments:?}: {told}");
    }
}

fn faults(query: &Query, scrape: &Scrape) -> Vec<String> {
    let told = |problem: String| format!("{}: {problem}: {}", query.place, query.text);
    let expression = match parser::parse(&query.text) {
        Ok(expression) => expression,
        Err(problem) => return vec![told(problem)],
    };
    let mut look = Look {
        scrape,
        faults: Vec::new(),
    };
    walk_expr(&mut look, &expression).unwrap();
    look.faults.into_iter().map(told).collect()
}

/// Goes through a query.
struct Look<'a> {
    scrape: &'a Scrape,
    faults: Vec<String>,
}

impl Look<'_> {
    fn labels(&self, selector: &VectorSelector) -> Option<BTreeSet<String>> {
        let name = selector.name.as_deref()?;
        let family = self.scrape.family(name)?;
        let labels = self.scrape.labels(family).into_iter().chain(TARGET);
        let mut labels: BTreeSet<String> = labels.map(ToOwned::to_owned).collect();
        if name.ends_with("_bucket") {
            labels.insert("le".to_owned());
        }
        Some(labels)
    }

    fn selector(&mut self, selector: &VectorSelector) {
        let Some(known) = self.labels(selector) else {
            return self
                .faults
                .push(format!("there is no metric {:?}", selector.name));
        };
        for matcher in &selector.matchers.matchers {
            if !known.contains(&matcher.name) {
                self.faults.push(format!(
                    "{:?} has no label `{}`",
                    selector.name, matcher.name
                ));
            }
        }
    }
}

impl ExprVisitor for Look<'_> {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                    let mut inside = Inside(Vec::new());
                    walk_expr(&mut inside, &aggregate.expr)?;
                    let all: Vec<_> = inside.0.iter().filter_map(|one| self.labels(one)).collect();
                    for label in &labels.labels {
                        if !all.iter().all(|known| known.contains(label)) {
                            self.faults
                                .push(format!("there is nothing to group by `{label}`"));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// The selectors in an expression.
struct Inside(Vec<VectorSelector>);

impl ExprVisitor for Inside {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.0.push(selector.clone()),
            Expr::MatrixSelector(matrix) => self.0.push(matrix.vs.clone()),
            _ => {}
        }
        Ok(true)
    }
}

/// Grafana puts these in before Prometheus sees the query.
fn filled_in(text: &str) -> String {
    let mut text = text.to_owned();
    for (variable, stands_for) in [
        ("$__rate_interval", "5m"),
        ("$__range", "1h"),
        ("$connection", ".*"),
        ("$package", ".*"),
        ("$job", ".*"),
    ] {
        text = text.replace(variable, stands_for);
    }
    text
}

fn dashboard() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "an id stands twice"
        );
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array();
        assert!(
            panel["type"] == "row" || targets.is_some_and(|t| !t.is_empty()),
            "{title}"
        );
        for target in targets.into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            queries.push(Query {
                place: format!("panel `{title}`"),
                text: filled_in(target["expr"].as_str().unwrap()),
            });
        }
    }
    for note in dashboard["annotations"]["list"].as_array().unwrap() {
        if let Some(expr) = note["expr"].as_str() {
            queries.push(Query {
                place: "an annotation".to_owned(),
                text: filled_in(expr),
            });
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        queries.extend(variable_query(variable));
    }
    let unknown: Vec<_> = queries
        .iter()
        .filter(|query| query.text.contains('$'))
        .collect();
    assert!(
        unknown.is_empty(),
        "a variable that is none: {}",
        unknown[0].text
    );
    queries
}

/// `label_values(metric, label)` as a query that needs both.
fn variable_query(variable: &Value) -> Option<Query> {
    let text = variable["definition"].as_str()?;
    let inner = text.strip_prefix("label_values(")?.strip_suffix(')')?;
    let (metric, label) = inner.rsplit_once(", ")?;
    Some(Query {
        place: format!("variable {}", variable["name"]),
        text: filled_in(&format!("sum by ({label}) ({metric})")),
    })
}

fn alerts() -> Vec<Query> {
    let alerts: Value = yaml_serde::from_str(ALERTS).unwrap();
    let groups = alerts["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let mut names = BTreeMap::new();
    rules
        .map(|rule| {
            let name = rule["alert"].as_str().unwrap();
            assert_eq!(names.insert(name, ()), None, "{name} stands twice");
            for text in ["summary", "description", "action"] {
                let told = rule["annotations"][text].as_str().unwrap_or_default();
                assert!(told.len() > 15, "{name} has no {text}");
            }
            let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
            assert!(
                ["critical", "warning", "info"].contains(&severity),
                "{name}: {severity}"
            );
            Query {
                place: format!("alert `{name}`"),
                text: rule["expr"].as_str().unwrap().to_owned(),
            }
        })
        .collect()
}
