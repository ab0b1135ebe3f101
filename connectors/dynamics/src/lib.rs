//! The Dynamics 365 (Dataverse) connector.
