//! Writes as parts of a batch, each by itself.

use crmgate_connector::Failure;
use http::HeaderValue;

use super::{Row, Run, batch, whole};
use crate::multipart;
use crate::upstream::Answer;

impl Run<'_> {
    /// Any writes. Halves of what is refused as a whole are sent by themselves.
    pub(super) async fn apart(&mut self, rows: Vec<Row>) {
        let mut waiting = vec![rows];
        while let Some(mut rows) = waiting.pop() {
            if rows.len() < 2 {
                if let Some(row) = rows.pop() {
                    self.alone(row).await;
                }
                continue;
            }
            let answer = self.batch(&rows).await;
            match answer {
                Err(failure) => self.put_all(&rows, || failure.of_one()),
                Ok(answer) => match multipart::boundary(&answer.headers) {
                    Some(boundary) => self.parts(rows, &answer, &boundary).await,
                    None if is_about_the_message(&answer) => {
                        let second = rows.split_off(rows.len() / 2);
                        waiting.extend([second, rows]);
                    }
                    None => self.put_all(&rows, || whole(&answer)),
                },
            }
        }
    }

    async fn batch(&mut self, rows: &[Row]) -> Result<Answer, Failure> {
        let boundary = self.boundary("batch", rows);
        let calls = rows.iter().map(|row| &row.sending.call);
        let body = multipart::requests(calls, &boundary);
        let mut call = batch(rows, &boundary, body);
        let go_on = HeaderValue::from_static("odata.continue-on-error");
        call.headers.insert("prefer", go_on);
        self.call(&call).await
    }

    /// The answers come in the order of the requests.
    async fn parts(&mut self, rows: Vec<Row>, answer: &Answer, boundary: &str) {
        let message = multipart::read(&answer.body, boundary);
        if message.parts.len() > rows.len() {
            let failure = || Failure::unknown("the batch's answer has more parts than the batch");
            return self.put_all(&rows, failure);
        }
        let mut parts = message.parts.into_iter();
        for row in rows {
            let result = match parts.next() {
                None => Err(Failure::unknown(
                    "the batch's answer broke off before this write",
                )),
                Some(part) => match part.as_ref().and_then(multipart::Part::answer) {
                    None => Err(Failure::unknown(
                        "this write's part of the answer cannot be read",
                    )),
                    Some(answer) => self.settled(&row, answer).await,
                },
            };
            self.desk.put(row.index, result);
        }
    }
}

/// Whether the message was refused as such, so that none of it was done: too long, or something in
/// it that cannot be read.
fn is_about_the_message(answer: &Answer) -> bool {
    let status = answer.status.as_u16();
    let refused = matches!(whole(answer), Failure::Refused { .. });
    refused && !matches!(status, 401 | 403)
}
