use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, SHA256};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use model::hex;

/// Largest file whose bytes stay in memory; of larger ones only length and hash.
const KEPT_FILE: usize = 4 * 1024 * 1024;
/// Bytes kept over all files; the oldest lose theirs.
const KEPT_IN_ALL: usize = 64 * 1024 * 1024;
/// Files that are listed.
const LISTED: usize = 500;
/// Longest sheet that [`Blank`] makes: 16 GiB.
pub(super) const BLANK_BOUND: u64 = 16 << 30;

/// An uploaded file.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) number: u64,
    pub(super) patient: &'static str,
    pub(super) name: String,
    pub(super) length: u64,
    /// SHA-256, hex.
    pub(super) hash: String,
    pub(super) by: String,
    pub(super) at: String,
    /// The bytes, unless there were too many.
    pub(super) content: Option<Bytes>,
}

/// What an upload was when it had streamed by.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) length: u64,
    pub(super) hash: String,
    pub(super) content: Option<Bytes>,
}

/// Reads an upload frame by frame: never more than [`KEPT_FILE`] of it in memory.
///
/// # Errors
/// When the client goes away or its body is malformed.
pub(super) async fn receive(mut body: Incoming) -> Result<Received, hyper::Error> {
    let mut hash = digest::Context::new(&SHA256);
    let mut length = 0_u64;
    let mut kept = Some(BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        hash.update(&data);
        length = length.saturating_add(data.len() as u64);
        kept = kept.filter(|k| k.len() + data.len() <= KEPT_FILE).map(|mut k| {
            k.extend_from_slice(&data);
            k
        });
    }
    let hash = hex::of(hash.finish().as_ref());
    Ok(Received { length, hash, content: kept.map(BytesMut::freeze) })
}

/// Uploaded files, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    numbered: u64,
    files: VecDeque<Upload>,
}

impl Files {
    /// Lists a file and gives it its number.
    pub(super) fn add(&self, mut upload: Upload) -> u64 {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.numbered += 1;
        upload.number = shelf.numbered;
        if shelf.files.len() >= LISTED {
            shelf.files.pop_front();
        }
        shelf.files.push_back(upload);
        let mut held: usize = shelf.files.iter().filter_map(|f| f.content.as_ref().map(Bytes::len)).sum();
        for file in &mut shelf.files {
            if held <= KEPT_IN_ALL {
                break;
            }
            held -= file.content.take().map_or(0, |content| content.len());
        }
        shelf.numbered
    }

    pub(super) fn find(&self, number: u64) -> Option<Upload> {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.files.iter().find(|f| f.number == number).cloned()
    }

    /// A patient's files, newest first.
    pub(super) fn of(&self, patient: &str) -> Vec<Upload> {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.files.iter().rev().filter(|f| f.patient == patient).cloned().collect()
    }
}

/// A body of so many bytes, made while it is sent.
#[derive(Debug)]
pub(super) struct Blank {
    left: u64,
    sheet: Bytes,
}

impl Blank {
    pub(super) fn of(length: u64) -> Self {
        // 64 KiB of a pattern whose period is no power of two, so that swapped blocks would show.
        let sheet = (0..=250_u8).cycle().take(64 * 1024).collect::<Vec<_>>();
        Self { left: length.min(BLANK_BOUND), sheet: sheet.into() }
    }
}

impl HttpBody for Blank {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left).map_or(self.sheet.len(), |left| left.min(self.sheet.len()));
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.sheet.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(bytes: usize) -> Upload {
        Upload {
            number: 0,
            patient: "DEMO-0001",
            name: "x".into(),
            length: bytes as u64,
            hash: String::new(),
            by: String::new(),
            at: String::new(),
            content: Some(vec![0; bytes].into()),
        }
    }

    #[test]
    fn the_oldest_files_lose_their_bytes_when_there_are_too_many() {
        let files = Files::default();
        for _ in 0..=KEPT_IN_ALL / KEPT_FILE {
            files.add(upload(KEPT_FILE));
        }
        assert!(files.find(1).unwrap().content.is_none());
        assert!(files.find(2).unwrap().content.is_some());
        for _ in 0..LISTED {
            files.add(upload(0));
        }
        assert!(files.find(2).is_none());
        assert_eq!(files.of("DEMO-0001").len(), LISTED);
    }

    #[tokio::test]
    async fn a_blank_sheet_has_exactly_its_length() {
        for length in [0, 1, 65_536, 200_001] {
            let body = Blank::of(length).collect().await.unwrap().to_bytes();
            assert_eq!(body.len() as u64, length);
        }
    }
}
