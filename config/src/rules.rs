//! From the files of the policy folder to one rule set, and from its errors back to the files.

use std::path::Path;
use std::sync::Arc;

use policy::{
    Action, AppRules, Birthright, Condition, Fault, Hours, Lookup, PatientRule, Permission, Policy, Role, RuleError,
    RuleSet, Title,
};

use crate::portal_app;
use crate::report::{Place, Problem};
use crate::rules_file::{
    ActionTable, AppTable, BirthrightTable, ConditionTable, PatientTable, RoleTable, RulesFile, UpstreamTable,
};
use crate::schema::{self, Places};
use crate::settings::Words;

/// Everything the policy folder says, each thing with where it stood.
#[derive(Default)]
pub(crate) struct Rules {
    files: Vec<(Arc<str>, Places)>,
    pub(crate) apps: Vec<Located<AppTable>>,
    pub(crate) upstreams: Vec<Located<UpstreamTable>>,
    roles: Vec<Located<RoleTable>>,
    birthrights: Vec<Located<BirthrightTable>>,
    pub(crate) conditions: Vec<Located<ConditionTable>>,
    /// Nothing was lost while reading, so that a name which isn't there is truly unknown.
    pub(crate) complete: bool,
}

/// A table of one of the files.
pub(crate) struct Located<T> {
    pub(crate) table: T,
    file: usize,
    path: String,
}

impl Rules {
    pub(crate) fn new() -> Self {
        Self { complete: true, ..Self::default() }
    }

    /// Adds one file.
    pub(crate) fn read(&mut self, file: &Arc<str>, text: &str, folder: &Path, problems: &mut Vec<Problem>) {
        let mut document = schema::read::<RulesFile>(file, text, folder);
        problems.append(&mut document.problems);
        self.complete &= document.complete;
        let number = self.files.len();
        self.files.push((Arc::clone(file), document.places));
        let Some(rules) = document.value else { return };
        gather(&mut self.apps, rules.app, number, "app");
        gather(&mut self.upstreams, rules.upstream, number, "upstream");
        gather(&mut self.roles, rules.role, number, "role");
        gather(&mut self.birthrights, rules.birthright, number, "birthright");
        gather(&mut self.conditions, rules.condition, number, "condition");
    }

    /// Where an option of a table stood; an empty `option` means the table itself.
    pub(crate) fn place<T>(&self, at: &Located<T>, option: &str) -> Place {
        match self.files.get(at.file) {
            Some((file, places)) if option.is_empty() => places.of(&at.path, &Place::start(file)),
            Some((file, places)) => places.of(&schema::join(&at.path, option), &Place::start(file)),
            None => Place::start(&Arc::from("policy")),
        }
    }

    /// Compiles the whole; what is wrong is told where it stands in the files.
    pub(crate) fn compile(&self, problems: &mut Vec<Problem>) -> Option<Policy> {
        let before = problems.len();
        let permits = self.permissions(|role| {
            let permit = |p: &crate::rules_file::PermitTable| (p.app.clone(), p.actions.clone(), p.condition.clone());
            role.permit.iter().map(permit).collect()
        });
        let denies =
            self.permissions(|role| role.deny.iter().map(|d| (d.app.clone(), d.actions.clone(), None)).collect());
        let set = self.rule_set(&permits, &denies, problems);
        match Policy::compile(set) {
            Ok(policy) if problems.len() == before => Some(policy),
            Ok(_) => None,
            Err(errors) => {
                let told = |error: &RuleError| self.place_of(error, &permits, &denies).problem(error.to_string());
                problems.extend(errors.iter().map(told));
                None
            }
        }
    }

    fn rule_set(&self, permits: &[Expanded], denies: &[Expanded], problems: &mut Vec<Problem>) -> RuleSet {
        let mut apps: Vec<AppRules> = self.apps.iter().map(|app| self.app_rules(app, problems)).collect();
        if apps.iter().all(|app| app.name != portal_app::NAME) {
            // Last, so that the positions of the others are those of the files.
            apps.push(portal_app::rules());
        }
        let role = |((role, permits), denies): ((&Located<RoleTable>, &Expanded), &Expanded)| Role {
            name: role.table.name.clone(),
            title: title(&role.table.title),
            privileged: role.table.privileged,
            permits: permits.iter().map(|(permission, _)| permission.clone()).collect(),
            denies: denies.iter().map(|(permission, _)| permission.clone()).collect(),
        };
        RuleSet {
            apps,
            roles: self.roles.iter().zip(permits).zip(denies).map(role).collect(),
            birthrights: self.birthrights.iter().map(|at| birthright(&at.table)).collect(),
            conditions: self.conditions.iter().map(|at| condition(&at.table)).collect(),
        }
    }

    fn app_rules(&self, at: &Located<AppTable>, problems: &mut Vec<Problem>) -> AppRules {
        let app = &at.table;
        if app.name == portal_app::NAME {
            let place = self.place(at, "name");
            problems.push(place.problem("`sekimori` is the portal itself: it is always there and isn't written"));
            return portal_app::rules();
        }
        let mut actions = Vec::with_capacity(app.action.len());
        for (i, table) in app.action.iter().enumerate() {
            let patient = table.patient.as_ref().and_then(|patient| {
                let rule = patient_rule(patient);
                if rule.is_none() {
                    let place = self.place(at, &format!("action[{i}].patient"));
                    problems.push(place.problem("`patient` needs exactly one of `path`, `query`, `form`, `json`, `response_header`, `response_json`, `lookup`"));
                }
                rule
            });
            actions.push(action(table, patient));
        }
        AppRules {
            name: app.name.clone(),
            actions,
            path_encoding: app.path_encoding,
            path_parameters: app.path_parameters.clone(),
        }
    }

    /// One permission for each action that a role's tables list, with its place in the table.
    fn permissions(&self, tables: impl Fn(&RoleTable) -> Vec<(String, Vec<String>, Option<String>)>) -> Vec<Expanded> {
        let expand = |role: &Located<RoleTable>| {
            let mut expanded = Vec::new();
            for (i, (app, actions, condition)) in tables(&role.table).into_iter().enumerate() {
                for (j, action) in actions.into_iter().enumerate() {
                    let permission = Permission { app: app.clone(), action, condition: condition.clone() };
                    expanded.push((permission, format!("[{i}].actions[{j}]")));
                }
            }
            expanded
        };
        self.roles.iter().map(expand).collect()
    }

    fn place_of(&self, error: &RuleError, permits: &[Expanded], denies: &[Expanded]) -> Place {
        use policy::Place as At;
        let option = option(&error.fault);
        let within = |expanded: &[Expanded], role: usize, entry: usize, list: &str| {
            let path = expanded.get(role).and_then(|list| list.get(entry)).map_or("", |(_, path)| path.as_str());
            let table = path.split('.').next().unwrap_or(path);
            let path = if option.is_empty() { path.to_owned() } else { schema::join(table, option) };
            self.nth(&self.roles, role, &format!("{list}{path}"))
        };
        match error.place {
            At::App { app } => self.nth(&self.apps, app, option),
            At::Action { app, action } => {
                self.nth(&self.apps, app, &schema::join(&format!("action[{action}]"), option))
            }
            At::Path { app, action, path } => self.nth(&self.apps, app, &format!("action[{action}].paths[{path}]")),
            At::Role { role } => self.nth(&self.roles, role, option),
            At::Permit { role, permit } => within(permits, role, permit, "permit"),
            At::Deny { role, deny } => within(denies, role, deny, "deny"),
            At::Birthright { birthright } => self.nth(&self.birthrights, birthright, option),
            At::Condition { condition } => self.nth(&self.conditions, condition, option),
            At::Hours { condition, hours } => self.nth(&self.conditions, condition, &format!("hours[{hours}]")),
        }
    }

    fn nth<T>(&self, list: &[Located<T>], index: usize, option: &str) -> Place {
        list.get(index).map_or_else(|| self.anywhere(), |at| self.place(at, option))
    }

    /// For what stands nowhere: the first file of the folder.
    fn anywhere(&self) -> Place {
        Place::start(&self.files.first().map_or_else(|| Arc::from("policy"), |(file, _)| Arc::clone(file)))
    }
}

/// The option of an entry that a fault is about; empty for the entry itself, or one of a permit's actions.
fn option(fault: &Fault) -> &'static str {
    match fault {
        Fault::Duplicate { what: "app" | "action" | "role" | "birthright" | "condition", .. }
        | Fault::BadName { what: "app" | "action" | "role" | "birthright" | "condition", .. } => "name",
        Fault::Unknown { what: "app", .. } => "app",
        Fault::Unknown { what: "role", .. } | Fault::PrivilegedBirthright(_) => "role",
        Fault::Unknown { what: "condition", .. } => "condition",
        Fault::Duplicate { what: "zone", .. } | Fault::UnknownZone(_) => "zones",
        Fault::Duplicate { what, .. } | Fault::BadName { what, .. } if *what == "path parameter" => "path_parameters",
        Fault::BadMethod(_) => "methods",
        Fault::BadPointer(_) | Fault::BadLookup(_) => "patient",
        _ => "",
    }
}

/// A role's permissions, each with its path inside the list of tables it came from.
type Expanded = Vec<(Permission, String)>;

fn gather<T>(into: &mut Vec<Located<T>>, tables: Vec<T>, file: usize, name: &str) {
    let located = |(i, table)| Located { table, file, path: format!("{name}[{i}]") };
    into.extend(tables.into_iter().enumerate().map(located));
}

fn action(table: &ActionTable, patient: Option<PatientRule>) -> Action {
    Action {
        name: table.name.clone(),
        title: table.title.as_ref().map(title),
        methods: table.methods.clone(),
        paths: table.paths.clone(),
        patient,
        human: table.human,
        class: table.class,
        download: table.download,
    }
}

/// The one rule that the table names, if it is one.
fn patient_rule(table: &PatientTable) -> Option<PatientRule> {
    let named = [
        table.path.clone().map(PatientRule::Path),
        table.query.clone().map(PatientRule::Query),
        table.form.clone().map(PatientRule::Form),
        table.json.clone().map(PatientRule::Json),
        table.response_header.clone().map(PatientRule::ResponseHeader),
        table.response_json.clone().map(PatientRule::ResponseJson),
        table
            .lookup
            .as_ref()
            .map(|lookup| PatientRule::Lookup(Lookup { path: lookup.path.clone(), pointer: lookup.json.clone() })),
    ];
    let mut named = named.into_iter().flatten();
    named.next().filter(|_| named.next().is_none())
}

fn birthright(table: &BirthrightTable) -> Birthright {
    Birthright {
        name: table.name.clone(),
        role: table.role.clone(),
        occupation: table.occupation.clone(),
        department: table.department.clone(),
        position: table.position.clone(),
        qualification: table.qualification.clone(),
        employment: table.employment.clone(),
    }
}

fn condition(table: &ConditionTable) -> Condition {
    let hours = |hours: &crate::rules_file::HoursTable| Hours {
        days: hours.days.clone(),
        from_minute: hours.from,
        to_minute: hours.to,
    };
    Condition {
        name: table.name.clone(),
        zones: table.zones.clone(),
        hours: table.hours.iter().map(hours).collect(),
        note: table.note.clone(),
    }
}

fn title(words: &Words) -> Title {
    Title { ja: words.ja.clone(), en: words.en.clone() }
}
