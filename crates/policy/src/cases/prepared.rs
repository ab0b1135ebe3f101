//! A case, ready to be judged for any kind of CRM.

use super::{Case, CaseReport, Difference, System, compare};
use crate::coverage::Tap;
use crate::{LoadError, PolicySet};

/// A case with the policies it is judged by: those it sets parameters of are its own.
pub struct Prepared<'a> {
    case: &'a Case,
    set: Own<'a>,
    fault: Option<LoadError>,
}

impl<'a> Prepared<'a> {
    /// Sets the case's parameters.
    #[must_use]
    pub fn new(set: &'a PolicySet, case: &'a Case) -> Self {
        let own = (!case.params.is_empty()).then(|| set.with_params(&case.params));
        let (set, fault) = match own {
            None => (Own::Shared(set), None),
            Some(Ok(own)) => (Own::Own(Box::new(own)), None),
            Some(Err(fault)) => (Own::Shared(set), Some(fault)),
        };
        Self { case, set, fault }
    }

    /// The policies, with the case's parameters.
    ///
    /// # Errors
    /// When they can't be used with them.
    pub fn set(&self) -> Result<&PolicySet, &LoadError> {
        match (&self.fault, &self.set) {
            (Some(fault), _) => Err(fault),
            (None, Own::Shared(set)) => Ok(set),
            (None, Own::Own(set)) => Ok(set),
        }
    }

    /// Judges the case for one kind of CRM and compares.
    #[must_use]
    pub fn report(&self, system: &System, tap: Option<&Tap>) -> CaseReport {
        let (differences, said) = match self.set() {
            Err(fault) => {
                let difference = Difference::new("params", "usable", &fault.to_string());
                (vec![difference], Vec::new())
            }
            Ok(set) => {
                let (operation, candidate, options) = self.case.ask(system);
                let judged = set.judge_with(&operation, &candidate, &options, tap);
                let judgement = &judged.judgement;
                let differences = compare::all(&self.case.expect, judgement);
                (differences, compare::said(judgement))
            }
        };
        CaseReport {
            name: self.case.name.clone(),
            system: system.name.clone(),
            line: self.case.line,
            differences,
            said,
        }
    }
}

enum Own<'a> {
    Shared(&'a PolicySet),
    Own(Box<PolicySet>),
}
