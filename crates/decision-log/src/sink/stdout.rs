//! Lines on standard output.

use async_trait::async_trait;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{Sink, SinkError};

/// Writes one line per event. Whoever reads standard output has them for good.
pub struct Lines<W> {
    out: W,
    /// What was written of a line that could not be written whole.
    broken: bool,
}

impl Lines<tokio::io::Stdout> {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(tokio::io::stdout())
    }
}

impl<W: AsyncWrite + Unpin + Send + Sync> Lines<W> {
    /// Any other stream.
    pub const fn new(out: W) -> Self {
        Self { out, broken: false }
    }

    async fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if self.broken {
            // Ends the half line, so that what follows is one of its own.
            self.out.write_all(b"\n").await?;
        }
        self.broken = true;
        self.out.write_all(lines).await?;
        self.out.flush().await?;
        self.broken = false;
        Ok(())
    }
}

#[async_trait]
impl<W: AsyncWrite + Unpin + Send + Sync> Sink for Lines<W> {
    async fn take(&mut self, events: &[Vec<u8>]) -> Result<usize, SinkError> {
        let mut lines = Vec::new();
        for event in events {
            lines.extend_from_slice(event);
            lines.push(b'\n');
        }
        match self.write(&lines).await {
            Ok(()) => Ok(events.len()),
            Err(error) => Err(SinkError::new(error.to_string())),
        }
    }
}
