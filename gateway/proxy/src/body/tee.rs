//! A look into an answer that goes by.

use bytes::BytesMut;

use crate::patient::{self, Found};

/// Bytes of a response that are looked into for a patient.
const TEE: usize = 64 * 1_024;

/// A copy of the beginning of a JSON answer, to find the patient in.
pub(crate) struct Tee {
    pointer: String,
    copy: Option<BytesMut>,
}

impl Tee {
    /// `readable`: the answer is JSON without a content coding.
    pub(crate) fn new(pointer: String, readable: bool) -> Self {
        Self { pointer, copy: readable.then(BytesMut::new) }
    }

    pub(super) fn take(&mut self, data: &[u8]) {
        match &mut self.copy {
            Some(copy) if copy.len() + data.len() <= TEE => copy.extend_from_slice(data),
            copy => *copy = None,
        }
    }

    pub(super) fn found(self) -> Found {
        self.copy.map_or(Found::Unknown, |copy| patient::in_json(&copy, &self.pointer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tee_copies_so_much_and_no_more() {
        let document = |n: usize| format!("{{\"pad\":\"{}\",\"pid\":\"000123\"}}", "x".repeat(n));
        let found = |text: &str, readable: bool| {
            let mut tee = Tee::new("/pid".into(), readable);
            text.as_bytes().chunks(1_000).for_each(|chunk| tee.take(chunk));
            tee.found()
        };
        assert_eq!(found(&document(10), true), Found::Known("000123".into()));
        assert_eq!(found(&document(TEE - 100), true), Found::Known("000123".into()));
        assert_eq!(found(&document(TEE), true), Found::Unknown);
        assert_eq!(found(&document(10), false), Found::Unknown);
    }
}
