//! No import takes the name of a document that is always there.

use super::fault;
use crate::LoadError;
use crate::symbols::Symbols;

/// Finds imports named `input` or `data`: rules below them would read something else than whoever
/// reads the rules thinks.
pub(crate) fn check(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    for module in symbols.modules {
        for import in &module.import_list {
            if import.path.len() > 1 && matches!(import.name.as_str(), "input" | "data") {
                let message = format!(
                    "`{}` is imported under the name `{}`, which is taken",
                    import.path.join("."),
                    import.name
                );
                faults.push(
                    fault("import", &module.file, import.place, message)
                        .remedy("import it `as` something else"),
                );
            }
        }
    }
}
