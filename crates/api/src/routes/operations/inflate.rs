//! Compressed bodies, undone as they come.

use std::io::Write as _;

use bytes::Bytes;
use crmgate_app::operations::{BrokenOff, Incoming};
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;

/// How much is undone at once. A byte of it can become a thousand.
const STEP: usize = 4096;

struct State {
    body: Incoming,
    decoder: MultiGzDecoder<Vec<u8>>,
    rest: Bytes,
    over: bool,
}

/// A body whose `Content-Encoding` was `gzip`. Holds no more than what one small piece of it
/// becomes.
pub(crate) fn gunzip(body: Incoming) -> Incoming {
    let begin = State {
        body,
        decoder: MultiGzDecoder::new(Vec::new()),
        rest: Bytes::new(),
        over: false,
    };
    Box::pin(futures::stream::unfold(begin, |mut state| async move {
        let next = next(&mut state).await.transpose()?;
        // After a failure nothing follows.
        state.over |= next.is_err();
        Some((next, state))
    }))
}

async fn next(state: &mut State) -> Result<Option<Bytes>, BrokenOff> {
    let broken = |_| BrokenOff("it is not what its `Content-Encoding` says".to_owned());
    while !state.over {
        if state.rest.is_empty() {
            if let Some(piece) = state.body.next().await {
                state.rest = piece?;
            } else {
                state.over = true;
                state.decoder.try_finish().map_err(broken)?;
            }
        }
        let step = state.rest.len().min(STEP);
        let piece = state.rest.split_to(step);
        state.decoder.write_all(&piece).map_err(broken)?;
        let out = std::mem::take(state.decoder.get_mut());
        if !out.is_empty() {
            return Ok(Some(out.into()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    async fn unpacked(pieces: Vec<Vec<u8>>) -> (Vec<u8>, Option<BrokenOff>, usize) {
        let pieces = pieces.into_iter().map(|piece| Ok(Bytes::from(piece)));
        let mut body = gunzip(Box::pin(futures::stream::iter(pieces)));
        let (mut all, mut largest) = (Vec::new(), 0);
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => {
                    largest = largest.max(piece.len());
                    all.extend_from_slice(&piece);
                }
                Err(error) => return (all, Some(error), largest),
            }
        }
        (all, None, largest)
    }

    #[tokio::test]
    async fn a_body_is_undone_piece_by_piece() {
        let text = "{\"a\": 1}\n".repeat(100_000).into_bytes();
        let whole = packed(&text);
        let bytes = whole.iter().map(|byte| vec![*byte]).collect();
        for pieces in [vec![whole.clone()], bytes] {
            let (all, error, _) = unpacked(pieces).await;
            assert!(all == text && error.is_none());
        }
    }

    #[tokio::test]
    async fn a_bomb_is_never_held_as_a_whole() {
        let bomb = packed(&vec![b'\n'; 64 << 20]);
        let (all, error, largest) = unpacked(vec![bomb]).await;
        assert_eq!((all.len(), error), (64 << 20, None));
        assert!(largest < 8 << 20, "{largest}");
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_gzip_is_told() {
        let mut cut = packed(b"{}\n{}\n");
        cut.truncate(cut.len() - 4);
        assert!(unpacked(vec![cut]).await.1.is_some());
        assert!(unpacked(vec![b"{}\n".to_vec()]).await.1.is_some());
    }
}
