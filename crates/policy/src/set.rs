//! A loaded set of policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_domain::{
    Candidate, ConnectionName, Document, Enforcement, Layer, Object, Operation, RevisionId,
};

use crate::coverage::Tap;
use crate::judge::{self, Layers};
use crate::layer::LayerSet;
use crate::load::progress::{self, Step, Telling};
use crate::load::{self, Loaded, Tenant};
use crate::package::Package;
use crate::params;
use crate::rules::Reserved;
use crate::{Governing, JudgeOptions, Judged, LoadError, LoadErrors, Sources, Target, revision};

/// Policies that were checked, prepared and named by a revision. Shared between threads.
#[derive(Debug)]
pub struct PolicySet {
    revision: RevisionId,
    loaded: Loaded,
    nothing: Tenant,
}

impl PolicySet {
    /// Checks the sources and prepares their engines.
    ///
    /// # Errors
    /// Every fault that was found, with file, line and remedy.
    pub fn load(sources: &Sources) -> Result<Self, LoadErrors> {
        Self::load_for(sources, 1)
    }

    /// The same for so many threads that judge at once: each gets engines of its own, so that
    /// they do not wait for each other. Any number may judge.
    ///
    /// # Errors
    /// As for [`PolicySet::load`].
    pub fn load_for(sources: &Sources, threads: usize) -> Result<Self, LoadErrors> {
        Ok(Self {
            revision: revision::of(sources),
            loaded: load::all(sources, threads)?,
            nothing: Tenant::default(),
        })
    }

    /// Loads the sources where it does no harm, tells every step of it, and evaluates every
    /// package once over an empty record: loading and judging may hang or end the process, and
    /// the last step says by which file.
    ///
    /// # Errors
    /// As for [`PolicySet::load`].
    pub fn try_out(
        sources: &Sources,
        tell: impl Fn(&Step<'_>) + 'static,
    ) -> Result<(), LoadErrors> {
        let _telling = Telling::start(tell);
        let set = Self::load(sources)?;
        progress::layer(None);
        set.loaded.global.try_out();
        for (name, tenant) in &set.loaded.tenants {
            progress::layer(Some(name));
            let layers = tenant.global.iter().chain(&tenant.own);
            layers.for_each(LayerSet::try_out);
        }
        Ok(())
    }

    /// Names the sources this set was made of.
    #[must_use]
    pub const fn revision(&self) -> &RevisionId {
        &self.revision
    }

    /// Every package, the global layer's first, each layer sorted; with the connection for those
    /// of a connection's layer.
    pub fn packages(&self) -> impl Iterator<Item = (Option<&ConnectionName>, &Package)> {
        let global = self
            .loaded
            .global
            .packages
            .iter()
            .map(|package| (None, package));
        let own = self.loaded.tenants.iter().flat_map(|(name, tenant)| {
            let packages = tenant.own.iter().flat_map(|own| &own.packages);
            packages.map(move |package| (Some(name), package))
        });
        global.chain(own)
    }

    fn layers(&self, connection: &ConnectionName) -> Layers<'_> {
        let tenant = self.loaded.tenants.get(connection).unwrap_or(&self.nothing);
        Layers {
            global: tenant.global.as_ref().unwrap_or(&self.loaded.global),
            enforcement: &tenant.enforcement,
            own: tenant.own.as_ref(),
            revision: &self.revision,
        }
    }

    /// The layers that may govern a connection's operations, the global one first, with how the
    /// connection sets their packages.
    pub(crate) fn layers_of(
        &self,
        connection: &ConnectionName,
    ) -> Vec<(Layer, &LayerSet, &BTreeMap<String, Enforcement>)> {
        let layers = self.layers(connection);
        let own = layers
            .own
            .map(|own| (Layer::Connection, own, &self.nothing.enforcement));
        let global = (Layer::Global, layers.global, layers.enforcement);
        std::iter::once(global).chain(own).collect()
    }

    pub(crate) const fn global_data(&self) -> &Object {
        &self.loaded.data
    }

    /// The layers that a connection's operations meet, its own first; the global one without.
    pub(crate) fn raw_layers(
        &self,
        connection: Option<&ConnectionName>,
    ) -> impl Iterator<Item = &LayerSet> {
        let tenant = connection.and_then(|name| self.loaded.tenants.get(name));
        let own = tenant.and_then(|tenant| tenant.own.as_ref());
        let global = tenant.and_then(|tenant| tenant.global.as_ref());
        own.into_iter()
            .chain([global.unwrap_or(&self.loaded.global)])
    }

    /// Whether nothing can be judged for a connection: its own layer is broken, and no earlier one
    /// can stand in for it.
    #[must_use]
    pub fn is_shut(&self, connection: &ConnectionName) -> bool {
        let tenant = self.loaded.tenants.get(connection);
        tenant.is_some_and(|tenant| tenant.shut)
    }

    /// Whether a package that governs the target may outrun the time limit in a single step, so
    /// that nobody should wait for it on a thread that others need.
    #[must_use]
    pub fn is_heavy(&self, target: &Target<'_>) -> bool {
        let layers = self.layers(target.connection);
        layers.global.heavy(target, layers.enforcement)
            || layers
                .own
                .is_some_and(|own| own.heavy(target, &self.nothing.enforcement))
    }

    /// The packages that govern the target, and what they read.
    #[must_use]
    pub fn governing(&self, target: &Target<'_>) -> Governing {
        let layers = self.layers(target.connection);
        let mut governing = Governing::default();
        let nothing = BTreeMap::new();
        for (set, enforcement) in [
            (Some(layers.global), layers.enforcement),
            (layers.own, &nothing),
        ] {
            let Some(set) = set else { continue };
            for (index, enforced) in set.governing(target, enforcement) {
                if let Some(package) = set.packages.get(index) {
                    governing.packages.push(package.name.clone());
                    governing.reads.extend(&package.reads);
                    governing.asks |=
                        enforced == Enforcement::Enforce && package.has(Reserved::RequireApproval);
                }
            }
        }
        governing
    }

    /// Evaluates the governing packages and combines what they say.
    #[must_use]
    pub fn judge(
        &self,
        operation: &Operation,
        candidate: &Arc<dyn Candidate>,
        options: &JudgeOptions,
    ) -> Judged {
        self.judge_with(operation, candidate, options, None)
    }

    pub(crate) fn judge_with(
        &self,
        operation: &Operation,
        candidate: &Arc<dyn Candidate>,
        options: &JudgeOptions,
        tap: Option<&Tap>,
    ) -> Judged {
        if self.is_shut(&operation.connection.name) {
            return judge::shut(candidate, &self.revision);
        }
        let layers = self.layers(&operation.connection.name);
        judge::judge(&layers, operation, candidate, options, tap)
    }

    /// The same policies with other parameters in the global layer, whatever their schema lets a
    /// connection do: for trying out, not for deciding.
    ///
    /// # Errors
    /// When the engine can't be prepared with them.
    pub fn with_params(&self, settings: &Object) -> Result<Self, LoadError> {
        let mut data = self.loaded.data.clone();
        let mut all = Object::new();
        all.set("params", Document::Object(settings.clone()));
        params::merge_plain(&mut data, &all);
        Ok(Self {
            revision: self.revision.clone(),
            loaded: Loaded {
                global: self.loaded.global.with_data(&data)?,
                data,
                tenants: BTreeMap::new(),
            },
            nothing: Tenant::default(),
        })
    }
}
