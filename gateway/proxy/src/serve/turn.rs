//! A request's time on its connection, from its head to the last byte of its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::http2::{self, Sending};
use super::phase::Phase;
use super::streams::Streams;
use crate::body::{BoxError, Outgoing};

/// What a connection speaks, and what it is doing.
#[derive(Clone)]
pub(super) enum Line {
    Http1(Arc<Phase>),
    Http2(Arc<Streams>),
}

impl Line {
    /// A request begins; the connection is busy until the guard is dropped.
    pub(super) fn begin(&self) -> Turn {
        let (line, sending) = match self {
            Self::Http1(phase) => {
                phase.begin();
                (self.clone(), None)
            }
            Self::Http2(streams) => {
                streams.begin();
                (self.clone(), http2::sending())
            }
        };
        Turn { line, sending, answers: false }
    }

    pub(super) const fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

/// A request's time on its connection.
pub(super) struct Turn {
    line: Line,
    sending: Option<Arc<Sending>>,
    answers: bool,
}

impl Turn {
    /// The request was answered by a change of protocol.
    pub(super) fn changes_protocol(&self) {
        if let Line::Http1(phase) = &self.line {
            phase.hand_over();
        }
    }

    /// The request was refused and its body isn't wanted.
    pub(super) fn refused_early(&self) {
        if let Line::Http1(phase) = &self.line {
            phase.linger();
        }
    }

    /// The answer's body; the turn ends with it.
    pub(super) fn answer(mut self, body: Outgoing) -> Answer {
        if let Line::Http2(streams) = &self.line {
            streams.answer();
            self.answers = true;
        }
        Answer { body, turn: self }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        match &self.line {
            Line::Http1(phase) => phase.rest(),
            Line::Http2(streams) => streams.rest(self.answers),
        }
    }
}

/// The body of an answer, as hyper takes it.
pub(super) struct Answer {
    body: Outgoing,
    turn: Turn,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(sending) = &self.turn.sending {
            sending.taken();
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(sending), Some(Ok(_))) = (&self.turn.sending, &frame) {
            sending.handed();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
