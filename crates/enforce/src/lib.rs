//! Enrich, judge, record, write, reconcile: the one way a write takes.
