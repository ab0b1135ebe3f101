//! What the environment tells of itself.

use super::*;

#[test]
fn the_service_document_and_the_csdl_name_every_table() {
    let org = integration();
    let document = org.get("").ok(200);
    assert_eq!(
        document.body["@odata.context"],
        format!("{BASE}/api/data/v9.2/$metadata")
    );
    let sets = document.names("name");
    assert!(sets.contains(&"opportunities") && sets.contains(&"transactioncurrencies"));
    let csdl = org.get("$metadata").ok(200);
    assert!(csdl.header("content-type").starts_with("application/xml"));
    let mut reader = quick_xml::Reader::from_str(&csdl.text);
    let mut depth = 0_i32;
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    for set in sets {
        assert!(
            csdl.text.contains(&format!("<EntitySet Name=\"{set}\"")),
            "{set}"
        );
    }
    assert!(
        csdl.text
            .contains("<Property Name=\"_parentcustomerid_value\" Type=\"Edm.Guid\"")
    );
    assert!(
        csdl.text.contains(
            "<NavigationProperty Name=\"parentcustomerid_account\" Type=\"mscrm.account\""
        )
    );
}

#[test]
fn tables_are_listed_filtered_and_found() {
    let org = integration();
    let all = org
        .get("EntityDefinitions?$select=EntitySetName,LogicalName")
        .ok(200);
    assert_eq!(all.values().len(), 18);
    assert!(all.values()[0]["MetadataId"].is_string());
    let one = org
        .get("EntityDefinitions?%24select=LogicalName%2CEntitySetName%2CPrimaryIdAttribute&%24filter=LogicalName+eq+%27account%27")
        .ok(200);
    assert_eq!(one.values()[0]["EntitySetName"], "accounts");
    let id = one.values()[0]["MetadataId"].as_str().unwrap().to_owned();
    for path in [
        "EntityDefinitions(LogicalName='account')?$select=LogicalName,ObjectTypeCode,IsOptimisticConcurrencyEnabled,ChangeTrackingEnabled".to_owned(),
        format!("EntityDefinitions({id})"),
    ] {
        let table = org.get(&path).ok(200);
        assert_eq!(table.body["LogicalName"], "account");
        assert_eq!(table.body["ObjectTypeCode"], 1);
        assert!(table.body.get("Attributes").is_none());
    }
    org.get("EntityDefinitions(LogicalName='nothing')")
        .refused(404, "0x80060888");
    org.get("EntityDefinitions?$filter=startswith(LogicalName,'a')")
        .refused(501, "0x8006088a");
    org.get("EntityDefinitions?$top=1")
        .refused(501, "0x8006088a");
    let custom =
        org.get("EntityDefinitions?$select=LogicalName&$filter=IsCustomEntity%20eq%20true");
    assert_eq!(custom.names("LogicalName"), ["cg_region"]);
    org.post("EntityDefinitions", &json!({}))
        .refused(501, "0x80060888");
}

#[test]
fn columns_are_described_by_their_kinds() {
    let org = integration();
    let base = "EntityDefinitions(LogicalName='opportunity')/Attributes";
    let cast = |kind: &str, rest: &str| {
        org.get(&format!(
            "{base}/Microsoft.Dynamics.CRM.{kind}AttributeMetadata{rest}"
        ))
        .ok(200)
    };
    let choices = cast(
        "Picklist",
        "?$select=LogicalName&$expand=OptionSet($select=Options)",
    );
    let stage = choices
        .values()
        .iter()
        .find(|one| one["LogicalName"] == "salesstage")
        .unwrap();
    assert_eq!(
        stage["OptionSet"]["Options"][3]["Label"]["UserLocalizedLabel"]["Label"],
        "Close"
    );
    assert_eq!(
        cast("MultiSelectPicklist", "?$select=LogicalName").names("LogicalName"),
        ["cg_regions"]
    );
    let status = cast("Status", "?$select=LogicalName&$expand=OptionSet");
    assert_eq!(status.values()[0]["OptionSet"]["Options"][2]["State"], 1);
    let customer = cast("Lookup", "?$select=LogicalName,Targets,AttributeType");
    let customer = customer
        .values()
        .iter()
        .find(|one| one["LogicalName"] == "customerid")
        .unwrap();
    assert_eq!(customer["Targets"], json!(["account", "contact"]));
    assert_eq!(customer["AttributeType"], "Customer");
    assert!(
        cast("Money", "")
            .values()
            .iter()
            .any(|one| one["LogicalName"] == "estimatedvalue")
    );
    assert!(
        cast("DateTime", "")
            .values()
            .iter()
            .any(|one| one["Format"] == "DateOnly")
    );
    let name = org
        .get(&format!("{base}(LogicalName='name')?$select=MaxLength"))
        .ok(200);
    assert_eq!(name.body["MaxLength"], 300);
    let set = org
        .get(&format!("{base}(LogicalName='statecode')/Microsoft.Dynamics.CRM.StateAttributeMetadata/OptionSet"))
        .ok(200);
    assert_eq!(set.body["OptionSetType"], "State");
    let picked = org
        .get(&format!("{base}?$select=LogicalName&$filter=AttributeType%20eq%20Microsoft.Dynamics.CRM.AttributeTypeCode'Picklist'"))
        .ok(200);
    assert_eq!(picked.values().len(), choices.values().len());
    org.get(&format!("{base}(LogicalName='nothing')"))
        .refused(404, "0x80060888");
}

#[test]
fn keys_and_relationships_are_described() {
    let org = integration();
    let keys = org
        .get("EntityDefinitions(LogicalName='contact')/Keys")
        .ok(200);
    assert_eq!(
        keys.values()[1]["KeyAttributes"],
        json!(["parentcustomerid", "emailaddress1"])
    );
    assert_eq!(keys.values()[0]["EntityKeyIndexStatus"], "Active");
    let up = org
        .get("EntityDefinitions(LogicalName='contact')/ManyToOneRelationships?$filter=ReferencingAttribute%20eq%20'parentcustomerid'")
        .ok(200);
    let navs = up.names("ReferencingEntityNavigationPropertyName");
    assert_eq!(
        navs,
        ["parentcustomerid_account", "parentcustomerid_contact"]
    );
    let down = org
        .get("EntityDefinitions(LogicalName='account')/OneToManyRelationships?$select=SchemaName,ReferencingEntity")
        .ok(200);
    assert!(
        down.names("SchemaName")
            .contains(&"contact_customer_accounts")
    );
    let expanded = org
        .get("EntityDefinitions(LogicalName='account')?$select=LogicalName&$expand=Keys($select=KeyAttributes),Attributes($select=LogicalName;$filter=IsSecured%20eq%20true)")
        .ok(200);
    assert_eq!(
        expanded.body["Attributes"][0]["LogicalName"],
        "cg_internalrating"
    );
    let many = org.get("RelationshipDefinitions?$filter=RelationshipType%20eq%20Microsoft.Dynamics.CRM.RelationshipType'ManyToManyRelationship'");
    assert_eq!(many.ok(200).values().len(), 6);
    let cast = org.get("RelationshipDefinitions/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata?$select=SchemaName");
    assert_eq!(cast.ok(200).values().len(), 6);
    let one = org
        .get("RelationshipDefinitions(SchemaName='account_primary_contact')")
        .ok(200);
    assert_eq!(one.body["ReferencingEntity"], "account");
}

#[test]
fn functions_answer_with_and_without_parentheses() {
    let org = integration();
    for path in ["WhoAmI", "WhoAmI()", "Microsoft.Dynamics.CRM.WhoAmI()"] {
        let who = org.get(path).ok(200);
        assert_eq!(
            who.body["OrganizationId"],
            json!(org.simulator.options().organization_id)
        );
    }
    assert!(
        org.get("RetrieveVersion()").ok(200).body["Version"]
            .as_str()
            .unwrap()
            .starts_with("9.2.")
    );
    for path in [
        "RetrieveCurrentOrganization(AccessType='Default')",
        "RetrieveCurrentOrganization(AccessType=@p1)?@p1=Microsoft.Dynamics.CRM.EndpointAccessType'Default'",
    ] {
        let seen = org.get(path).ok(200);
        assert_eq!(seen.body["Detail"]["UniqueName"], "unqacme");
        assert_eq!(
            seen.body["Detail"]["Endpoints"]["Values"][0],
            format!("{BASE}/")
        );
    }
    org.get("RetrieveCurrentOrganization")
        .refused(400, "0x80060888");
    let counts = org
        .get("RetrieveTotalRecordCount(EntityNames=['account','contact'])")
        .ok(200);
    assert_eq!(
        counts.body["EntityRecordCountCollection"]["Values"],
        json!([15, 28])
    );
    org.get("RetrieveNothing()").refused(404, "0x8006088a");
    org.send(Method::DELETE, "WhoAmI", &[], "")
        .refused(405, "0x80060888");
}

#[test]
fn one_is_told_which_messages_a_table_takes_and_which_languages_there_are() {
    let org = integration();
    let asked = |names: &str| {
        org.get(&format!(
            "sdkmessagefilters?$select=sdkmessagefilterid&$expand=sdkmessageid($select=name)&$filter=({names}) and primaryobjecttypecode eq 'contact'"
        ))
        .ok(200)
    };
    let known = asked("sdkmessageid/name eq 'Create' or sdkmessageid/name eq 'Update'");
    let mut names: Vec<_> = known
        .values()
        .iter()
        .map(|row| row["sdkmessageid"]["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["Create", "Update"]);
    // What is answered with 501 is not offered either.
    let several =
        asked("sdkmessageid/name eq 'CreateMultiple' or sdkmessageid/name eq 'UpdateMultiple'");
    assert!(several.values().is_empty());
    let languages = org.get("RetrieveAvailableLanguages()").ok(200);
    assert_eq!(languages.body["LocaleIds"], serde_json::json!([1033]));
}
