use std::time::{Duration, Instant};

/// How long is looked for a smaller input.
const LIMIT: Duration = Duration::from_secs(5);

/// The smallest input that can be made of `input` by leaving stretches out, and that still `fails`.
pub(crate) fn than(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (begun, mut smallest, mut length) = (Instant::now(), input.to_vec(), input.len());
    while length > 0 && begun.elapsed() < LIMIT {
        let (mut at, before) = (0, smallest.len());
        while at < smallest.len() && begun.elapsed() < LIMIT {
            let mut tried = smallest.clone();
            tried.drain(at..tried.len().min(at + length));
            if fails(&tried) {
                smallest = tried;
            } else {
                at += length;
            }
        }
        // Single bytes until none can be left out any more.
        if length > 1 || smallest.len() == before {
            length /= 2;
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let input = format!("{}a{}b{}", "x".repeat(100), "y".repeat(333), "z".repeat(7));
        let fails = |bytes: &[u8]| bytes.iter().position(|b| *b == b'a') < bytes.iter().position(|b| *b == b'b');
        assert_eq!(than(input.as_bytes(), |bytes| bytes.contains(&b'a') && fails(bytes)), b"ab");
    }
}
