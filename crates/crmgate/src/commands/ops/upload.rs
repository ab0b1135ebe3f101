//! A file on its way to crmgate.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crmgate_outbound::Body;
use futures::channel::mpsc;
use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;

use super::read::Source;
use crate::client::Api;
use crate::exit::{Exit, Failure};
use crate::output::{Bar, Count};

/// How much is read at once, and how many such pieces wait for the network.
const PIECE: usize = 64 << 10;
const WAITING: usize = 4;
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// Sends the lines: crmgate's answer.
pub(super) async fn send(
    api: &Api,
    path: &str,
    key: &str,
    source: Source,
) -> Result<(StatusCode, Value), Failure> {
    let sent = Arc::new(AtomicU64::new(0));
    let (mut feed, pieces) = mpsc::channel::<std::io::Result<Bytes>>(WAITING);
    let (counted, size) = (Arc::clone(&sent), source.size);
    let mut reader = source.reader;
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match reader.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(
                    buffer.get(..read).unwrap_or_default(),
                )),
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            let length = piece.as_ref().map_or(0, Bytes::len) as u64;
            // Nobody takes it any more once crmgate has answered.
            if futures::executor::block_on(feed.send(piece)).is_err() || failed {
                return;
            }
            counted.fetch_add(length, Ordering::Relaxed);
        }
    });
    let body = Body::streamed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))));
    let sending = api.send_lines(path, key, body);
    tokio::pin!(sending);
    let mut bar = Bar::new("sending");
    let mut count = Count::new("bytes sent");
    loop {
        tokio::select! {
            answer = &mut sending => return answer,
            _ = tokio::signal::ctrl_c() => {
                let message = format!(
                    "interrupted: nothing is taken, unless crmgate had all of it already; send \
                     the same file with `--key {key}` to find out or to go on"
                );
                return Err(Failure::new(Exit::System, message));
            }
            () = tokio::time::sleep(TICK) => {
                let sent = sent.load(Ordering::Relaxed);
                match size.map(usize::try_from) {
                    Some(Ok(size)) => bar.at(usize::try_from(sent).unwrap_or(size), size),
                    _ => count.at(sent),
                }
            }
        }
    }
}
