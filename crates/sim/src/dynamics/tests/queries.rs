//! Lists: filters, order, pages, expansion, annotations, aggregates, FetchXML.

use super::*;

/// Makes ten accounts that no other test data resembles, and a filter that finds just them.
fn ten(org: &Client) -> String {
    for index in 0..10 {
        let body = json!({
            "name": format!("Zeta {index}"),
            "accountnumber": format!("Z-{index}"),
            "sic": if index % 2 == 0 { json!("even") } else { Value::Null },
            "numberofemployees": index * 10,
            "revenue": f64::from(index) * 1000.5,
            "cg_regions": format!("1,{}", 2 + index % 3),
            "creditonhold": index > 7,
            "industrycode": if index < 5 { 12 } else { 7 },
        });
        org.make("accounts", &body);
    }
    "startswith(accountnumber,'z-')".to_owned()
}

fn find(org: &Client, mine: &str, filter: &str) -> Vec<String> {
    let filter = format!("{mine} and ({filter})")
        .replace(' ', "%20")
        .replace('+', "%2B");
    let seen = org
        .get(&format!("accounts?$select=name&$filter={filter}"))
        .ok(200);
    seen.names("name")
        .iter()
        .map(|name| name.trim_start_matches("Zeta ").to_owned())
        .collect()
}

#[test]
fn filters_find_what_they_say() {
    let org = integration();
    let mine = ten(&org);
    let cases = [
        ("name eq 'ZETA 3'", "3"),
        ("name ne 'zeta 3' and numberofemployees lt 50", "0 1 2 4"),
        (
            "numberofemployees ge 70 or numberofemployees eq 0",
            "0 7 8 9",
        ),
        ("not (numberofemployees gt 20)", "0 1 2"),
        ("sic eq null", "1 3 5 7 9"),
        ("sic ne null and numberofemployees le 20", "0 2"),
        ("sic ne 'even'", "1 3 5 7 9"),
        ("contains(name,'TA 4')", "4"),
        ("endswith(name,'5') or startswith(name,'zeta 6')", "5 6"),
        ("contains(name,'a_9')", "9"),
        ("contains(name,'z%7')", "7"),
        ("contains(name,'[12]')", "1 2"),
        ("not contains(name,'zeta')", ""),
        ("contains(name,'8') eq true", "8"),
        ("revenue gt 7000 and revenue lt 8005", "7 8"),
        ("revenue eq 1000.5", "1"),
        ("creditonhold eq true", "8 9"),
        ("creditonhold", "8 9"),
        ("industrycode eq 7 and numberofemployees ne 50", "6 7 8 9"),
        ("50 eq numberofemployees", "5"),
        ("name eq accountnumber", ""),
        ("accountnumber ne name and numberofemployees eq 10", "1"),
        (
            "statecode eq 0 and statuscode eq 1 and numberofemployees eq 90",
            "9",
        ),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='accountnumber',PropertyValues=[\"z-1\",\"Z-2\",\"O'B\"])",
            "1 2",
        ),
        (
            "Microsoft.Dynamics.CRM.NotIn(PropertyName='numberofemployees',PropertyValues=['0','10','20','30','40','50','60','70'])",
            "8 9",
        ),
        (
            "Microsoft.Dynamics.CRM.Between(PropertyName='numberofemployees',PropertyValues=['20','30'])",
            "2 3",
        ),
        (
            "Microsoft.Dynamics.CRM.ContainValues(PropertyName='cg_regions',PropertyValues=['3'])",
            "1 4 7",
        ),
        (
            "Microsoft.Dynamics.CRM.EqualUserId(PropertyName='ownerid') and numberofemployees eq 0",
            "0",
        ),
        (
            "createdon ge 2020-01-01 and createdon lt 2999-01-01T00:00:00Z and numberofemployees eq 0",
            "0",
        ),
        (
            "Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=2) and numberofemployees eq 0",
            "0",
        ),
    ];
    for (filter, expected) in cases {
        let filter = filter.replace("PropertyName='ownerid'", "PropertyName='_ownerid_value'");
        assert_eq!(find(&org, &mine, &filter).join(" "), expected, "{filter}");
    }
}

#[test]
fn filters_follow_lookups_and_look_into_collections() {
    let org = integration();
    let names = |filter: &str| {
        let path = format!(
            "accounts?$select=name&$filter={}",
            filter.replace(' ', "%20")
        );
        org.get(&path).ok(200).names("name").join("|")
    };
    assert_eq!(
        names("primarycontactid/fullname eq 'annika bräuer'"),
        "Northgate Hydraulics GmbH"
    );
    assert_eq!(
        names("parentaccountid/name eq 'Granjero Alimentos S.A.'"),
        "Granjero Foods USA LLC"
    );
    let granjero = Simulator::seeded_id("account", "granjero");
    assert_eq!(
        names(&format!("_parentaccountid_value eq {granjero}")),
        "Granjero Foods USA LLC"
    );
    assert_eq!(
        names(&format!("_parentaccountid_value eq '{granjero}'")),
        "Granjero Foods USA LLC"
    );
    assert_eq!(
        names("opportunity_customer_accounts/any(o:o/estimatedvalue gt 2000000)"),
        "Fjordlys Energi AS"
    );
    assert!(names("contact_customer_accounts/all(c:c/statecode eq 1)").contains("Lindenhof"));
    let seen = org
        .get("contacts?%24select=fullname&%24filter=lastname+eq+%40p&%40p=%27O%27%27Hara%27")
        .ok(200);
    assert_eq!(seen.names("fullname").len(), 2);
}

#[test]
fn bad_queries_are_refused() {
    let org = integration();
    for (query, status, code) in [
        ("$filter=nome%20eq%20'x'", 400, "0x80060888"),
        ("$filter=Name%20eq%20'x'", 400, "0x80060888"),
        ("$filter=name%20eq%205", 400, "0x80060888"),
        ("$filter=numberofemployees%20eq%20'5'", 400, "0x80060888"),
        ("$filter=primarycontactid%20eq%20null", 400, "0x80060888"),
        ("$filter=name%20eq%20'x", 400, "0x80060888"),
        ("$filter=name%20like%20'x'", 400, "0x80060888"),
        ("$filter=(name%20eq%20'x'", 400, "0x80060888"),
        ("$filter=tolower(name)%20eq%20'x'", 400, "0x80060888"),
        (
            "$filter=_ownerid_value%20eq%20guid'00000000-0000-0000-0000-000000000000'",
            400,
            "0x80060888",
        ),
        ("$select=nome", 400, "0x80060888"),
        ("$expand=nothing", 400, "0x80060888"),
        ("$orderby=nome", 400, "0x80060888"),
        ("$orderby=name%20up", 400, "0x80060888"),
        ("$top=many", 400, "0x80060888"),
        ("$skip=5", 400, "0x80060888"),
        ("$search=x", 400, "0x80060888"),
        ("$select=name&$select=revenue", 400, "0x80060888"),
        ("$skiptoken=nonsense", 400, "0x80048d19"),
        ("sql=SELECT%201", 501, "0x80060888"),
    ] {
        org.get(&format!("accounts?{query}")).refused(status, code);
    }
    let message = org.get("accounts?$select=nome").refused(400, "0x80060888");
    assert_eq!(
        message,
        "Could not find a property named 'nome' on type 'Microsoft.Dynamics.CRM.account'."
    );
    let deep = format!("{}name%20eq%20'x'{}", "(".repeat(400), ")".repeat(400));
    let nested = format!(
        "{}x{}",
        "contact_customer_accounts($expand=".repeat(200),
        ")".repeat(200)
    );
    org.get(&format!("accounts?$expand={nested}"))
        .refused(400, "0x80060888");
    let list = format!("name eq {}", "[".repeat(3000));
    org.get(&format!("accounts?$filter={list}"))
        .refused(400, "0x80060888");
    org.get("accounts?$filter=name eq @p&@p=@q&@q=@p")
        .refused(400, "0x80060888");
    org.get("accounts?$filter=Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=99999999999)")
        .refused(400, "0x80060888");
    org.get(&format!("accounts?$filter={deep}"))
        .refused(400, "0x80060888");
    org.get("nothings").refused(404, "0x8006088a");
    org.get("accounts/nothing").refused(404, "0x8006088a");
    org.get("/api/data/v8.0/accounts")
        .refused(404, "0x8006088a");
}

#[test]
fn order_top_and_count() {
    let org = integration();
    let mine = ten(&org);
    let seen = org
        .get(&format!("accounts?$select=name&$filter={mine}&$orderby=industrycode%20desc,numberofemployees%20desc&$top=3&$count=true"))
        .ok(200);
    assert_eq!(seen.names("name"), ["Zeta 4", "Zeta 3", "Zeta 2"]);
    assert_eq!(seen.body["@odata.count"], 10);
    assert!(seen.body.get("@odata.nextLink").is_none());
    assert_eq!(
        seen.body["@odata.context"],
        format!("{BASE}/api/data/v9.2/$metadata#accounts(name)")
    );
    let count = org.get(&format!("accounts/$count?$filter={mine}")).ok(200);
    assert_eq!(count.text, "10");
    assert!(count.header("content-type").starts_with("text/plain"));
    let by_name =
        org.get("contacts?$select=fullname&$orderby=parentcustomerid_account/name,fullname&$top=1");
    assert_eq!(by_name.ok(200).values().len(), 1);
}

#[test]
fn pages_follow_each_other_until_the_end() {
    let org = integration();
    let mine = ten(&org);
    for order in ["", "&$orderby=numberofemployees%20desc", "&$count=true"] {
        let prefer = [("Prefer", "odata.maxpagesize=4")];
        let mut path = format!("accounts?$select=name&%24filter={mine}{order}&$top=2");
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            let seen = org.get_with(&path, &prefer).ok(200);
            assert_eq!(seen.header("preference-applied"), "odata.maxpagesize=4");
            found.extend(seen.names("name").iter().map(|name| (*name).to_owned()));
            pages += 1;
            let Some(link) = seen.body["@odata.nextLink"].as_str() else {
                break;
            };
            assert!(
                link.starts_with(&format!("{BASE}/api/data/v9.2/accounts?")),
                "{link}"
            );
            assert!(
                link.contains("$skiptoken=%3Ccookie%20pagenumber=%22"),
                "{link}"
            );
            assert!(link.contains("%253ccookie%2520page%253d%2522"), "{link}");
            path = link.strip_prefix(BASE).unwrap().to_owned();
            if pages == 1 {
                // A row that is made in between does not shift the pages.
                org.make("accounts", &account("Between"));
            }
        }
        assert_eq!((pages, found.len()), (3, 10), "{order}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 10, "{order}");
    }
}

#[test]
fn expansions_nest_and_collections_page() {
    let org = integration();
    let northgate = Simulator::seeded_id("account", "northgate");
    let path = format!(
        "accounts({northgate})?$select=name&$expand=contact_customer_accounts($select=fullname;$filter=startswith(lastname,'p') or lastname eq 'Kiss';$orderby=lastname),primarycontactid($select=fullname;$expand=ownerid,createdby($select=fullname))"
    );
    let seen = org.get(&path.replace(' ', "%20")).ok(200);
    let contacts = &seen.body["contact_customer_accounts"];
    assert_eq!(contacts[0]["fullname"], "Zoltán Kiss");
    assert_eq!(contacts[1]["fullname"], "Jonas Petersen");
    let contact = &seen.body["primarycontactid"];
    assert_eq!(contact["createdby"]["fullname"], "Imke Vossen");
    let tomas = Simulator::seeded_id("systemuser", "tomas");
    assert_eq!(contact["ownerid"], json!({"ownerid": tomas}));
    let paged = org
        .get_with(
            &format!("accounts({northgate})?$expand=contact_customer_accounts($select=fullname)"),
            &[("Prefer", "odata.maxpagesize=2")],
        )
        .ok(200);
    assert_eq!(
        paged.body["contact_customer_accounts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let link = paged.body["contact_customer_accounts@odata.nextLink"]
        .as_str()
        .unwrap();
    let rest = org.get(link.strip_prefix(BASE).unwrap()).ok(200);
    assert_eq!(rest.values().len(), 1);
    let regions = org.get(&format!(
        "accounts({northgate})?$select=name&$expand=cg_account_cg_region($select=cg_code)"
    ));
    assert_eq!(regions.body["cg_account_cg_region"][0]["cg_code"], "DACH");
}

#[test]
fn annotations_come_where_they_are_asked_for() {
    let org = integration();
    let path = "opportunities?$filter=cg_extid%20eq%20'OPP-5502'";
    let bare = org.get(path).ok(200);
    assert!(!bare.text.contains("FormattedValue"));
    let all = org
        .get_with(path, &[("Prefer", "odata.include-annotations=*")])
        .ok(200);
    let row = &all.values()[0];
    let formatted = |name: &str| {
        row[&format!("{name}@OData.Community.Display.V1.FormattedValue")]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(formatted("estimatedvalue"), "£42,500.00");
    assert_eq!(formatted("estimatedvalue_base"), "€50,000.00");
    assert_eq!(formatted("statuscode"), "In Progress");
    assert_eq!(formatted("cg_discount"), "12.50");
    assert_eq!(formatted("cg_regions"), "South; West");
    assert_eq!(formatted("_transactioncurrencyid_value"), "Pound Sterling");
    assert_eq!(formatted("decisionmaker"), "mark complete");
    let some = org
        .get_with(
            path,
            &[(
                "Prefer",
                "odata.maxpagesize=5, odata.include-annotations=\"OData.Community.*\"",
            )],
        )
        .ok(200);
    assert!(some.text.contains("FormattedValue"));
    assert!(!some.text.contains("lookuplogicalname"));
    assert_eq!(
        some.header("preference-applied"),
        "odata.maxpagesize=5,odata.include-annotations=\"OData.Community.*\""
    );
    let none = org.get_with(path, &[("Accept", "application/json;odata.metadata=none")]);
    assert!(!none.text.contains("@odata"));
}

#[test]
fn aggregates_group_and_sum() {
    let org = integration();
    let mine = ten(&org);
    let seen = org
        .get(&format!(
            "accounts?$apply=filter({mine})/groupby((industrycode),aggregate(numberofemployees%20with%20sum%20as%20total,$count%20as%20number,revenue%20with%20max%20as%20most))"
        ))
        .ok(200);
    assert_eq!(seen.values().len(), 2);
    let row = seen
        .values()
        .iter()
        .find(|row| row["industrycode"] == 12)
        .unwrap();
    assert_eq!(row["total"].to_string(), "100");
    assert_eq!(row["number"], 5);
    assert_eq!(row["most"].to_string(), "4002.0000");
    let average = org
        .get(&format!("accounts?$apply=filter({mine})/aggregate(numberofemployees%20with%20average%20as%20mean)"))
        .ok(200);
    assert_eq!(average.values()[0]["mean"].to_string(), "45.0000");
    org.get("accounts?$apply=topcount(1,revenue)")
        .refused(501, "0x80060888");
}

#[test]
fn fetchxml_asks_for_one_table() {
    let org = integration();
    ten(&org);
    let ask = |xml: &str| {
        let xml: String = url::form_urlencoded::byte_serialize(xml.as_bytes()).collect();
        org.get_with(
            &format!("accounts?fetchXml={xml}"),
            &[(
                "Prefer",
                "odata.include-annotations=\"Microsoft.Dynamics.CRM.*\"",
            )],
        )
    };
    let query = |rest: &str| {
        format!(
            "<fetch count=\"3\" {rest}><entity name=\"account\"><attribute name=\"name\"/><attribute name=\"sic\"/><order attribute=\"numberofemployees\" descending=\"true\"/><filter type=\"and\"><condition attribute=\"accountnumber\" operator=\"like\" value=\"z-%\"/><filter type=\"or\"><condition attribute=\"numberofemployees\" operator=\"gt\" value=\"40\"/><condition attribute=\"name\" operator=\"in\"><value>Zeta 1</value><value>Zeta &amp; 2</value></condition></filter></filter></entity></fetch>"
        )
    };
    let first = ask(&query("page=\"1\"")).ok(200);
    assert_eq!(first.names("name"), ["Zeta 9", "Zeta 8", "Zeta 7"]);
    assert!(first.values()[0].get("sic").is_none());
    assert_eq!(first.values()[1]["sic"], "even");
    assert_eq!(first.body["@Microsoft.Dynamics.CRM.morerecords"], true);
    let cookie = first.body["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"]
        .as_str()
        .unwrap();
    let sealed = cookie
        .split("pagingcookie=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let second = ask(&query(&format!("page=\"2\" paging-cookie=\"{sealed}\""))).ok(200);
    assert_eq!(second.names("name"), ["Zeta 6", "Zeta 5", "Zeta 1"]);
    assert_eq!(second.body["@Microsoft.Dynamics.CRM.morerecords"], false);
    ask("<fetch><entity name=\"contact\"/></fetch>").refused(400, "0x80041102");
    ask("<fetch><entity name=\"account\"><attribute name=\"nome\"/></entity></fetch>")
        .refused(400, "0x80041103");
    ask("<fetch><entity name=\"account\">").refused(400, "0x80041102");
    ask("<fetch><entity name=\"account\"><link-entity name=\"contact\"/></entity></fetch>")
        .refused(501, "0x80060888");
}
