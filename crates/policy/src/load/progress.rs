//! What a load is at, for whoever has to say later at what it broke off.

use std::cell::RefCell;

use crmgate_domain::ConnectionName;

/// What a load is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// In whose layer; `None` in the global one.
    pub connection: Option<&'a ConnectionName>,
    /// What it does: `reading`, `checking`, `preparing`, `trying`; `slow` says that what it tried
    /// took longer than it may.
    pub doing: &'static str,
    /// The file; where several make up what it is at, their first.
    pub file: &'a str,
}

type Tell = Box<dyn Fn(&Step<'_>)>;

thread_local! {
    static TELL: RefCell<Option<(Tell, Option<ConnectionName>)>> = const { RefCell::new(None) };
}

/// Tells every step of loads on this thread, until it is dropped.
pub(crate) struct Telling(());

impl Telling {
    pub(crate) fn start(tell: impl Fn(&Step<'_>) + 'static) -> Self {
        TELL.set(Some((Box::new(tell), None)));
        Self(())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELL.set(None);
    }
}

/// The steps that follow are in this layer.
pub(crate) fn layer(name: Option<&ConnectionName>) {
    TELL.with_borrow_mut(|telling| {
        if let Some((_, connection)) = telling {
            *connection = name.cloned();
        }
    });
}

/// Tells a step.
pub(crate) fn at(doing: &'static str, file: &str) {
    TELL.with_borrow(|telling| {
        if let Some((tell, connection)) = telling {
            tell(&Step {
                connection: connection.as_ref(),
                doing,
                file,
            });
        }
    });
}
