//! What apps and `[[upstream]]`s say of each other, of TLS and of credentials.

use std::sync::Arc;

use crate::checks::did_you_mean;
use crate::materials::Materials;
use crate::report::Problem;
use crate::rules::{Located, Rules};
use crate::rules_file::{AppTable, AuthKind, HealthSettings, UpstreamAuthTable, UpstreamTable};
use crate::upstream::{Upstream, UpstreamAddress, UpstreamTls};

/// No upstream has more members.
const MAX_MEMBERS: usize = 16;
/// What holds for an upstream that an app writes out.
const AT_ONCE: usize = 1_024;

pub(super) fn check(rules: &Rules, problems: &mut Vec<Problem>) {
    for (i, upstream) in rules.upstreams.iter().enumerate() {
        let name = &upstream.table.name;
        if rules.upstreams.iter().take(i).any(|other| other.table.name == *name) {
            problems.push(rules.place(upstream, "name").problem(format!("there are two upstreams `{name}`")));
        } else if rules.complete && !rules.apps.iter().any(|app| app.table.upstream == *name) {
            problems.push(rules.place(upstream, "name").problem(format!("no app uses the upstream `{name}`")));
        }
        if let Err((option, why)) = members(&upstream.table) {
            problems.push(rules.place(upstream, option).problem(why));
        }
    }
    for app in &rules.apps {
        match upstream_of(app, rules, &Materials::default()) {
            Err(why) if rules.complete || app.table.upstream.contains("://") => {
                problems.push(rules.place(app, "upstream").problem(why));
            }
            Err(_) => {}
            Ok(upstream) => {
                if let Some(table) = &app.table.upstream_auth
                    && let Err((option, why)) = auth(table, &app.table, &upstream)
                {
                    problems.push(rules.place(app, &format!("upstream_auth{option}")).problem(why));
                }
            }
        }
    }
}

/// Which option is wrong, and why.
type Wrong = (&'static str, &'static str);

fn members(table: &UpstreamTable) -> Result<(), Wrong> {
    let secure = table.members.iter().filter(|member| member.is_secure()).count();
    if table.members.is_empty() || table.members.len() > MAX_MEMBERS {
        return Err(("members", "an upstream has 1 to 16 members"));
    }
    if secure != 0 && secure != table.members.len() {
        return Err(("members", "members speak all `http://` or all `https://`"));
    }
    match (secure > 0, &table.ca_file, &table.server_name) {
        (true, None, _) => Err(("members", "`https://` needs `ca_file`: by whom are the members certified?")),
        (false, Some(_), _) => Err(("ca_file", "`ca_file` is for members with `https://`")),
        (false, None, Some(_)) => Err(("server_name", "`server_name` is for members with `https://`")),
        _ => Ok(()),
    }
}

fn auth(table: &UpstreamAuthTable, app: &AppTable, upstream: &Upstream) -> Result<(), Wrong> {
    let (user, certificate) = (table.user.as_deref(), &table.certificate);
    match (table.kind, user, certificate) {
        (AuthKind::Basic, None, _) => Err(("", "`basic` needs `user`")),
        (AuthKind::Basic, Some(user), _) if !user.is_ascii() || user.contains(':') => {
            Err((".user", "a user's name for `basic` is ASCII without `:` (RFC 7617)"))
        }
        (AuthKind::Bearer | AuthKind::Mtls, Some(_), _) => Err((".user", "`user` is for `basic`")),
        (AuthKind::Mtls, None, None) => Err(("", "`mtls` needs `certificate`")),
        (AuthKind::Mtls, None, Some(_)) if upstream.tls.is_none() => {
            Err((".kind", "`mtls` needs members with `https://`"))
        }
        (AuthKind::Basic | AuthKind::Bearer, _, Some(_)) => Err((".certificate", "`certificate` is for `mtls`")),
        (AuthKind::Basic | AuthKind::Bearer, ..) if app.allow_authorization => {
            Err((".kind", "with `allow_authorization` the client's own `Authorization` would be in its place"))
        }
        _ => Ok(()),
    }
}

/// The upstream that an app names or writes out.
pub(crate) fn upstream_of(app: &Located<AppTable>, rules: &Rules, materials: &Materials) -> Result<Upstream, String> {
    let written = &app.table.upstream;
    if written.contains(['/', ':']) {
        let member = UpstreamAddress::parse(written)?;
        if member.is_secure() {
            return Err(format!("`{written}`: `https://` needs an `[[upstream]]` that names it and its `ca_file`"));
        }
        return Ok(Upstream {
            name: Arc::from(written.as_str()),
            members: vec![member],
            tls: None,
            requests_at_once: AT_ONCE,
            health: HealthSettings::default(),
        });
    }
    let named = rules.upstreams.iter().find(|upstream| upstream.table.name == *written);
    let table = &named
        .ok_or_else(|| {
            let known: Vec<&str> = rules.upstreams.iter().map(|upstream| upstream.table.name.as_str()).collect();
            format!("there is no upstream `{written}`{}", did_you_mean(written, &known))
        })?
        .table;
    let tls = || UpstreamTls {
        roots: materials.roots(table.ca_file.as_deref()),
        server_name: table.server_name.clone(),
        minimum_version: table.minimum_version,
    };
    Ok(Upstream {
        name: Arc::from(table.name.as_str()),
        members: table.members.clone(),
        tls: table.members.iter().any(|member| member.is_secure()).then(tls),
        requests_at_once: table.requests_at_once,
        health: table.health.clone(),
    })
}
