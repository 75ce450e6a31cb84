//! Where WebSocket frames begin and end (RFC 6455 5.2). Headers are read, payload is not touched.

/// Why a stream of bytes is no sequence of frames; answered with close code 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a WebSocket frame: {0}")]
pub(crate) struct Violation(pub(crate) &'static str);

/// Follows one direction of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    /// Frames of a client are masked, those of a server are not.
    masked: bool,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// So much of a header: at most 14 bytes.
    Header { bytes: [u8; 14], have: usize },
    /// So many bytes of payload to come.
    Payload(u64),
}

const FRESH: State = State::Header { bytes: [0; 14], have: 0 };

/// What a chunk of bytes brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    /// How many of its bytes belong to frames that are now complete.
    pub(crate) complete: usize,
    /// How many bytes of the frame it ends in are still to come, as far as its header says.
    pub(crate) missing: u64,
}

impl Tracker {
    pub(crate) const fn of_client() -> Self {
        Self { masked: true, state: FRESH }
    }

    pub(crate) const fn of_server() -> Self {
        Self { masked: false, state: FRESH }
    }

    /// Between two frames?
    #[cfg(test)]
    pub(crate) const fn at_boundary(&self) -> bool {
        matches!(self.state, State::Header { have: 0, .. })
    }

    /// Follows `chunk`, the bytes that came next.
    ///
    /// # Errors
    /// [`Violation`]; the tracker is of no use after it.
    pub(crate) fn advance(&mut self, chunk: &[u8]) -> Result<Advance, Violation> {
        let (mut complete, mut at) = (0, 0);
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            match &mut self.state {
                State::Payload(missing) => {
                    let taken = usize::try_from(*missing).unwrap_or(usize::MAX).min(rest.len());
                    *missing -= taken as u64;
                    at += taken;
                    if *missing == 0 {
                        self.state = FRESH;
                        complete = at;
                    }
                }
                State::Header { bytes, have } => {
                    if let (Some(slot), Some(byte)) = (bytes.get_mut(*have), rest.first()) {
                        *slot = *byte;
                    }
                    *have += 1;
                    at += 1;
                    if let Some(payload) = parse(bytes.get(..*have).unwrap_or_default(), self.masked)? {
                        self.state = if payload == 0 { FRESH } else { State::Payload(payload) };
                        complete = if payload == 0 { at } else { complete };
                    }
                }
            }
        }
        let missing = if let State::Payload(missing) = self.state { missing } else { 0 };
        Ok(Advance { complete, missing })
    }
}

/// The payload's length, once `header` is whole.
fn parse(header: &[u8], masked: bool) -> Result<Option<u64>, Violation> {
    let [first, rest @ ..] = header else { return Ok(None) };
    let (opcode, fin) = (first & 0x0f, first & 0x80 != 0);
    if matches!(opcode, 3..=7 | 11..=15) {
        return Err(Violation("opcode"));
    }
    let [second, rest @ ..] = rest else { return Ok(None) };
    if (second & 0x80 != 0) != masked {
        return Err(Violation("mask"));
    }
    let short = second & 0x7f;
    if opcode >= 8 && (short > 125 || !fin) {
        return Err(Violation("control"));
    }
    let mask = if masked { 4 } else { 0 };
    let (length, after) = match (short, rest) {
        (126, [a, b, after @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), after),
        (127, [a, b, c, d, e, f, g, h, after @ ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), after),
        (126 | 127, _) => return Ok(None),
        (short, after) => (u64::from(short), after),
    };
    let minimal = match short {
        126 => length > 125,
        127 => length > 0xffff && length >> 63 == 0,
        _ => true,
    };
    if !minimal {
        return Err(Violation("length"));
    }
    Ok((after.len() == mask).then_some(length))
}

/// A close frame with a code and a short English reason; masked with `mask` when a client sends it.
pub(crate) fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes().get(..reason.len().min(123)).unwrap_or_default());
    let length = u8::try_from(payload.len()).unwrap_or(0);
    let mut frame = vec![0x88, length | if mask.is_some() { 0x80 } else { 0 }];
    match mask {
        None => frame.extend_from_slice(&payload),
        Some(mask) => {
            frame.extend_from_slice(&mask);
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
        let bit = if masked { 0x80 } else { 0 };
        let mut out = vec![0x80 | opcode];
        match payload.len() {
            n @ 0..=125 => out.push(bit | n as u8),
            n @ 126..=0xffff => {
                out.push(bit | 126);
                out.extend((n as u16).to_be_bytes());
            }
            n => {
                out.push(bit | 127);
                out.extend((n as u64).to_be_bytes());
            }
        }
        if masked {
            out.extend([0; 4]);
        }
        out.extend(payload);
        out
    }

    #[test]
    fn what_is_no_frame_is_a_violation() {
        for (bytes, what) in [
            (&[0x83][..], "opcode"),
            (&[0x8b], "opcode"),
            (&[0x81, 0x80], "mask"),
            (&[0x89, 126], "control"),
            (&[0x09, 1], "control"),
            (&[0x82, 126, 0, 125], "length"),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], "length"),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0], "length"),
        ] {
            assert_eq!(Tracker::of_server().advance(bytes), Err(Violation(what)), "{bytes:?}");
        }
        assert_eq!(Tracker::of_client().advance(&[0x81, 0]), Err(Violation("mask")));
    }

    #[test]
    fn a_close_frame_is_itself_a_frame_of_its_side() {
        let mut server = Tracker::of_server();
        server.advance(&close(1008, "locked", None)).unwrap();
        assert!(server.at_boundary());
        let mut client = Tracker::of_client();
        client.advance(&close(1008, &"x".repeat(200), Some([1, 2, 3, 4]))).unwrap();
        assert!(client.at_boundary());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn boundaries_are_found_however_the_bytes_are_cut(
            sizes in prop::collection::vec(prop_oneof![0usize..130, 65_530usize..65_540], 1..6),
            cuts in prop::collection::vec(1usize..40_000, 1..40),
            masked in any::<bool>(),
        ) {
            let frames: Vec<Vec<u8>> = sizes.iter().map(|&n| frame(2, &vec![0x81; n], masked)).collect();
            let bytes = frames.concat();
            let ends: Vec<usize> = frames.iter().scan(0, |end, f| { *end += f.len(); Some(*end) }).collect();
            let mut tracker = if masked { Tracker::of_client() } else { Tracker::of_server() };
            let (mut at, mut found) = (0, 0);
            for cut in cuts.iter().cycle() {
                if at == bytes.len() { break; }
                let to = bytes.len().min(at + cut);
                let advance = tracker.advance(&bytes[at..to]).unwrap();
                if advance.complete > 0 { found = at + advance.complete; }
                let expected = ends.iter().rev().find(|&&end| end <= to).copied().unwrap_or(0);
                prop_assert_eq!(found, expected);
                prop_assert_eq!(tracker.at_boundary(), expected == to);
                at = to;
            }
            prop_assert!(tracker.at_boundary());
        }
    }
}
