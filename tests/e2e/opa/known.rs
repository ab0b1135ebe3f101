//! Where OPA and crmgate's engine are known to differ. The catalogue keeps clear of all of it, and
//! `policies/README.md` tells authors of what they are likely to meet. The list may only get
//! shorter: what no longer differs fails here.

use std::collections::BTreeMap;
use std::process::Command;

use crmgate_domain::Document;
use crmgate_policy::{PolicySet, Sources};

use super::{Said, ours, shown};
use crate::needs;

/// A difference: rules that say something by `warn`, what the engines make of it, why it may be.
struct Known {
    rules: &'static str,
    ours: &'static str,
    opa: &'static str,
    /// Why this can stand.
    why: &'static str,
}

const ERRS: &str = "errs";

const KNOWN: [Known; 10] = [
    Known {
        rules: "warn contains \"said\" if not startswith(input.record.gone, \"a\")",
        ours: "[\"said\"]",
        opa: "[]",
        why: "for a gate ours is the safer one: what is not there does not silence a rule",
    },
    Known {
        rules: "warn contains \"said\" if not \"a\" in input.record.gone",
        ours: "[\"said\"]",
        opa: "[]",
        why: "the same",
    },
    Known {
        rules: "warn contains one if some one in input.record.nothing",
        ours: ERRS,
        opa: "[]",
        why: "closed: an error does not pass",
    },
    Known {
        rules: "named[name] := lower(name) if some name in [input.record.gone, \"a\"]\n\n\
                made[name] := same(name) if some name in [\"1\", \"2\"]\n\n\
                same(name) := name if name == \"2\"\n\n\
                warn contains name if some name, _ in made\n\n\
                warn contains name if some name, _ in named",
        ours: ERRS,
        opa: "[\"2\"]",
        why: "closed: a fault of the engine, where the first value of an object is undefined",
    },
    Known {
        rules: "warn contains strings.replace_n({\"a\": \"b\", \"b\": \"c\"}, \"a\")",
        ours: "[\"c\"]",
        opa: "[\"b\"]",
        why: "one after the other, not all at once; the catalogue's tables do not overlap",
    },
    Known {
        rules: "warn contains \"said\" if regex.match(`^\\d$`, \"\u{663}\")",
        ours: "[\"said\"]",
        opa: "[]",
        why: "the engine's patterns know all digits of Unicode; `[0-9]` is the same in both",
    },
    Known {
        rules: "warn contains \"said\" if to_number(\"01\") == 1",
        ours: ERRS,
        opa: "[\"said\"]",
        why: "closed; JSON has no such numbers",
    },
    Known {
        rules: "warn contains upper(\"ß\")",
        ours: "[\"SS\"]",
        opa: "[\"ß\"]",
        why: "Unicode's full mapping against the simple one",
    },
    Known {
        rules: "warn contains format_int(count(\"\u{1f44d}\"), 10)",
        ours: "[\"2\"]",
        opa: "[\"1\"]",
        why: "counts UTF-16 units; bounds on lengths are on the safe side",
    },
    Known {
        rules: "warn contains \"said\" if 0.1 + 0.2 == 0.3",
        ours: "[]",
        opa: "[\"said\"]",
        why: "floating point; policies use the exact `amount_minor`",
    },
];

const HEAD: &str = "# METADATA\n# title: A difference\n\
                    # custom: {owner: a, objects: [contact], operations: [create]}\n\
                    package crm.t.p\n\n";

const INPUT: &str = r#"{"record": {"nothing": null}}"#;

#[test]
fn known_differences_are_still_there() {
    let Some(opa) = needs::opa() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (policy, input) = (dir.path().join("p.rego"), dir.path().join("input.json"));
    std::fs::write(&input, INPUT).unwrap();
    for known in KNOWN {
        let text = format!("{HEAD}{}\n", known.rules);
        std::fs::write(&policy, &text).unwrap();
        let output = Command::new(&opa)
            .args(["eval", "--strict-builtin-errors", "--format", "raw"])
            .arg("--data")
            .arg(&policy)
            .arg("--input")
            .arg(&input)
            .arg("data.crm.t.p.warn")
            .output()
            .unwrap();
        let theirs = Document::parse(output.stdout.trim_ascii());
        let theirs = theirs.map_or_else(|_| ERRS.to_owned(), shown);
        let said = here(text);
        let said = said.map_or_else(|_| ERRS.to_owned(), |mut said| said.remove("warn").unwrap());
        let told = format!("{} ({})", known.rules, known.why);
        assert_eq!(said, known.ours, "{told}");
        assert_eq!(theirs, known.opa, "{told}");
        assert_ne!(known.ours, known.opa, "{told}");
    }
}

fn here(text: String) -> Said {
    let set = PolicySet::load(&Sources::global([("t/p.rego".to_owned(), text)]));
    let set = set.unwrap_or_else(|errors| panic!("{errors}"));
    let input = Document::parse(INPUT.as_bytes()).unwrap();
    let values = set.evaluate_package(None, "crm.t.p", &input);
    let said: Result<BTreeMap<String, String>, _> = values.map(ours);
    said.map_err(|error| error.message)
}
