//! Tables, columns, keys and relationships as the service describes them.

use serde_json::{Map, Value, json};

use super::super::schema::{
    Access, Column, Key, Kind, Ownership, Required, Schema, Table, stable_id,
};

/// 1033 is the organization's only language.
fn label(text: &str) -> Value {
    let localized = json!({
        "Label": text,
        "LanguageCode": 1033,
        "IsManaged": true,
        "MetadataId": stable_id("label", text),
        "HasChanged": null,
    });
    json!({"LocalizedLabels": [localized.clone()], "UserLocalizedLabel": localized})
}

fn managed(value: bool, name: &str) -> Value {
    json!({"Value": value, "CanBeChanged": true, "ManagedPropertyLogicalName": name})
}

/// JSON known to be an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A table.
pub(super) fn table(schema: &Schema, table: &Table) -> Map<String, Value> {
    let ownership = match table.ownership {
        Ownership::User => "UserOwned",
        Ownership::BusinessUnit => "BusinessOwned",
        Ownership::Organization => "OrganizationOwned",
    };
    let image = table.column("entityimage").map(|column| &column.name);
    let custom = table.is_custom();
    object(json!({
        "MetadataId": stable_id("entity", &table.name),
        "HasChanged": null,
        "LogicalName": &*table.name,
        "SchemaName": table.schema,
        "EntitySetName": table.set,
        "CollectionSchemaName": table.plural.replace(' ', ""),
        "LogicalCollectionName": table.set,
        "ObjectTypeCode": table.code,
        "DisplayName": label(&table.label),
        "DisplayCollectionName": label(&table.plural),
        "Description": label(&table.label),
        "PrimaryIdAttribute": table.id,
        "PrimaryNameAttribute": table.primary,
        "PrimaryImageAttribute": image,
        "OwnershipType": ownership,
        "TableType": "Standard",
        "IsActivity": table.activity,
        "IsActivityParty": matches!(&*table.name, "account" | "contact" | "lead" | "systemuser" | "team"),
        "IsCustomEntity": custom,
        "IsManaged": !custom,
        "IsIntersect": false,
        "IsPrivate": false,
        "IsLogicalEntity": false,
        "IsValidForAdvancedFind": true,
        "IsEnabledForCharts": true,
        "IsOptimisticConcurrencyEnabled": true,
        "ChangeTrackingEnabled": false,
        "EntityColor": null,
        "IntroducedVersion": "5.0.0.0",
        "DataProviderId": null,
        "DataSourceId": null,
        "IsAuditEnabled": managed(false, "canmodifyauditsettings"),
        "IsCustomizable": managed(true, "iscustomizable"),
        "IsDuplicateDetectionEnabled": managed(
            matches!(&*table.name, "account" | "contact" | "lead"),
            "canmodifyduplicatedetectionsettings",
        ),
        "CanCreateAttributes": managed(true, "cancreateattributes"),
        "Privileges": privileges(table),
        "HasNotes": false,
        "HasActivities": schema.pointing_at(&table.name).any(|relation| &*relation.from == "task"),
    }))
}

fn privileges(table: &Table) -> Value {
    [
        "Create", "Read", "Write", "Delete", "Assign", "Append", "AppendTo",
    ]
    .iter()
    .map(|kind| {
        let name = format!("prv{kind}{}", table.schema);
        json!({
            "CanBeBasic": true,
            "CanBeDeep": true,
            "CanBeGlobal": true,
            "CanBeLocal": true,
            "CanBeEntityReference": false,
            "CanBeParentEntityReference": false,
            "Name": name,
            "PrivilegeId": stable_id("privilege", &name),
            "PrivilegeType": kind,
        })
    })
    .collect()
}

/// All columns of a table.
pub(super) fn attributes(table: &Table) -> Vec<Map<String, Value>> {
    table
        .columns
        .iter()
        .map(|column| attribute(table, column))
        .collect()
}

/// The type of the description, `AttributeType` and `AttributeTypeName`.
fn kinds(column: &Column) -> (&'static str, &'static str, &'static str) {
    match &column.kind {
        Kind::Id | Kind::Guid => (
            "UniqueIdentifierAttributeMetadata",
            "Uniqueidentifier",
            "UniqueidentifierType",
        ),
        Kind::Text { .. } => ("StringAttributeMetadata", "String", "StringType"),
        Kind::Memo { .. } => ("MemoAttributeMetadata", "Memo", "MemoType"),
        Kind::Int { .. } => ("IntegerAttributeMetadata", "Integer", "IntegerType"),
        Kind::BigInt => ("BigIntAttributeMetadata", "BigInt", "BigIntType"),
        Kind::Decimal { .. } => ("DecimalAttributeMetadata", "Decimal", "DecimalType"),
        Kind::Money { .. } => ("MoneyAttributeMetadata", "Money", "MoneyType"),
        Kind::Bool { .. } => ("BooleanAttributeMetadata", "Boolean", "BooleanType"),
        Kind::Date | Kind::Time => ("DateTimeAttributeMetadata", "DateTime", "DateTimeType"),
        Kind::Choice { .. } => ("PicklistAttributeMetadata", "Picklist", "PicklistType"),
        Kind::Choices { .. } => (
            "MultiSelectPicklistAttributeMetadata",
            "Virtual",
            "MultiSelectPicklistType",
        ),
        Kind::State { .. } => ("StateAttributeMetadata", "State", "StateType"),
        Kind::Status { .. } => ("StatusAttributeMetadata", "Status", "StatusType"),
        Kind::Lookup { targets } if column.name == "ownerid" && targets.len() > 1 => {
            ("LookupAttributeMetadata", "Owner", "OwnerType")
        }
        Kind::Lookup { targets }
            if targets.len() == 2
                && targets.iter().any(|target| &*target.table == "account")
                && targets.iter().any(|target| &*target.table == "contact") =>
        {
            ("LookupAttributeMetadata", "Customer", "CustomerType")
        }
        Kind::Lookup { .. } => ("LookupAttributeMetadata", "Lookup", "LookupType"),
    }
}

fn attribute(table: &Table, column: &Column) -> Map<String, Value> {
    let (kind, short, name) = kinds(column);
    let path = format!("{}.{}", table.name, column.name);
    let required = match column.required {
        Required::None => "None",
        Required::Recommended => "Recommended",
        Required::Business => "ApplicationRequired",
        Required::System => "SystemRequired",
    };
    let of = match &column.kind {
        Kind::Money {
            base_of: Some(amount),
            ..
        } => Some(amount),
        _ => None,
    };
    let mut out = object(json!({
        "@odata.type": format!("#Microsoft.Dynamics.CRM.{kind}"),
        "MetadataId": stable_id("attribute", &path),
        "HasChanged": null,
        "AttributeOf": null,
        "AttributeType": short,
        "AttributeTypeName": {"Value": name},
        "ColumnNumber": table.position(&column.name).map(|position| position + 1),
        "EntityLogicalName": &*table.name,
        "LogicalName": column.name,
        "SchemaName": column.schema,
        "DisplayName": label(&column.label),
        "Description": label(&column.label),
        "IsCustomAttribute": column.is_custom(),
        "IsManaged": !column.is_custom(),
        "IsLogical": false,
        "IsPrimaryId": column.name == table.id,
        "IsPrimaryName": column.name == table.primary,
        "IsValidForCreate": column.access != Access::Read,
        "IsValidForRead": true,
        "IsValidForUpdate": column.access == Access::Write,
        "IsValidODataAttribute": true,
        "IsFilterable": true,
        "IsSearchable": true,
        "IsRetrievable": true,
        "IsSecured": column.secured,
        "CanBeSecuredForRead": true,
        "CanBeSecuredForCreate": true,
        "CanBeSecuredForUpdate": true,
        "IntroducedVersion": "5.0.0.0",
        "SourceType": 0,
        "RequiredLevel": {
            "Value": required,
            "CanBeChanged": column.required != Required::System,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "IsAuditEnabled": managed(true, "canmodifyauditsettings"),
        "IsCustomizable": managed(true, "iscustomizable"),
    }));
    if let Some(amount) = of {
        out.insert("CalculationOf".to_owned(), json!(amount));
    }
    out.extend(details(column, &path));
    out
}

/// What only this kind of column has.
fn details(column: &Column, path: &str) -> Map<String, Value> {
    object(match &column.kind {
        Kind::Text { max, format } => {
            let format = format.as_deref().unwrap_or("Text");
            json!({"MaxLength": max, "Format": format, "FormatName": {"Value": format}, "ImeMode": "Auto", "DatabaseLength": max * 2})
        }
        Kind::Memo { max } => json!({"MaxLength": max, "Format": "TextArea", "ImeMode": "Auto"}),
        Kind::Int { min, max } => json!({"MinValue": min, "MaxValue": max, "Format": "None"}),
        Kind::BigInt => json!({"MinValue": i64::MIN, "MaxValue": i64::MAX}),
        Kind::Decimal {
            min,
            max,
            precision,
        } => json!({"MinValue": min, "MaxValue": max, "Precision": precision}),
        Kind::Money { min, max, base_of } => json!({
            "MinValue": min,
            "MaxValue": max,
            "Precision": 2,
            "PrecisionSource": 2,
            "IsBaseCurrency": base_of.is_some(),
        }),
        Kind::Bool { yes, no } => json!({
            "DefaultValue": column.default.as_ref().is_some_and(|value| *value == json!(true)),
            "OptionSet": {
                "MetadataId": stable_id("optionset", path),
                "OptionSetType": "Boolean",
                "IsGlobal": false,
                "TrueOption": option(1, yes, None),
                "FalseOption": option(0, no, None),
            },
        }),
        Kind::Date => json!({"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}),
        Kind::Time => json!({"Format": "DateAndTime", "DateTimeBehavior": {"Value": "UserLocal"}}),
        Kind::Choice { .. } => choice(column, path, "Picklist"),
        Kind::Choices { .. } => choice(column, path, "Picklist"),
        Kind::State { .. } => choice(column, path, "State"),
        Kind::Status { .. } => choice(column, path, "Status"),
        Kind::Lookup { targets } => {
            let tables: Vec<&str> = targets.iter().map(|target| &*target.table).collect();
            json!({"Targets": tables, "Format": "None"})
        }
        Kind::Id | Kind::Guid => Value::Null,
    })
}

fn choice(column: &Column, path: &str, kind: &str) -> Value {
    let state = |value: i64| match &column.kind {
        Kind::Status { options } => options.get(&value).map(|option| option.state),
        _ => None,
    };
    let options: Vec<Value> = column
        .accepted()
        .into_iter()
        .map(|value| {
            option(
                value,
                column.label_of(value).unwrap_or_default(),
                state(value),
            )
        })
        .collect();
    json!({
        "DefaultFormValue": column.default.clone().unwrap_or_else(|| json!(-1)),
        "OptionSet": {
            "MetadataId": stable_id("optionset", path),
            "Name": path.replace('.', "_"),
            "DisplayName": label(&column.label),
            "IsGlobal": false,
            "IsCustomOptionSet": column.is_custom(),
            "OptionSetType": kind,
            "Options": options,
        },
        "GlobalOptionSet": null,
    })
}

fn option(value: i64, text: &str, state: Option<i64>) -> Value {
    let mut option = object(json!({
        "Value": value,
        "Label": label(text),
        "Description": {"LocalizedLabels": [], "UserLocalizedLabel": null},
        "Color": null,
        "IsManaged": true,
        "ExternalValue": null,
        "MetadataId": null,
        "HasChanged": null,
    }));
    if let Some(state) = state {
        option.insert("State".to_owned(), json!(state));
        option.insert(
            "@odata.type".to_owned(),
            json!("#Microsoft.Dynamics.CRM.StatusOptionMetadata"),
        );
    }
    Value::Object(option)
}

/// All alternate keys of a table.
pub(super) fn keys(table: &Table) -> Vec<Map<String, Value>> {
    table.keys.iter().map(|one| key(table, one)).collect()
}

fn key(table: &Table, key: &Key) -> Map<String, Value> {
    object(json!({
        "MetadataId": stable_id("key", &key.name),
        "HasChanged": null,
        "LogicalName": key.name,
        "SchemaName": key.name,
        "DisplayName": label(&key.label),
        "EntityLogicalName": &*table.name,
        "KeyAttributes": key.columns,
        "EntityKeyIndexStatus": "Active",
        "IsManaged": false,
        "IsCustomizable": managed(true, "iscustomizable"),
    }))
}
