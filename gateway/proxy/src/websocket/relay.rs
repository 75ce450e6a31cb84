//! Carries frames both ways until one side ends or the right to them does.
//!
//! Small frames go out whole, so that a close frame can follow at any moment; only a frame larger than
//! the buffer is passed on in pieces.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::frames::{Tracker, close};

/// Bytes held in each direction.
const BUFFER: usize = 16 * 1_024;
/// How long a close frame and what it follows may take to be written.
const PARTING: Duration = Duration::from_millis(300);

/// Why the gateway itself closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The close code (RFC 6455 7.4.1).
    pub(crate) code: u16,
    /// A short reason for both sides.
    pub(crate) reason: &'static str,
}

/// How a relay ended, and how much it carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The gateway's own doing, if it was.
    pub(crate) cut: Option<Cut>,
    /// An error of either connection.
    pub(crate) failed: bool,
    /// Bytes from client to upstream.
    pub(crate) bytes_in: u64,
    /// Bytes from upstream to client.
    pub(crate) bytes_out: u64,
}

/// Relays until either side closes or `stop` says why to.
pub(crate) async fn relay<C, U>(client: C, upstream: U, stop: impl Future<Output = Cut>) -> Ended
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let (mut upstream_reads, mut upstream_writes) = tokio::io::split(upstream);
    let mut inward = Direction::new(Tracker::of_client());
    let mut outward = Direction::new(Tracker::of_server());
    let end = {
        let inward = inward.run(&mut client_reads, &mut upstream_writes);
        let outward = outward.run(&mut upstream_reads, &mut client_writes);
        tokio::pin!(inward, outward, stop);
        tokio::select! {
            biased;
            cut = &mut stop => Err(Broken::Cut(cut)),
            end = &mut outward => end,
            end = &mut inward => end,
        }
    };
    let cut = match &end {
        Err(Broken::Cut(cut)) => Some(*cut),
        Err(Broken::Violation) => Some(Cut { code: 1002, reason: "protocol error" }),
        Ok(()) | Err(Broken::Io) => None,
    };
    // What the client sent and has not gone out by now never does (A52).
    let frame_in = cut.filter(|_| inward.cut_short()).map(|cut| close(cut.code, cut.reason, Some(mask())));
    let frame_out = cut.filter(|_| outward.cut_off()).map(|cut| close(cut.code, cut.reason, None));
    let _ = tokio::join!(
        timeout(PARTING, outward.part(&mut client_writes, frame_out)),
        timeout(PARTING, inward.part(&mut upstream_writes, frame_in)),
    );
    Ended { cut, failed: matches!(end, Err(Broken::Io)), bytes_in: inward.carried, bytes_out: outward.carried }
}

/// A masking key must not be foreseen (RFC 6455 10.3); what it hides here is a constant.
fn mask() -> [u8; 4] {
    let mut mask = [0; 4];
    let _ = aws_lc_rs::rand::fill(&mut mask);
    mask
}

enum Broken {
    Cut(Cut),
    Violation,
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// One way. Every step can be dropped while it waits; what was written stays known.
struct Direction {
    tracker: Tracker,
    /// Read, not yet allowed out: less than one small frame.
    held: BytesMut,
    /// On its way out.
    ready: BytesMut,
    /// Does `ready` end between two frames?
    ready_whole: bool,
    /// Does what was written end between two frames?
    written_whole: bool,
    carried: u64,
    unflushed: bool,
}

impl Direction {
    fn new(tracker: Tracker) -> Self {
        Self {
            tracker,
            held: BytesMut::new(),
            ready: BytesMut::new(),
            ready_whole: true,
            written_whole: true,
            carried: 0,
            unflushed: false,
        }
    }

    async fn run<R, W>(&mut self, reads: &mut R, writes: &mut W) -> Result<(), Broken>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            if !self.ready.is_empty() {
                let written = writes.write(&self.ready).await?;
                if written == 0 {
                    return Err(Broken::Io);
                }
                self.ready.advance(written);
                self.carried += written as u64;
                self.written_whole = self.ready.is_empty() && self.ready_whole;
                self.unflushed = true;
            } else if self.unflushed {
                writes.flush().await?;
                self.unflushed = false;
            } else {
                let before = self.held.len();
                self.held.reserve(BUFFER);
                if reads.read_buf(&mut self.held).await? == 0 {
                    return Ok(());
                }
                self.release(before)?;
            }
        }
    }

    /// Lets out what forms whole frames, and a frame too large to hold.
    fn release(&mut self, before: usize) -> Result<(), Broken> {
        let fresh = self.held.get(before..).unwrap_or_default();
        let advance = self.tracker.advance(fresh).map_err(|_| Broken::Violation)?;
        let complete = if advance.complete > 0 { before + advance.complete } else { 0 };
        let tail = self.held.len() - complete;
        let too_large = advance.missing.saturating_add(tail as u64) > BUFFER as u64;
        let out = if too_large || (!self.ready_whole && complete == 0) { self.held.len() } else { complete };
        if out > 0 {
            self.ready = self.held.split_to(out);
            self.ready_whole = out == complete;
        }
        Ok(())
    }

    /// Nothing more goes out. May a frame of ours follow?
    fn cut_short(&mut self) -> bool {
        self.ready.clear();
        self.written_whole
    }

    /// Nothing more goes out but the rest of a frame that has begun to, if it is at hand. May a frame of
    /// ours follow?
    fn cut_off(&mut self) -> bool {
        if self.written_whole {
            self.ready.clear();
        }
        self.written_whole || (self.ready_whole && !self.ready.is_empty())
    }

    async fn part<W: AsyncWrite + Unpin>(&mut self, writes: &mut W, frame: Option<Vec<u8>>) -> io::Result<()> {
        self.carried += self.ready.len() as u64;
        writes.write_all_buf(&mut self.ready).await?;
        if let Some(frame) = frame {
            writes.write_all(&frame).await?;
        }
        writes.flush().await?;
        writes.shutdown().await
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
