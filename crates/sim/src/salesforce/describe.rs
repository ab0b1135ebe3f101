//! What the org tells about its objects and fields.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::conditional::{self, Outcome};
use super::error::ApiError;
use super::reply::Reply;
use super::rest::Rest;
use super::schema::{Field, FieldIx, Kind, ObjectIx, ObjectType};

/// `/sobjects`
pub(super) fn global(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    fresh(rest, || {
        let objects = rest.org.schema.objects.iter().enumerate();
        let list: Vec<Value> = objects.map(|(ix, kind)| brief(rest, ix, kind)).collect();
        json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": list})
    })
}

/// `/sobjects/{Object}/describe`
pub(super) fn describe(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
) -> Result<Reply, ApiError> {
    fresh(rest, || whole(rest, object, kind))
}

/// Answers 304 to a client that has seen the metadata since it changed.
fn fresh(rest: &Rest<'_>, body: impl FnOnce() -> Value) -> Result<Reply, ApiError> {
    let changed = rest.org.started;
    let reply = match conditional::dates(rest.call, true, changed)? {
        Outcome::NotModified => Reply::empty(StatusCode::NOT_MODIFIED),
        Outcome::Go => Reply::ok(body()),
    };
    Ok(conditional::modified(reply, changed))
}

/// An object without its fields.
pub(super) fn brief(rest: &Rest<'_>, object: ObjectIx, kind: &ObjectType) -> Value {
    Value::Object(brief_map(rest, object, kind))
}

fn brief_map(rest: &Rest<'_>, object: ObjectIx, kind: &ObjectType) -> Map<String, Value> {
    let verbs = rest.caller.access.verbs(object);
    let base = format!(
        "/services/data/v{}/sobjects/{}",
        rest.version.text(),
        kind.name
    );
    let flags = [
        ("activateable", false),
        ("createable", verbs.create),
        ("custom", kind.name.ends_with("__c")),
        ("customSetting", false),
        ("deepCloneable", false),
        ("deletable", verbs.delete),
        ("deprecatedAndHidden", false),
        ("feedEnabled", false),
        ("hasSubtypes", false),
        ("isInterface", false),
        ("isSubtype", false),
        ("layoutable", true),
        (
            "mergeable",
            matches!(kind.name.as_str(), "Account" | "Contact" | "Lead"),
        ),
        ("mruEnabled", true),
        ("queryable", true),
        ("replicateable", true),
        ("retrieveable", true),
        ("searchable", kind.searchable),
        ("triggerable", true),
        ("undeletable", verbs.delete),
        ("updateable", verbs.update),
    ];
    let mut map: Map<String, Value> = flags
        .into_iter()
        .map(|(name, flag)| (name.to_owned(), flag.into()))
        .collect();
    for (name, value) in [
        ("associateEntityType", Value::Null),
        ("associateParentEntity", Value::Null),
        ("keyPrefix", json!(kind.prefix)),
        ("label", json!(kind.label)),
        ("labelPlural", json!(kind.label_plural)),
        ("name", json!(kind.name)),
        (
            "urls",
            json!({"rowTemplate": format!("{base}/{{ID}}"), "describe": format!("{base}/describe"), "sobject": base}),
        ),
    ] {
        map.insert(name.to_owned(), value);
    }
    map
}

fn whole(rest: &Rest<'_>, object: ObjectIx, kind: &ObjectType) -> Value {
    let mut map = brief_map(rest, object, kind);
    let site = &rest.call.base_url;
    let fields = kind
        .fields
        .iter()
        .enumerate()
        .filter(|(ix, _)| rest.caller.access.sees(object, *ix));
    let fields: Vec<Value> = fields
        .map(|(ix, field)| field_json(rest, (object, kind), ix, field))
        .collect();
    let children = kind.children.iter().filter_map(|child| {
        let from = rest.org.schema.object(child.object)?;
        Some(json!({
            "cascadeDelete": child.cascade,
            "childSObject": from.name,
            "deprecatedAndHidden": false,
            "field": from.field(child.field)?.name,
            "junctionIdListNames": [],
            "junctionReferenceTo": [],
            "relationshipName": child.name,
            "restrictedDelete": false,
        }))
    });
    let children: Vec<Value> = children.collect();
    let (name, prefix) = (&kind.name, &kind.prefix);
    for (key, value) in [
        ("fields", Value::Array(fields)),
        ("childRelationships", Value::Array(children)),
        (
            "recordTypeInfos",
            json!([{
                "active": true, "available": true, "defaultRecordTypeMapping": true, "developerName": "Master",
                "master": true, "name": "Master", "recordTypeId": "012000000000000AAA",
                "urls": {"layout": format!("/services/data/v{}/sobjects/{name}/describe/layouts/012000000000000AAA", rest.version.text())},
            }]),
        ),
        ("actionOverrides", json!([])),
        ("namedLayoutInfos", json!([])),
        (
            "supportedScopes",
            json!([{"label": format!("All {}", kind.label_plural), "name": "everything"}]),
        ),
        ("compactLayoutable", json!(true)),
        ("searchLayoutable", json!(kind.searchable)),
        ("listviewable", Value::Null),
        ("lookupLayoutable", Value::Null),
        ("networkScopeFieldName", Value::Null),
        ("defaultImplementation", Value::Null),
        ("extendedBy", Value::Null),
        ("extendsInterfaces", Value::Null),
        ("implementedBy", Value::Null),
        ("implementsInterfaces", Value::Null),
        ("sobjectDescribeOption", json!("FULL")),
        ("uiDetailTemplate", json!(format!("{site}/{{ID}}"))),
        ("uiEditTemplate", json!(format!("{site}/{{ID}}/e"))),
        ("uiNewRecord", json!(format!("{site}/{prefix}/e"))),
    ] {
        map.insert(key.to_owned(), value);
    }
    Value::Object(map)
}

fn field_json(
    rest: &Rest<'_>,
    (object, kind): (ObjectIx, &ObjectType),
    ix: FieldIx,
    field: &Field,
) -> Value {
    let (name, soap) = types(field.kind);
    let edits = rest.caller.access.edits(object, ix);
    let verbs = rest.caller.access.verbs(object);
    let defaulted = field.default.is_some() || field.values.iter().any(|value| value.default);
    let defaulted =
        defaulted || field.kind == Kind::Boolean || !field.createable || field.name == "OwnerId";
    let text = field.is_text() || field.kind == Kind::Address;
    let mut map = flags(field, kind.name_field == Some(ix));
    for (key, value) in [
        ("name", json!(field.name)),
        ("label", json!(field.label)),
        ("type", json!(name)),
        ("soapType", json!(soap)),
        ("length", json!(field.length)),
        ("byteLength", json!(if text { field.length * 3 } else { 0 })),
        (
            "precision",
            json!(if field.kind == Kind::Int {
                0
            } else {
                field.precision
            }),
        ),
        (
            "digits",
            json!(if field.kind == Kind::Int {
                field.precision
            } else {
                0
            }),
        ),
        ("scale", json!(field.scale)),
        (
            "createable",
            json!(field.createable && edits && verbs.create),
        ),
        (
            "updateable",
            json!(field.updateable && edits && verbs.update),
        ),
        ("defaultedOnCreate", json!(defaulted)),
        ("defaultValue", field.default.clone().unwrap_or(Value::Null)),
        ("picklistValues", picklist(field)),
        ("referenceTo", json!(field.reference_to)),
        ("relationshipName", json!(field.relationship)),
        ("compoundFieldName", json!(field.part_of)),
        (
            "extraTypeInfo",
            if field.kind == Kind::LongText {
                json!("plaintextarea")
            } else {
                Value::Null
            },
        ),
    ] {
        map.insert(key.to_owned(), value);
    }
    for key in ABSENT {
        map.insert(key.to_owned(), Value::Null);
    }
    Value::Object(map)
}

/// What a field of this org never has.
const ABSENT: [&str; 9] = [
    "calculatedFormula",
    "controllerName",
    "defaultValueFormula",
    "filteredLookupInfo",
    "inlineHelpText",
    "mask",
    "maskType",
    "referenceTargetField",
    "relationshipOrder",
];

fn flags(field: &Field, name_field: bool) -> Map<String, Value> {
    let flags = [
        (
            "aggregatable",
            field.filterable() && field.kind != Kind::MultiPicklist,
        ),
        ("aiPredictionField", false),
        (
            "autoNumber",
            field.derived == Some(super::schema::Derived::AutoNumber),
        ),
        ("calculated", field.calculated),
        ("cascadeDelete", field.cascade),
        ("caseSensitive", field.case_sensitive),
        ("custom", field.custom()),
        ("dependentPicklist", false),
        ("deprecatedAndHidden", false),
        ("displayLocationInDecimal", false),
        ("encrypted", false),
        ("externalId", field.external_id),
        // Compound fields are described as filterable, though no query may filter by them.
        (
            "filterable",
            field.filterable() || field.kind == Kind::Address,
        ),
        ("formulaTreatNullNumberAsZero", false),
        ("groupable", field.groupable()),
        ("highScaleNumber", false),
        ("htmlFormatted", false),
        ("idLookup", field.id_lookup || field.unique),
        ("nameField", name_field),
        ("namePointing", field.polymorphic()),
        ("nillable", field.nillable()),
        ("permissionable", !field.required && field.createable),
        ("polymorphicForeignKey", field.polymorphic()),
        ("queryByDistance", false),
        ("restrictedDelete", false),
        ("restrictedPicklist", field.restricted),
        ("searchPrefilterable", field.kind == Kind::Reference),
        ("sortable", field.sortable()),
        ("unique", field.unique),
        ("writeRequiresMasterRead", false),
    ];
    flags
        .into_iter()
        .map(|(name, flag)| (name.to_owned(), flag.into()))
        .collect()
}

fn picklist(field: &Field) -> Value {
    let value = |value: &super::schema::PickValue| json!({"active": true, "defaultValue": value.default, "label": value.value, "validFor": null, "value": value.value});
    field.values.iter().map(value).collect()
}

fn types(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Id => ("id", "tns:ID"),
        Kind::String => ("string", "xsd:string"),
        Kind::TextArea | Kind::LongText => ("textarea", "xsd:string"),
        Kind::Email => ("email", "xsd:string"),
        Kind::Phone => ("phone", "xsd:string"),
        Kind::Url => ("url", "xsd:string"),
        Kind::Picklist => ("picklist", "xsd:string"),
        Kind::MultiPicklist => ("multipicklist", "xsd:string"),
        Kind::Boolean => ("boolean", "xsd:boolean"),
        Kind::Int => ("int", "xsd:int"),
        Kind::Double => ("double", "xsd:double"),
        Kind::Currency => ("currency", "xsd:double"),
        Kind::Percent => ("percent", "xsd:double"),
        Kind::Date => ("date", "xsd:date"),
        Kind::DateTime => ("datetime", "xsd:dateTime"),
        Kind::Reference => ("reference", "tns:ID"),
        Kind::Address => ("address", "urn:address"),
    }
}
