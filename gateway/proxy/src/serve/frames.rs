//! Walks along HTTP/2 frames without looking into them (RFC 9113 4.1).
//!
//! Nothing is decided by what is seen here: whoever reads the requests is hyper alone. It is for the clock
//! (a head that has begun and doesn't end, answers that the client doesn't take) and for the record (what
//! hyper itself refuses, as it says so to the client).

/// What every client says first (RFC 9113 3.4).
const PREFACE: usize = 24;
/// Length, type, flags, stream.
const HEAD: usize = 9;
/// The last stream and the error code of GOAWAY; of RST_STREAM the code alone.
const BODY: usize = 8;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const DATA: u8 = 0;

/// One frame that has gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    kind: u8,
    flags: u8,
    pub(super) stream: u32,
    /// Bytes of its payload.
    pub(super) length: u32,
    /// The first bytes of its payload.
    body: [u8; BODY],
}

impl Frame {
    /// A head of a message or a part of one.
    const fn is_head(&self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION)
    }

    /// It carries a message or a part of one.
    pub(super) const fn is_message(&self) -> bool {
        matches!(self.kind, HEADERS | DATA)
    }

    /// It is one more part of a head, and not the last.
    pub(super) const fn continues(&self) -> bool {
        self.kind == CONTINUATION && self.flags & END_HEADERS == 0
    }

    /// Its sender says no more on the stream.
    pub(super) const fn ends(&self) -> bool {
        (self.is_message() && self.flags & END_STREAM != 0) || self.kind == RST_STREAM
    }

    /// The stream is given up.
    pub(super) const fn resets(&self) -> bool {
        self.kind == RST_STREAM
    }

    /// The error code, if it complains (RFC 9113 7).
    pub(super) const fn error(&self) -> Option<u32> {
        let [a, b, c, d, e, f, g, h] = self.body;
        match self.kind {
            RST_STREAM => Some(u32::from_be_bytes([a, b, c, d])),
            GOAWAY => Some(u32::from_be_bytes([e, f, g, h])),
            _ => None,
        }
    }
}

/// Where one direction of a connection stands.
#[derive(Debug)]
pub(super) struct Walk {
    /// Bytes before the next frame: the preface, the rest of a payload.
    skip: usize,
    head: [u8; HEAD],
    /// How much of `head` and of the payload's beginning is there.
    have: usize,
    frame: Option<(Frame, usize)>,
    /// A head has begun whose end isn't there yet.
    open_head: bool,
    greeted: bool,
}

impl Walk {
    /// What a client sends.
    pub(super) const fn of_client() -> Self {
        Self { skip: PREFACE, head: [0; HEAD], have: 0, frame: None, open_head: false, greeted: false }
    }

    /// What a server sends.
    pub(super) const fn of_server() -> Self {
        Self { skip: 0, ..Self::of_client() }
    }

    /// Goes on by `bytes`; `seen` hears of each frame that is complete.
    pub(super) fn advance(&mut self, mut bytes: &[u8], mut seen: impl FnMut(&Frame)) {
        while !bytes.is_empty() {
            if let Some((frame, length)) = self.frame {
                bytes = self.pass(frame, length, bytes, &mut seen);
            } else if self.skip > 0 {
                let step = self.skip.min(bytes.len());
                self.skip -= step;
                bytes = bytes.get(step..).unwrap_or_default();
            } else {
                bytes = self.take_head(bytes, &mut seen);
            }
        }
    }

    /// A frame, or a head of several frames, has begun and isn't there whole. Payloads of DATA may take
    /// their time.
    pub(super) const fn is_midway(&self) -> bool {
        let in_frame = match self.frame {
            Some((frame, _)) => frame.kind != DATA,
            None => self.have > 0,
        };
        self.open_head || in_frame
    }

    /// The preface and a first frame have come.
    pub(super) const fn greeted(&self) -> bool {
        self.greeted
    }

    fn take_head<'b>(&mut self, bytes: &'b [u8], seen: &mut impl FnMut(&Frame)) -> &'b [u8] {
        let (taken, rest) = bytes.split_at_checked(HEAD - self.have).unwrap_or((bytes, &[]));
        for (to, from) in self.head.iter_mut().skip(self.have).zip(taken) {
            *to = *from;
        }
        self.have += taken.len();
        if self.have < HEAD {
            return rest;
        }
        self.have = 0;
        let [a, b, c, kind, flags, s, t, u, v] = self.head;
        let (length, stream) = (u32::from_be_bytes([0, a, b, c]), u32::from_be_bytes([s & 0x7f, t, u, v]));
        let (frame, length) = (Frame { kind, flags, stream, length, body: [0; BODY] }, length as usize);
        if length == 0 {
            self.complete(&frame, seen);
        } else {
            self.frame = Some((frame, length));
        }
        rest
    }

    fn pass<'b>(
        &mut self,
        mut frame: Frame,
        length: usize,
        bytes: &'b [u8],
        seen: &mut impl FnMut(&Frame),
    ) -> &'b [u8] {
        for (to, from) in frame.body.iter_mut().skip(self.have).zip(bytes.iter().take(length - self.have)) {
            *to = *from;
        }
        let step = (length - self.have).min(bytes.len());
        self.have += step;
        if self.have < length {
            self.frame = Some((frame, length));
        } else {
            self.have = 0;
            self.frame = None;
            self.complete(&frame, seen);
        }
        bytes.get(step..).unwrap_or_default()
    }

    fn complete(&mut self, frame: &Frame, seen: &mut impl FnMut(&Frame)) {
        self.greeted = true;
        if frame.is_head() {
            self.open_head = frame.flags & END_HEADERS == 0;
        }
        seen(frame);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn seen(walk: &mut Walk, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        walk.advance(bytes, |frame| frames.push(*frame));
        frames
    }

    #[test]
    fn what_we_complain_of_is_read_off_our_own_frames() {
        let mut bytes = frame(4, 0, 0, &[0; 12]);
        bytes.extend(frame(RST_STREAM, 0, 5, &7_u32.to_be_bytes()));
        bytes.extend(frame(GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 11, b'x', b'y']));
        let frames = seen(&mut Walk::of_server(), &bytes);
        assert_eq!(frames.iter().map(Frame::error).collect::<Vec<_>>(), [None, Some(7), Some(11)]);
        assert_eq!(
            frames.iter().map(|f| (f.stream, f.ends())).collect::<Vec<_>>(),
            [(0, false), (5, true), (0, false)]
        );
    }

    #[test]
    fn req_h23_a_head_is_midway_from_its_first_byte_to_the_last_of_its_continuations() {
        let mut walk = Walk::of_client();
        seen(&mut walk, &[b'P'; PREFACE]);
        assert!(!walk.greeted() && !walk.is_midway());
        seen(&mut walk, &frame(4, 0, 0, &[]));
        assert!(walk.greeted() && !walk.is_midway());
        let head = frame(HEADERS, 0, 1, b"abc");
        for part in [&head[..1], &head[1..10], &head[10..], &frame(CONTINUATION, 0, 1, b"d")] {
            seen(&mut walk, part);
            assert!(walk.is_midway());
        }
        seen(&mut walk, &frame(CONTINUATION, END_HEADERS, 1, b""));
        assert!(!walk.is_midway());
        seen(&mut walk, &frame(DATA, END_STREAM, 1, b"body")[..11]);
        assert!(!walk.is_midway(), "a body may take its time");
    }

    proptest! {
        #[test]
        fn frames_are_the_same_however_they_are_cut(
            kinds in prop::collection::vec((0_u8..12, 0_u8..=255, 0_u32..9, prop::collection::vec(0_u8..=255, 0..40)), 0..12),
            cuts in prop::collection::vec(1_usize..30, 1..60),
        ) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|(k, f, s, payload)| frame(*k, *f, *s, payload)).collect();
            let whole = seen(&mut Walk::of_server(), &bytes);
            prop_assert_eq!(whole.len(), kinds.len());
            let (mut walk, mut rest, mut parts) = (Walk::of_server(), &bytes[..], Vec::new());
            for cut in cuts.iter().cycle() {
                let (part, more) = rest.split_at((*cut).min(rest.len()));
                parts.extend(seen(&mut walk, part));
                rest = more;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(parts, whole);
        }
    }
}
