use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ::demo::certificates::Issued;
use ::demo::hospital::DOMAIN;
use config::Snapshot;

/// What the visitor is told. Every command can be copied into another terminal as it stands.
pub(super) fn sheet(var: &Path, issued: &Issued, snapshot: &Snapshot) -> String {
    let portal = snapshot.settings.portal_origin();
    let chart = snapshot.settings.origin_of(&format!("chart.{DOMAIN}"));
    let whole = fs::canonicalize(var).unwrap_or_else(|_| var.to_owned());
    let path = |name: &str| quoted(&whole.join(name).display().to_string());
    let (folder, ca, browser) = (whole.display(), path("ca.pem"), path("browser"));
    // Chromium won't run its sandbox as root.
    let sandbox = match fs::metadata("/proc/self").map(|own| own.uid()) {
        Ok(0) => " --no-sandbox",
        _ => "",
    };
    let spki = &issued.spki;
    // The client looks into `var` by itself.
    let client = if var == Path::new("var") { String::new() } else { format!(" --client {}", path("cli.toml")) };
    let ctl = format!("cargo run --release -p sekimori-admin-cli --{client}");
    let journal = path("journal");
    format!(
        "
関守病院 Sekimori Hospital is open. It is fictional, and everything it keeps is in one folder:
  {folder}
Ctrl-C stops it; deleting the folder forgets it.

  portal      {portal}/
  ward chart  {chart}/

A browser refuses passkeys on a page whose certificate it doesn't trust. In a second terminal start one that
knows this hospital's certificate, with a profile of its own (it may also be called google-chrome):

  chromium --user-data-dir={browser}{sandbox} --ignore-certificate-errors-spki-list={spki} {portal}/enrol

Or have your own browser trust {ca}, which vouches for {DOMAIN} alone.
No security key or phone at hand? Keep the developer tools open with a virtual one (More tools > WebAuthn: enable,
add a ctap2 authenticator with resident keys and user verification), or choose password and verification code.

Try:
  1. Enrol as the nurse with number and code below, open the ward chart and a patient.
  2. Open {chart}/admin: refused, with the reason.
  3. Lock the screen at the portal, reload the chart, unlock: you are back at the same page.
  4. Log out, enrol as the clerk: the patients open, an order is refused.
  5. Log out, enrol as the head of IT, take a code for the command line at the portal, and in a second terminal here:
       {ctl} login
       {ctl} audit tail
  6. Is that the whole story? Copy the journal, change a byte in the copy, and verify that:
       {ctl} audit verify {journal}
"
    )
}

/// A word of a shell command.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_folder_with_any_name_is_one_word_of_a_command() {
        assert_eq!(quoted("/home/関/var"), "/home/関/var");
        assert_eq!(quoted("/my var/it's; rm"), r"'/my var/it'\''s; rm'");
    }
}
