//! `crmgate policy check`: every fault of a folder of policies.

use serde_json::json;

use super::{broken, load};
use crate::cli::PolicyFolder;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say, say_json};

pub(super) async fn run(folder: &PolicyFolder) -> Result<Exit, Failure> {
    match load(&folder.dir).await? {
        Ok((sources, set)) => {
            let files = sources.global.len()
                + sources
                    .connections
                    .values()
                    .map(|c| c.files.len())
                    .sum::<usize>();
            match folder.form.output {
                Output::Json => {
                    say_json(
                        &json!({"sound": true, "revision": set.revision(), "files": files, "faults": []}),
                    );
                }
                Output::Table => say(format!(
                    "{files} files are sound; revision {}",
                    set.revision().short()
                )),
            }
            Ok(Exit::Done)
        }
        Err(errors) => Ok(broken(&errors, folder.form.output)),
    }
}
