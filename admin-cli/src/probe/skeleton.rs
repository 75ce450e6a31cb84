//! A policy file to begin with: it works as it is, and its comments say where to narrow it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::findings::{has_opaque_paths, keep_alive, path_parameters};
use super::scripts::Way;
use super::survey::Survey;

/// What the administrator calls it.
pub(super) struct Names<'n> {
    pub(super) url: &'n str,
    pub(super) name: &'n str,
    pub(super) host: &'n str,
    pub(super) ca: Option<&'n Path>,
}

/// The file's text.
pub(super) fn of(survey: &Survey, names: &Names<'_>) -> String {
    let mut file = format!("# Made by `sekimorictl app probe {}`. Look it over: it lets everybody in.\n\n", names.url);
    app(&mut file, survey, names);
    actions(&mut file, survey);
    if survey.upstream.is_secure() {
        upstream(&mut file, survey, names);
    }
    rights(&mut file, names, !methods(survey).is_empty());
    file
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}

fn list<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    format!("[{}]", texts.into_iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn app(file: &mut String, survey: &Survey, names: &Names<'_>) {
    let title = quoted(survey.title.as_deref().filter(|title| !title.is_empty()).unwrap_or(names.name));
    let upstream = if survey.upstream.is_secure() { names.name.to_owned() } else { survey.upstream.to_string() };
    let _ = writeln!(
        file,
        "[[app]]\nname = {}\ntitle = {{ ja = {title}, en = {title} }}\nhost = {}\nupstream = {}\nstart = {}",
        quoted(names.name),
        quoted(names.host),
        quoted(&upstream),
        quoted(&survey.start)
    );
    if let Some(seconds) = keep_alive(survey).filter(|seconds| *seconds <= 4) {
        let _ = writeln!(file, "keep_alive = \"{}ms\"", seconds.saturating_mul(1_000) / 2);
    }
    if !survey.script_cookies.is_empty() {
        let _ = writeln!(file, "client_cookies = {}", list(&survey.script_cookies));
    }
    let parameters = path_parameters(survey);
    if !parameters.is_empty() {
        let _ = writeln!(file, "path_parameters = {}", list(&parameters));
    }
    if has_opaque_paths(survey) {
        file.push_str("path_encoding = \"opaque\"\n");
    }
    let statics = statics(survey);
    if !statics.is_empty() {
        let _ = writeln!(
            file,
            "# The same for everybody, so that browsers may keep it.\ncache_static = {}",
            list(&statics)
        );
    }
    if survey
        .answers
        .iter()
        .any(|answer| answer.all("www-authenticate").any(|c| c.to_ascii_lowercase().starts_with("basic")))
    {
        file.push_str("# Seal the password first: sekimorictl secret seal --key MASTER.KEY secrets/");
        let _ = writeln!(
            file,
            "{0}\n# upstream_auth = {{ kind = \"basic\", user = \"sekimori\", secret_file = \"secrets/{0}\" }}",
            names.name
        );
    }
    if survey.ways.contains_key(&Way::ServiceWorker) {
        file.push_str("# It would go on after the session, for whoever comes next.\n# service_workers = true\n");
    }
    if let Some(path) = &survey.logout {
        let _ = writeln!(file, "# Is it GET or POST?\n# logout = {{ method = \"GET\", path = {} }}", quoted(path));
    }
}

/// Folders whose contents look the same to everybody.
fn statics(survey: &Survey) -> BTreeSet<String> {
    const NAMES: [&str; 8] = ["static", "assets", "css", "js", "img", "images", "fonts", "dist"];
    let first = |path: &String| path.split('/').nth(1).map(str::to_owned);
    let deeper = survey.paths.iter().filter(|path| path.matches('/').count() > 1);
    deeper
        .filter_map(first)
        .filter(|name| NAMES.contains(&name.as_str()))
        .map(|name| format!("/{name}/{{*rest}}"))
        .collect()
}

/// Methods beside GET that forms or scripts use.
fn methods(survey: &Survey) -> Vec<&'static str> {
    let posts = survey.forms.contains_key("POST");
    let used = |method: &&str| survey.script_methods.contains(*method) || (*method == "POST" && posts);
    ["POST", "PUT", "PATCH", "DELETE"].into_iter().filter(used).collect()
}

fn actions(file: &mut String, survey: &Survey) {
    file.push_str("\n[[app.action]]\nname = \"view\"\nmethods = [\"GET\"]\npaths = [\"/\", \"/{*rest}\"]\n");
    if survey.paths.iter().any(|path| path.to_ascii_lowercase().contains("patient")) {
        file.push_str("# Whose chart is it? For example:  paths = [\"/patients/{id}\"]  patient = { path = \"id\" }\n");
    }
    let methods = methods(survey);
    if methods.is_empty() {
        return;
    }
    let methods: Vec<String> = methods.into_iter().map(str::to_owned).collect();
    let _ = writeln!(
        file,
        "\n# Narrow the paths to what there is, and give what matters (orders, uploads, administration) actions of\n\
         # its own, for the roles that may. `human = true` marks what only a person's hand causes.\n\
         [[app.action]]\nname = \"write\"\nmethods = {}\npaths = [\"/\", \"/{{*rest}}\"]",
        list(&methods)
    );
    let forms: Vec<&String> = survey.forms.get("POST").into_iter().flatten().collect();
    if !forms.is_empty() {
        let _ = writeln!(file, "# Forms go to: {}", list(forms));
    }
}

fn upstream(file: &mut String, survey: &Survey, names: &Names<'_>) {
    let ca = names.ca.map_or_else(|| "/etc/ssl/certs/ca-certificates.crt".to_owned(), |ca| ca.display().to_string());
    let _ = writeln!(
        file,
        "\n[[upstream]]\nname = {}\nmembers = [{}]\nca_file = {}",
        quoted(names.name),
        quoted(&survey.upstream.to_string()),
        quoted(&ca)
    );
}

fn rights(file: &mut String, names: &Names<'_>, writes: bool) {
    let name = names.name;
    let actions = if writes { "\"view\", \"write\"" } else { "\"view\"" };
    let _ = writeln!(
        file,
        "\n[[role]]\nname = \"{name}-user\"\ntitle = {{ ja = \"{name} 利用者\", en = \"User of {name}\" }}\n\n\
         [[role.permit]]\napp = \"{name}\"\nactions = [{actions}]\n\n\
         # Everybody in the HR file. Narrow it by occupation, department, position, qualification or employment:\n\
         # occupation = [\"看護師\"]\n[[birthright]]\nname = \"{name}-for-all\"\nrole = \"{name}-user\""
    );
}
