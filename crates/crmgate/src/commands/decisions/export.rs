//! `crmgate decisions export`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt as _;
use url::form_urlencoded::Serializer;

use super::list::query;
use crate::cli::{DecisionsExport, ExportForm};
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::output::Count;

/// How often an export that breaks off is gone on with.
const ATTEMPTS: u32 = 5;
/// The pause before that.
const PAUSE: Duration = Duration::from_secs(1);
/// How much of a file's end is looked through for its last line. No line is longer.
const TAIL: u64 = 64 << 20;

/// How one stream ended.
enum Ended {
    Whole,
    Broken(String),
    Unwanted,
}

pub(super) async fn run(wanted: &DecisionsExport) -> Result<Exit, Failure> {
    let api = Api::open(&wanted.remote)?;
    let mut filters = query(&wanted.wanted)?;
    filters.push(("form", wanted.form.as_str().to_owned()));
    let mut out = Lines::open(wanted)?;
    let mut count = Count::new("decisions exported");
    let mut broken = 0;
    loop {
        let before = (out.lines, out.last);
        match stream(&api, &filters, &mut out, &mut count).await? {
            Ended::Whole => break,
            // Who reads standard output has enough of it.
            Ended::Unwanted => return Ok(Exit::Done),
            Ended::Broken(why) => {
                // What moves on may break off as often as it likes.
                broken = if (out.lines, out.last) == before {
                    broken + 1
                } else {
                    1
                };
                if broken >= ATTEMPTS {
                    let hint = if wanted.out.is_some() {
                        "; `--resume` goes on where it stopped"
                    } else {
                        ""
                    };
                    let message = format!("the export broke off: {why}{hint}");
                    return Err(Failure::new(Exit::Unreachable, message));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    out.finish()?;
    Ok(Exit::Done)
}

async fn stream(
    api: &Api,
    filters: &[(&'static str, String)],
    out: &mut Lines,
    count: &mut Count,
) -> Result<Ended, Failure> {
    let mut text = Serializer::new(String::new());
    text.extend_pairs(filters);
    if let Some(last) = out.last {
        text.append_pair("before", &last.to_string());
    }
    let path = format!("/v1/decisions/export?{}", text.finish());
    let mut body = match api.stream(&path).await {
        Ok(body) => body,
        Err(failure) if failure.exit == Exit::Unreachable && out.last.is_some() => {
            return Ok(Ended::Broken(failure.to_string()));
        }
        Err(failure) => return Err(failure),
    };
    out.begin();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(data) = frame.data_ref() {
                    match out.take(data) {
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                            return Ok(Ended::Unwanted);
                        }
                        taken => taken.map_err(|error| failed(&error))?,
                    }
                    count.at(out.lines);
                }
            }
            Err(error) => return Ok(Ended::Broken(error.to_string())),
        }
    }
    Ok(Ended::Whole)
}

/// Writes whole lines, and knows the place of the last.
struct Lines {
    out: Box<dyn Write>,
    form: ExportForm,
    /// What has come of a line that is not whole yet.
    half: Vec<u8>,
    /// How many decisions were written.
    lines: u64,
    /// The place in the record of the last.
    last: Option<u64>,
    /// Whether the table's head was written, and whether it comes now.
    headed: bool,
    head_comes: bool,
}

impl Lines {
    fn open(wanted: &DecisionsExport) -> Result<Self, Failure> {
        let mut lines = Self {
            out: Box::new(io::stdout()),
            form: wanted.form,
            half: Vec::new(),
            lines: 0,
            last: None,
            headed: false,
            head_comes: false,
        };
        let out = wanted.out.as_deref();
        let Some(path) = out.filter(|path| *path != Path::new("-")) else {
            return Ok(lines);
        };
        if wanted.resume && path.exists() {
            let (file, last) = resumed(path, wanted.form)?;
            lines.headed = last.is_some();
            lines.last = last;
            lines.out = Box::new(file);
        } else {
            let mut options = OpenOptions::new();
            options.write(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(0o600);
            }
            // Nobody's file is written over by a slip.
            let file = options.create_new(true).open(path);
            lines.out = Box::new(file.map_err(|error| unwritable(path, &error))?);
        }
        Ok(lines)
    }

    /// A stream begins, at the line behind the last.
    fn begin(&mut self) {
        self.half.clear();
        self.head_comes = self.form == ExportForm::Csv;
    }

    fn take(&mut self, data: &[u8]) -> io::Result<()> {
        self.half.extend_from_slice(data);
        let Some(end) = self.half.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.half.split_off(end + 1);
        let whole = std::mem::replace(&mut self.half, rest);
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let is_head = std::mem::take(&mut self.head_comes);
            if is_head && self.headed {
                continue;
            }
            self.out.write_all(line)?;
            if is_head {
                self.headed = true;
            } else {
                self.lines += 1;
                self.last = place(line, self.form).or(self.last);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| failed(&error))
    }
}

/// Opens a file that an export broke off in: half a line is cut off; the place of its last.
fn resumed(path: &Path, form: ExportForm) -> Result<(File, Option<u64>), Failure> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let mut file = opened.map_err(|error| unwritable(path, &error))?;
    let last = cut(&mut file).map_err(|error| unwritable(path, &error))?;
    let Some(line) = last else {
        return Ok((file, None));
    };
    match place(&line, form) {
        Some(last) => Ok((file, Some(last))),
        None if form == ExportForm::Csv && line.starts_with(b"sequence,") => {
            file.set_len(0).map_err(|error| unwritable(path, &error))?;
            file.seek(SeekFrom::Start(0))
                .map_err(|error| unwritable(path, &error))?;
            Ok((file, None))
        }
        None => {
            let message = format!(
                "`{}` does not end in a line of this form: nothing to go on with",
                path.display()
            );
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Cuts off half a line, goes to the end, and gives the last whole line.
fn cut(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n');
    let whole = end.map_or(0, |at| at + 1);
    file.set_len(from + whole as u64)?;
    file.seek(SeekFrom::End(0))?;
    tail.truncate(whole);
    let mut lines = tail.split_inclusive(|byte| *byte == b'\n');
    Ok(lines.next_back().map(<[u8]>::to_vec))
}

/// The place in the record that a line tells.
fn place(line: &[u8], form: ExportForm) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    if form == ExportForm::Csv {
        return text.split(',').next()?.parse().ok();
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let name = match form {
        ExportForm::Opa => "req_id",
        ExportForm::Crmgate | ExportForm::Csv => "sequence",
    };
    value.get(name)?.as_u64()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "; `--resume` goes on with it",
        _ => "",
    };
    Failure::new(Exit::System, format!("`{}`: {error}{hint}", path.display()))
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(
        Exit::System,
        format!("the export cannot be written: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_cut_off_and_the_last_whole_one_tells_where_to_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (form, text, last, left) in [
            (
                ExportForm::Opa,
                "{\"req_id\":9}\n{\"req_id\":7}\n{\"req",
                Some(7),
                26,
            ),
            (ExportForm::Crmgate, "{\"sequence\":9}\n", Some(9), 15),
            (ExportForm::Csv, "sequence,at\r\n12,x\r\n11", Some(12), 19),
            (ExportForm::Csv, "sequence,at\r\n", None, 0),
            (ExportForm::Opa, "{\"half", None, 0),
        ] {
            std::fs::write(&path, text).unwrap();
            let (mut file, found) = resumed(&path, form).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(found, last, "{text}");
            assert_eq!(file.stream_position().unwrap(), left, "{text}");
            assert_eq!(file.metadata().unwrap().len(), left, "{text}");
        }
        std::fs::write(&path, "something else\n").unwrap();
        assert!(resumed(&path, ExportForm::Opa).is_err());
    }
}
