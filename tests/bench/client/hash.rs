//! argon2id of the same parameters as the gateway's, over and over and nothing else.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

use crate::{Options, Result, processor_time, tell, wait_for_word};

pub(crate) fn run(options: &Options) -> Result<()> {
    let params = Params::new(options.number("kibibytes")?, options.number("passes")?, 1, None)?;
    let argon2 = Argon2::new_with_secret(&[7; 32], Algorithm::Argon2id, Version::V0x13, params)?;
    let length = Duration::from_secs(options.number("seconds")?);
    let mut hash = [0; 32];
    wait_for_word()?;
    let (used, begin, mut count) = (processor_time()?, Instant::now(), 0_u64);
    while begin.elapsed() < length {
        argon2.hash_password_into(b"correct horse battery 4", &[9; 16], &mut hash)?;
        count += 1;
    }
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), processor_time()?.saturating_sub(used));
    tell(&format!(r#"{{"hashes":{count},"seconds":{seconds},"cpu_ns":{cpu}}}"#))
}
