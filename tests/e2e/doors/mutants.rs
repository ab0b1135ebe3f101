//! Requests that were good once, bent at random: where everything is refused, none of them arrives.

use super::table::Crm;
use super::{DENY_ALL, House};

/// How many for each CRM; `CRMGATE_MUTANTS` says otherwise.
const MUTANTS: u64 = 400;

/// Numbers that only look random, so that a find can be found again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

const SEEDS_SALESFORCE: [&str; 8] = [
    "POST /services/data/v66.0/sobjects/Contact",
    "POST /services/data/v57.0/sobjects/Contact.json",
    "POST /services/data/v66.0/sobjects/Contact/Id",
    "PATCH /services/data/v66.0/sobjects/Contact/{id}",
    "PATCH /services/data/v66.0/sobjects/Contact/Ext_Id__c/mutant",
    "DELETE /services/data/v66.0/sobjects/Contact/{id}",
    "POST /services/data/v66.0/sobjects/Contact/{id}?_HttpMethod=PATCH",
    "GET /services/data/v66.0/sobjects/Contact/{id}?_HttpMethod=PATCH",
];

const SEEDS_DYNAMICS: [&str; 8] = [
    "POST /api/data/v9.2/contacts",
    "PATCH /api/data/v9.2/contacts({id})",
    "PATCH /api/data/v9.2/contacts(cg_extid='mutant')",
    "DELETE /api/data/v9.2/contacts({id})",
    "PUT /api/data/v9.2/contacts({id})/lastname",
    "DELETE /api/data/v9.2/contacts({id})/lastname",
    "PUT /api/data/v9.2/contacts({id})/parentcustomerid_account/$ref",
    "POST /api/data/v9.2/contacts?$select=fullname",
];

const BODIES_SALESFORCE: [&str; 3] = [
    r#"{"LastName":"Mutant"}"#,
    r#"{"attributes":{"type":"Contact"},"LastName":"Mutant","Email":"a@b.example"}"#,
    r#"{"LastName":"Mutant","Account":{"Name":"x"}}"#,
];

const BODIES_DYNAMICS: [&str; 4] = [
    r#"{"lastname":"Mutant"}"#,
    r#"{"@odata.type":"Microsoft.Dynamics.CRM.contact","lastname":"Mutant"}"#,
    r#"{"lastname":"Mutant","parentcustomerid_account@odata.bind":"/accounts({account})"}"#,
    r#"{"value":"Mutant"}"#,
];

const IN_TARGETS: [&str; 33] = [
    "/",
    "//",
    "%2f",
    "%2F",
    "%252f",
    ".",
    "..",
    "/../",
    "/./",
    "%2e",
    ";",
    ";a=b",
    "%3b",
    "%00",
    "%20",
    "+",
    "%",
    "%u002f",
    "\\",
    "%5c",
    "?",
    "&",
    "?_HttpMethod=PATCH",
    "&_HttpMethod=DELETE",
    "_HttpMethod=GET",
    "#",
    "(",
    ")",
    "'",
    "$",
    ".json",
    ".xml",
    "~",
];

const IN_BODIES: [&str; 18] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\u006c",
    "null",
    "1",
    " ",
    "\u{feff}",
    "\n",
    "/*",
    "@odata.id",
    "\"lastname\":\"x\",",
];

const HEADERS: [&str; 20] = [
    "Content-Type: application/json",
    "Content-Type: application/xml",
    "Content-Encoding: gzip",
    "Content-Encoding: identity",
    "Connection: Content-Type",
    "Connection: close",
    "X-HTTP-Method-Override: PATCH",
    "X-HTTP-Method: MERGE",
    "If-Match: *",
    "If-Match: null",
    "If-None-Match: *",
    "If-None-Match: null",
    "Prefer: return=representation",
    "Sforce-Call-Options: client=x",
    "Sforce-Call-Options: defaultNamespace=x",
    "MSCRM.BypassCustomPluginExecution: true",
    "Transfer-Encoding: identity",
    "Content-Length: 0",
    "Expect: 100-continue",
    "Authorization: Bearer x",
];

fn bend(dice: &mut Dice, text: &str, with: &[&str]) -> String {
    let mut letters: Vec<String> = text.chars().map(String::from).collect();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(letters.len().max(1));
        match dice.roll(6) {
            0 | 1 => letters.insert(at, dice.pick(with).to_owned()),
            2 if !letters.is_empty() => drop(letters.remove(at)),
            3 if !letters.is_empty() => {
                let letter = letters[at].clone();
                letters.insert(at, letter);
            }
            4 if !letters.is_empty() => {
                let byte = letters[at].bytes().next().unwrap_or(b' ');
                letters[at] = format!("%{byte:02x}");
            }
            _ => {
                if let Some(letter) = letters.get_mut(at) {
                    *letter = match letter.to_uppercase() {
                        upper if upper == *letter => letter.to_lowercase(),
                        upper => upper,
                    };
                }
            }
        }
    }
    letters.concat()
}

async fn none_arrives(crm: Crm, lines: &[&str], bodies: &[&str]) {
    let count = std::env::var("CRMGATE_MUTANTS").map_or(MUTANTS, |text| text.parse().unwrap());
    let house = House::new(DENY_ALL).await;
    let face = house.face(crm);
    let before = house.holdings(crm).await;
    let mut dice = Dice(20_260_131);
    let mut seen = 0;
    for number in 0..count {
        let line = face.fill(dice.pick(lines));
        let (method, target) = line.split_once(' ').unwrap();
        let bends_target = dice.roll(3) > 0;
        let target = if bends_target {
            bend(&mut dice, target, &IN_TARGETS).replace([' ', '\r', '\n'], "")
        } else {
            target.to_owned()
        };
        let body = face.fill(dice.pick(bodies));
        let body = if bends_target && dice.roll(2) == 0 {
            body
        } else {
            bend(&mut dice, &body, &IN_BODIES)
        };
        let mut head = face.head(&format!("{method} {target}"));
        if dice.roll(8) > 0 {
            head.push_str("Content-Type: application/json\r\n");
        }
        for _ in 0..dice.roll(3) {
            head.push_str(dice.pick(&HEADERS));
            head.push_str("\r\n");
        }
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let reply = face.wire.send(request.as_bytes()).await;
        if let Some(reply) = &reply {
            let said = format!("{number}: {}\n{request}\n{}", reply.status, reply.text());
            // Reads may find nothing, or something; what the simulators leave out is their 501.
            assert!(reply.status < 500 || reply.status == 501, "{said}");
            let reads = reply.status < 300 && reply.header("crmgate-effect").is_none();
            assert!(reply.status >= 300 || reads, "{said}");
        }
        let calls = house.site.journal(house.simulator(crm), seen).await;
        for call in &calls {
            let (method, path) = (
                call["method"].as_str().unwrap(),
                call["path"].as_str().unwrap(),
            );
            let own = matches!(method, "GET" | "HEAD") || path.contains("oauth2");
            assert!(own, "{number}: ARRIVED {call}\n{request}");
            seen = call["seq"].as_u64().unwrap();
        }
    }
    assert_eq!(house.holdings(crm).await, before, "a record changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bent_request_arrives_at_salesforce() {
    none_arrives(Crm::Salesforce, &SEEDS_SALESFORCE, &BODIES_SALESFORCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bent_request_arrives_at_dynamics() {
    none_arrives(Crm::Dynamics, &SEEDS_DYNAMICS, &BODIES_DYNAMICS).await;
}
