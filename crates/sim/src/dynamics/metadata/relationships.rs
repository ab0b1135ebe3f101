//! Relationships as the service describes them.

use serde_json::{Map, Value, json};

use super::super::schema::{Cascade, Link, Relation, Schema, stable_id};
use super::describe::object;

/// A lookup as a relationship.
pub(super) fn relation(
    schema: &Schema,
    relation: &Relation,
    typed: bool,
) -> Option<Map<String, Value>> {
    let to = schema.table(&relation.to)?;
    let delete = match relation.cascade {
        Cascade::RemoveLink => "RemoveLink",
        Cascade::Delete => "Cascade",
        Cascade::Restrict => "Restrict",
    };
    let mut out = Map::new();
    if typed {
        out.insert(
            "@odata.type".to_owned(),
            json!("#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"),
        );
    }
    out.extend(object(json!({
        "MetadataId": stable_id("relationship", &format!("{}/{}", relation.from, relation.name)),
        "HasChanged": null,
        "SchemaName": relation.name,
        "RelationshipType": "OneToManyRelationship",
        "ReferencedEntity": &*relation.to,
        "ReferencedAttribute": to.id,
        "ReferencedEntityNavigationPropertyName": relation.name,
        "ReferencingEntity": &*relation.from,
        "ReferencingAttribute": relation.column,
        "ReferencingEntityNavigationPropertyName": relation.nav,
        "IsCustomRelationship": relation.column.starts_with("cg_"),
        "IsManaged": !relation.column.starts_with("cg_"),
        "IsValidForAdvancedFind": true,
        "IsHierarchical": false,
        "SecurityTypes": "None",
        "CascadeConfiguration": {
            "Assign": "NoCascade",
            "Delete": delete,
            "Merge": "NoCascade",
            "Reparent": "NoCascade",
            "Share": "NoCascade",
            "Unshare": "NoCascade",
        },
    })));
    Some(out)
}

/// An N:N relationship.
pub(super) fn link(link: &Link, typed: bool) -> Map<String, Value> {
    let mut out = Map::new();
    if typed {
        out.insert(
            "@odata.type".to_owned(),
            json!("#Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata"),
        );
    }
    out.extend(object(json!({
        "MetadataId": stable_id("relationship", &link.name),
        "HasChanged": null,
        "SchemaName": link.name,
        "RelationshipType": "ManyToManyRelationship",
        "IntersectEntityName": link.intersect,
        "Entity1LogicalName": &*link.left,
        "Entity1IntersectAttribute": format!("{}id", link.left),
        "Entity1NavigationPropertyName": link.left_nav,
        "Entity2LogicalName": &*link.right,
        "Entity2IntersectAttribute": format!("{}id", link.right),
        "Entity2NavigationPropertyName": link.right_nav,
        "IsCustomRelationship": link.name.starts_with("cg_"),
        "IsManaged": !link.name.starts_with("cg_"),
    })));
    out
}
