//! What every fuzz target shares: the kept corpus, inputs near it, a bound in time, and what is left of a failure.
//!
//! A target is a unit test named `fuzz::…` in the crate whose parser it tries. It hands [`run`] its name and what
//! must hold for every input. [`run`] tries the inputs kept in `tests/fuzz/corpus/NAME/`, then inputs near them
//! with words from `tests/fuzz/words/NAME.dict` in them (what the parser treats specially and chance doesn't spell),
//! for as long as `SEKIMORI_FUZZ_SECONDS` says, or a few without it; `SEKIMORI_FUZZ_ONLY` names one target. Under
//! libFuzzer (`tests/fuzz/guided`) the same test is led by the coverage of what it tries.
//!
//! What broke a target is written to `target/fuzz/NAME.failing`. Mended, it becomes a test with a name of its own
//! beside the parser, and the input is kept.
//!
//! Tests of any crate may use this one, nothing else may; it uses none of them.

mod corpus;
mod near;
mod smaller;
mod words;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use corpus::Corpus;
use near::{Input, Near};

/// How many inputs are tried when nobody says for how long.
const FEW: usize = 300;

/// Tries `check` on the corpus of `name` and on inputs near it. `check` panics where something doesn't hold.
///
/// # Panics
/// When `check` does, or the corpus can't be read or is empty.
pub fn run(name: &str, check: impl Fn(&[u8])) {
    run_from(name, &[], check);
}

/// The same, beginning with inputs that can't be kept because they are made anew each time (of random keys, say).
///
/// # Panics
/// As [`run`].
pub fn run_from(name: &str, made: &[Vec<u8>], check: impl Fn(&[u8])) {
    if std::env::var_os("SEKIMORI_FUZZ_ONLY").is_some_and(|only| only != name) {
        return;
    }
    let check = Check { name, check: AssertUnwindSafe(&check) };
    if std::env::var_os("BOLERO_LIBFUZZER_ARGS").is_some() {
        hand_over(made);
        bolero::check!(name = name).for_each(|input: &[u8]| (check.check)(input));
        return;
    }
    let corpus = Corpus::read(name, made);
    assert!(corpus.is_ok(), "{name}: {:?}", corpus.err());
    let Ok(corpus) = corpus else { return };
    for (path, input) in corpus.inputs() {
        assert!(check.holds(input), "{name}: the kept input {} fails", path.display());
    }
    let held = catch_unwind(AssertUnwindSafe(|| search(&check, Near::new(&corpus))));
    assert!(held.is_ok(), "{name}: the input that fails is in {}", check.file().display());
}

fn search(check: &Check<'_>, near: Near<'_>) {
    // What fails is made smaller here, byte by byte, and not by the engine, draw by draw.
    let target = bolero::check!(name = check.name).with_generator(near).with_shrink_time(Duration::ZERO);
    match seconds() {
        Some(time) => target.with_test_time(time).for_each(|input: &Input| check.demand(input.bytes())),
        None => target.with_iterations(FEW).for_each(|input: &Input| check.demand(input.bytes())),
    }
}

/// Where `tests/fuzz/guided` has libFuzzer look for its first inputs.
fn hand_over(made: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os("SEKIMORI_FUZZ_FOLDER") else { return };
    for (number, input) in made.iter().enumerate() {
        // Without them the search goes on all the same, from further away.
        let _ = fs::write(Path::new(&folder).join(format!("made-{number}")), input);
    }
}

/// `SEKIMORI_FUZZ_SECONDS`, for each target.
fn seconds() -> Option<Duration> {
    let text = std::env::var("SEKIMORI_FUZZ_SECONDS").ok()?;
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// A target's check.
struct Check<'c> {
    name: &'c str,
    check: Holds<'c>,
}

/// Panics where something doesn't hold.
type Holds<'c> = AssertUnwindSafe<&'c dyn Fn(&[u8])>;

impl Check<'_> {
    fn holds(&self, input: &[u8]) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.check)(input))).is_ok()
    }

    /// Panics as the check does, on the smallest input near this one, which is written down.
    fn demand(&self, input: &[u8]) {
        if self.holds(input) {
            return;
        }
        let smallest = smaller::than(input, |smaller| !self.holds(smaller));
        let file = self.file();
        // The failure itself is told whether or not it could be written down.
        let _ = file.parent().map(fs::create_dir_all);
        let _ = fs::write(file, &smallest);
        if let Err(why) = catch_unwind(AssertUnwindSafe(|| (self.check)(&smallest))) {
            resume_unwind(why);
        }
    }

    fn file(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz").join(format!("{}.failing", self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_kept_input_is_tried_and_so_are_others_near_them() {
        let (kept, near) = (Cell::new(0), Cell::new(0));
        run("example", |input| match input {
            b"two\n" | b"one and a half\n" => kept.set(kept.get() + 1),
            _ => near.set(near.get() + 1),
        });
        assert!(kept.get() >= 2);
        assert!(near.get() > FEW / 2);
    }

    #[test]
    fn a_failure_is_made_small_and_written_down() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz/example.failing");
        let _ = fs::remove_file(&file);
        let failed = catch_unwind(|| {
            run("example", |input| assert!(!input.windows(6).any(|word| word == b"sesame"), "open"));
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&file).unwrap(), b"sesame");
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_target_without_a_corpus_fails() {
        assert!(catch_unwind(|| run("nobody", |_| ())).is_err());
    }
}
