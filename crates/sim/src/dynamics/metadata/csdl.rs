//! `$metadata`: the service's types in the standard's own XML.

use std::fmt::Write as _;
use std::sync::OnceLock;

use super::super::schema::{Column, Kind, Nav, Required, Schema, Table};

/// The document, made once: the schema never changes while the simulator runs.
pub(crate) fn csdl(schema: &Schema) -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| write(schema).unwrap_or_default())
}

fn write(schema: &Schema) -> Result<String, std::fmt::Error> {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices><Schema Namespace=\"Microsoft.Dynamics.CRM\" Alias=\"mscrm\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">",
    );
    out.push_str("<EntityType Name=\"crmbaseentity\" Abstract=\"true\" />");
    out.push_str("<EntityType Name=\"principal\" BaseType=\"mscrm.crmbaseentity\"><Key><PropertyRef Name=\"ownerid\" /></Key><Property Name=\"ownerid\" Type=\"Edm.Guid\" /></EntityType>");
    for table in schema.tables() {
        entity(&mut out, table)?;
    }
    out.push_str(OPERATIONS);
    out.push_str("<EntityContainer Name=\"System\">");
    for table in schema.tables() {
        set(&mut out, schema, table)?;
    }
    out.push_str(IMPORTS);
    out.push_str("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>");
    Ok(out)
}

fn entity(out: &mut String, table: &Table) -> std::fmt::Result {
    let base = match &*table.name {
        "systemuser" | "team" => "principal",
        _ => "crmbaseentity",
    };
    write!(
        out,
        "<EntityType Name=\"{}\" BaseType=\"mscrm.{base}\">",
        table.name
    )?;
    if base == "crmbaseentity" {
        write!(out, "<Key><PropertyRef Name=\"{}\" /></Key>", table.id)?;
    }
    for column in &table.columns {
        property(out, column)?;
    }
    let mut navs: Vec<_> = table.navs().collect();
    navs.sort_by_key(|(name, _)| *name);
    for (name, nav) in navs {
        match nav {
            Nav::One { column, targets } => {
                let kind = match targets.as_slice() {
                    [only] => only,
                    _ => "principal",
                };
                write!(
                    out,
                    "<NavigationProperty Name=\"{name}\" Type=\"mscrm.{kind}\" Nullable=\"{}\">",
                    table
                        .column(column)
                        .is_none_or(|column| column.required != Required::System)
                )?;
                if let [only] = targets.as_slice() {
                    write!(
                        out,
                        "<ReferentialConstraint Property=\"_{column}_value\" ReferencedProperty=\"{only}id\" />"
                    )?;
                }
                out.push_str("</NavigationProperty>");
            }
            Nav::Many(relation) => write!(
                out,
                "<NavigationProperty Name=\"{name}\" Type=\"Collection(mscrm.{})\" Partner=\"{}\" />",
                relation.from, relation.nav
            )?,
            Nav::Linked(link) => write!(
                out,
                "<NavigationProperty Name=\"{name}\" Type=\"Collection(mscrm.{})\" />",
                link.other(&table.name)
            )?,
        }
    }
    for key in &table.keys {
        out.push_str("<Annotation Term=\"OData.Community.Keys.V1.AlternateKeys\"><Collection><Record><PropertyValue Property=\"Key\"><Collection>");
        for column in &key.columns {
            let name = table
                .column(column)
                .map(Column::property)
                .unwrap_or_default();
            write!(
                out,
                "<Record><PropertyValue Property=\"Alias\" String=\"{name}\" /><PropertyValue Property=\"Name\" PropertyPath=\"{name}\" /></Record>"
            )?;
        }
        out.push_str("</Collection></PropertyValue></Record></Collection></Annotation>");
    }
    out.push_str("</EntityType>");
    Ok(())
}

fn property(out: &mut String, column: &Column) -> std::fmt::Result {
    write!(
        out,
        "<Property Name=\"{}\" Type=\"{}\"",
        column.property(),
        column.edm()
    )?;
    match &column.kind {
        Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. } => {
            out.push_str(" Unicode=\"false\"");
        }
        Kind::Money { .. } => out.push_str(" Scale=\"4\""),
        Kind::Decimal { precision, .. } => write!(out, " Scale=\"{precision}\"")?,
        _ => {}
    }
    out.push_str(" />");
    Ok(())
}

fn set(out: &mut String, schema: &Schema, table: &Table) -> std::fmt::Result {
    write!(
        out,
        "<EntitySet Name=\"{}\" EntityType=\"Microsoft.Dynamics.CRM.{}\">",
        table.set, table.name
    )?;
    let mut navs: Vec<_> = table.navs().collect();
    navs.sort_by_key(|(name, _)| *name);
    for (name, nav) in navs {
        let target = match nav {
            Nav::One { targets, .. } => match targets.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            Nav::Many(relation) => Some(&relation.from),
            Nav::Linked(link) => Some(link.other(&table.name)),
        };
        if let Some(target) = target.and_then(|target| schema.table(target)) {
            write!(
                out,
                "<NavigationPropertyBinding Path=\"{name}\" Target=\"{}\" />",
                target.set
            )?;
        }
    }
    out.push_str("</EntitySet>");
    Ok(())
}

const OPERATIONS: &str = concat!(
    "<ComplexType Name=\"WhoAmIResponse\"><Property Name=\"BusinessUnitId\" Type=\"Edm.Guid\" Nullable=\"false\" /><Property Name=\"UserId\" Type=\"Edm.Guid\" Nullable=\"false\" /><Property Name=\"OrganizationId\" Type=\"Edm.Guid\" Nullable=\"false\" /></ComplexType>",
    "<ComplexType Name=\"RetrieveVersionResponse\"><Property Name=\"Version\" Type=\"Edm.String\" Unicode=\"false\" /></ComplexType>",
    "<ComplexType Name=\"RetrieveAvailableLanguagesResponse\"><Property Name=\"LocaleIds\" Type=\"Collection(Edm.Int32)\" Nullable=\"false\" /></ComplexType>",
    "<Function Name=\"WhoAmI\"><ReturnType Type=\"mscrm.WhoAmIResponse\" Nullable=\"false\" /></Function>",
    "<Function Name=\"RetrieveVersion\"><ReturnType Type=\"mscrm.RetrieveVersionResponse\" Nullable=\"false\" /></Function>",
    "<Function Name=\"RetrieveAvailableLanguages\"><ReturnType Type=\"mscrm.RetrieveAvailableLanguagesResponse\" Nullable=\"false\" /></Function>",
    "<Action Name=\"WinOpportunity\"><Parameter Name=\"OpportunityClose\" Type=\"mscrm.opportunityclose\" Nullable=\"false\" /><Parameter Name=\"Status\" Type=\"Edm.Int32\" Nullable=\"false\" /></Action>",
    "<Action Name=\"LoseOpportunity\"><Parameter Name=\"OpportunityClose\" Type=\"mscrm.opportunityclose\" Nullable=\"false\" /><Parameter Name=\"Status\" Type=\"Edm.Int32\" Nullable=\"false\" /></Action>",
    "<Action Name=\"CloseIncident\"><Parameter Name=\"IncidentResolution\" Type=\"mscrm.incidentresolution\" Nullable=\"false\" /><Parameter Name=\"Status\" Type=\"Edm.Int32\" Nullable=\"false\" /></Action>",
    "<Action Name=\"QualifyLead\" IsBound=\"true\"><Parameter Name=\"entity\" Type=\"mscrm.lead\" Nullable=\"false\" /><Parameter Name=\"CreateAccount\" Type=\"Edm.Boolean\" Nullable=\"false\" /><Parameter Name=\"CreateContact\" Type=\"Edm.Boolean\" Nullable=\"false\" /><Parameter Name=\"CreateOpportunity\" Type=\"Edm.Boolean\" Nullable=\"false\" /><Parameter Name=\"Status\" Type=\"Edm.Int32\" Nullable=\"false\" /><ReturnType Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\" /></Action>",
);
const IMPORTS: &str = concat!(
    "<FunctionImport Name=\"WhoAmI\" Function=\"Microsoft.Dynamics.CRM.WhoAmI\" />",
    "<FunctionImport Name=\"RetrieveVersion\" Function=\"Microsoft.Dynamics.CRM.RetrieveVersion\" />",
    "<FunctionImport Name=\"RetrieveAvailableLanguages\" Function=\"Microsoft.Dynamics.CRM.RetrieveAvailableLanguages\" />",
    "<ActionImport Name=\"WinOpportunity\" Action=\"Microsoft.Dynamics.CRM.WinOpportunity\" />",
    "<ActionImport Name=\"LoseOpportunity\" Action=\"Microsoft.Dynamics.CRM.LoseOpportunity\" />",
    "<ActionImport Name=\"CloseIncident\" Action=\"Microsoft.Dynamics.CRM.CloseIncident\" />",
);
