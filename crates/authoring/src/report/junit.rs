//! JUnit's XML, as CI systems read it (the schema of Jenkins' xUnit plugin).

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::coverage::below;
use super::text;
use crate::suite::{Report, Test, Verdict};

/// One test suite for every file; paths below `root`.
///
/// # Errors
/// When it can't be written.
pub fn junit(report: &Report, root: &str) -> io::Result<String> {
    let mut files: BTreeMap<&str, Vec<&Test>> = BTreeMap::new();
    for test in &report.tests {
        files.entry(&test.file).or_default().push(test);
    }
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all = [
        ("name", "crmgate policy test".to_owned()),
        ("tests", report.tests.len().to_string()),
        ("failures", report.failed.to_string()),
        ("errors", report.errors.to_string()),
        ("time", seconds(report.seconds)),
    ];
    let suites = writer.create_element("testsuites");
    let suites = suites.with_attributes(all.iter().map(|(key, value)| (*key, value.as_str())));
    if files.is_empty() {
        suites.write_empty()?;
    } else {
        suites.write_inner_content(|writer| {
            for (file, tests) in &files {
                suite(writer, &below(root, file), tests)?;
            }
            Ok(())
        })?;
    }
    let mut text = String::from_utf8(writer.into_inner()).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn suite(writer: &mut Writer<Vec<u8>>, file: &str, tests: &[&Test]) -> io::Result<()> {
    let count = |verdict| {
        let hits = tests.iter().filter(|test| test.verdict == verdict);
        hits.count().to_string()
    };
    let attributes = [
        ("name", file.to_owned()),
        ("tests", tests.len().to_string()),
        ("failures", count(Verdict::Failed)),
        ("errors", count(Verdict::Error)),
        ("skipped", count(Verdict::Skipped)),
        ("time", seconds(tests.iter().map(|test| test.seconds).sum())),
        ("file", file.to_owned()),
    ];
    let suite = writer.create_element("testsuite");
    let suite = suite.with_attributes(attributes.iter().map(|(key, it)| (*key, it.as_str())));
    suite.write_inner_content(|writer| tests.iter().try_for_each(|test| one(writer, test)))?;
    Ok(())
}

fn one(writer: &mut Writer<Vec<u8>>, test: &Test) -> io::Result<()> {
    let class = test
        .file
        .rsplit_once('.')
        .map_or(test.file.as_str(), |(stem, _)| stem);
    let attributes = [
        ("classname", class.replace('/', ".")),
        ("name", plain(&test.title())),
        ("time", seconds(test.seconds)),
    ];
    let case = writer.create_element("testcase");
    let case = case.with_attributes(attributes.iter().map(|(key, it)| (*key, it.as_str())));
    let told = match test.verdict {
        Verdict::Passed => None,
        Verdict::Failed => Some("failure"),
        Verdict::Error => Some("error"),
        Verdict::Skipped => Some("skipped"),
    };
    let Some(element) = told else {
        case.write_empty()?;
        return Ok(());
    };
    case.write_inner_content(|writer| {
        let inner = writer.create_element(element);
        if test.verdict == Verdict::Skipped {
            inner
                .with_attribute(("message", "waits to be written"))
                .write_empty()?;
            return Ok(());
        }
        let message = plain(&text::headline(test));
        let details = plain(&format!("{}\n{}", test.place(), text::details(test)));
        inner
            .with_attributes([("message", message.as_str()), ("type", element)])
            .write_text_content(BytesText::new(&details))?;
        if !test.prints.is_empty() {
            let prints = plain(&test.prints.join("\n"));
            writer
                .create_element("system-out")
                .write_text_content(BytesText::new(&prints))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// Without what XML 1.0 can't hold.
fn plain(text: &str) -> String {
    let can = |c: &char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    let can = |c: &char| can(c) && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().filter(can).collect()
}
