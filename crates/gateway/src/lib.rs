//! The CRM-native data plane.
