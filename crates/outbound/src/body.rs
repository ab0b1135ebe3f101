//! Bodies, both ways.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep};

use crate::BodyError;

/// The body of a request or an answer.
#[derive(Default)]
pub struct Body {
    inner: reqwest::Body,
    idle: Option<Idle>,
}

/// Watches that a body moves.
struct Idle {
    limit: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Body {
    /// A body without content.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body that is passed on as it comes. Its length is announced if `body` knows it.
    pub fn streamed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let hint = body.size_hint();
        reqwest::Body::wrap(Shareable {
            body: Mutex::new(body),
            hint,
        })
        .into()
    }

    pub(crate) fn watched(inner: reqwest::Body, limit: Duration) -> Self {
        let idle = Some(Idle { limit, alarm: None });
        Self { inner, idle }
    }

    pub(crate) fn into_inner(self) -> reqwest::Body {
        self.inner
    }
}

impl<T: Into<reqwest::Body>> From<T> for Body {
    fn from(inner: T) -> Self {
        Self {
            inner: inner.into(),
            idle: None,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content.
        f.debug_struct("Body")
            .field("length", &self.inner.size_hint().exact())
            .finish_non_exhaustive()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(idle) = &mut self.idle {
                    idle.alarm = None;
                }
                Poll::Ready(frame.map(|frame| frame.map_err(broken)))
            }
            Poll::Pending => {
                let Some(idle) = &mut self.idle else {
                    return Poll::Pending;
                };
                let limit = idle.limit;
                let alarm = idle.alarm.get_or_insert_with(|| {
                    Box::pin(tokio::time::sleep_until(Instant::now() + limit))
                });
                ready!(alarm.as_mut().poll(cx));
                Poll::Ready(Some(Err(BodyError::TimedOut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn broken(error: reqwest::Error) -> BodyError {
    if error.is_timeout() {
        BodyError::TimedOut
    } else {
        BodyError::Broken(crate::error::causes(error))
    }
}

/// Reads a body to its end.
///
/// # Errors
/// It breaks off, stands still, or is longer than `limit`.
pub async fn read_to_end(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large);
    }
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Err(too_large);
        }
        // Most answers come in one piece, which need not be copied.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(piece) => {
                whole.reserve(announced.max(piece.len() + data.len()));
                whole.extend_from_slice(&piece);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// A body behind a lock that is never contended: only `&mut` reaches it. The HTTP library asks for
/// `Sync` bodies and never shares one.
struct Shareable<B> {
    body: Mutex<B>,
    hint: SizeHint,
}

impl<B: HttpBody + Unpin> HttpBody for Shareable<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
