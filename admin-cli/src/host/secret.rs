//! `secret seal`: a password, token or key that the gateway shows to an upstream, into a file that only the
//! gateway opens.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use model::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use crate::arguments::SecretCommand;
use crate::output::{Answer, Failure};

/// More is no secret; the limit itself is `config`'s.
const MOST: u64 = 64 * 1_024;

/// Reads the secret from standard input, without showing it, and seals it.
pub(crate) fn secret(command: SecretCommand) -> Result<Answer, Failure> {
    let SecretCommand::Seal { key, file } = command;
    let master = config::master_key(&key).map_err(|error| Failure::local(error.to_string()))?;
    let secret = read()?;
    config::seal_secret(&master, &file, &secret).map_err(|error| Failure::local(error.to_string()))?;
    Ok(Answer::good(json!({ "sealed": file, "opens": "by this gateway's master key, under this file name" })))
}

fn read() -> Result<Secret<Vec<u8>>, Failure> {
    let failed = |error: io::Error| Failure::local(error.to_string());
    if !io::stdin().is_terminal() {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MOST).read_to_end(&mut bytes).map_err(failed)?;
        return Ok(Secret::new(without_line_end(bytes)));
    }
    let first = unseen("secret: ").map_err(failed)?;
    let again = unseen("the same again: ").map_err(failed)?;
    if first.expose() == again.expose() { Ok(first) } else { Err(Failure::local("the two are not the same")) }
}

/// A line that the terminal doesn't show.
fn unseen(prompt: &str) -> io::Result<Secret<Vec<u8>>> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = io::stderr().write_all(prompt.as_bytes()).and_then(|()| stdin.read_line(&mut line));
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    io::stderr().write_all(b"\n")?;
    read.map(|_| Secret::new(without_line_end(line.into_bytes())))
}

/// `echo` ends its line; that is no part of a password. A key in PEM has many lines and keeps them.
fn without_line_end(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
    if end.saturating_add(1) >= bytes.len() {
        bytes.truncate(end);
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_loses_its_end_and_several_stay_as_they_are() {
        for (given, kept) in [
            ("open sesame\n", "open sesame"),
            ("open sesame\r\n", "open sesame"),
            ("open sesame", "open sesame"),
            ("a\nb\n", "a\nb\n"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_line_end(given.into()), kept.as_bytes(), "{given:?}");
        }
    }
}
