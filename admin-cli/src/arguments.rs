use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Administer a Sekimori gateway.
#[derive(Parser)]
#[command(name = "sekimorictl", version)]
pub(crate) struct Arguments {
    /// How answers are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) client: Client,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The forms an answer can take.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For scripts: the API's own JSON.
    Json,
}

#[derive(Args)]
pub(crate) struct Client {
    /// Where the gateway is and whom to trust (`api`, `ca`).
    #[arg(long, global = true, env = "SEKIMORI_CLI", default_value = "var/cli.toml")]
    pub(crate) client: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The configuration, on this host.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The master key, on this host.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Secrets that stand in files, on this host.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Web applications that are to be put behind the gateway.
    #[command(subcommand)]
    App(AppCommand),
    /// Make a first registrar while the server is stopped (twice; then HR data takes over).
    Bootstrap(Bootstrap),
    /// Save store, keys, configuration and journal in a folder, on this host and while the gateway runs.
    Backup(Backup),
    /// Put a backup back, on this host and while the server is stopped. All sessions and codes of it end.
    Restore(Restore),
    /// Ask the gateway on this host whether it is ready.
    Health(Health),
    /// Log in with the code that the portal shows under "Command line".
    Login(Login),
    /// People from HR.
    #[command(subcommand)]
    Hr(HrCommand),
    /// Enrolment codes.
    #[command(subcommand)]
    Enrolment(EnrolmentCommand),
    /// Sessions of people.
    #[command(subcommand)]
    Session(SessionCommand),
    /// What the policy says.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The audit journal.
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration as start-up does, and print every problem at once.
    Check {
        /// The configuration file.
        #[arg(default_value = "/etc/sekimori/sekimori.toml")]
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Write a new master key (mode 0600); refuses to overwrite one.
    Init {
        /// The key file named by `keys.master_key_file`.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Seal a password, token or private key into a file (mode 0600), for `upstream_auth` to name. It is read
    /// from standard input, or asked for without showing it.
    Seal {
        /// The file named by `secret_file`.
        file: PathBuf,
        /// The master key, the file named by `keys.master_key_file`.
        #[arg(long)]
        key: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum AppCommand {
    /// Look at an application directly and say what it will need behind the gateway, with a policy file to begin
    /// with. Asks for a few pages and scripts with GET and changes nothing.
    Probe {
        /// Its address as the gateway will reach it, e.g. http://10.0.5.10:8080/.
        url: String,
        /// The name that rules and records will use.
        #[arg(long)]
        name: Option<String>,
        /// The host that people will use.
        #[arg(long)]
        host: Option<String>,
        /// By whom its certificate is signed (PEM), for https; the system's own authorities when left out.
        #[arg(long)]
        ca: Option<PathBuf>,
        /// Write the policy file here instead of showing it; a file that is there is left as it is.
        #[arg(long)]
        policy: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Bootstrap {
    /// The configuration file.
    #[arg(long, default_value = "/etc/sekimori/sekimori.toml")]
    pub(crate) config: PathBuf,
    /// Staff number and name of the registrar.
    #[arg(long, num_args = 2, value_names = ["NO", "NAME"], required = true)]
    pub(crate) registrar: Vec<String>,
    /// A privileged role of the policy to grant; may be given several times. `registrar` when left out.
    #[arg(long)]
    pub(crate) role: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The configuration file.
    #[arg(long, default_value = "/etc/sekimori/sekimori.toml")]
    pub(crate) config: PathBuf,
    /// A new folder for this one backup.
    #[arg(long)]
    pub(crate) to: PathBuf,
    /// Save the master key, private keys and passwords too. Whoever gets at such a backup has everything.
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// Where the configuration is to be; if there is one, it stays as it is.
    #[arg(long, default_value = "/etc/sekimori/sekimori.toml")]
    pub(crate) config: PathBuf,
    /// The folder that `backup` made.
    #[arg(long)]
    pub(crate) from: PathBuf,
    /// The site's master key, from the safe. Needed where no configuration is in place: nothing of a backup is
    /// believed before it.
    #[arg(long)]
    pub(crate) key: Option<PathBuf>,
    /// Go on with the journal that is here, because only the store was lost: it knows what has ended since.
    #[arg(long)]
    pub(crate) keep_journal: bool,
}

#[derive(Args)]
pub(crate) struct Health {
    /// The configuration file.
    #[arg(long, default_value = "/etc/sekimori/sekimori.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Args)]
pub(crate) struct Login {
    /// The code; asked for when left out.
    // A code may begin with a hyphen.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) code: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum HrCommand {
    /// Import the hospital's HR file as a delta: people it doesn't name are left alone.
    Import {
        /// The CSV file.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum EnrolmentCommand {
    /// Issue a one-time desk code for a person whose identity you have checked face to face.
    Issue {
        /// The staff number.
        staff_no: String,
        /// How the person was checked.
        #[arg(long, default_value = "face-to-face")]
        method: String,
        /// What was seen, e.g. "staff card and driving licence".
        #[arg(long)]
        evidence: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum SessionCommand {
    /// Sessions that have not ended.
    List {
        /// Of this person only.
        #[arg(long)]
        staff_no: Option<String>,
    },
    /// End a session now.
    Kill {
        /// The session's id, as `list` shows it.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// What would happen to a request, and why.
    Test(PolicyTest),
}

#[derive(Args)]
pub(crate) struct PolicyTest {
    /// The staff number that asks.
    #[arg(long = "as", value_name = "STAFF_NO")]
    pub(crate) staff_no: String,
    /// The whole address, e.g. https://chart.example.jp/patients/1.
    #[arg(long)]
    pub(crate) url: String,
    /// The HTTP method.
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// The moment, e.g. 2026-11-21T22:00:00+09:00; now when left out.
    #[arg(long)]
    pub(crate) at: Option<String>,
    /// The zone that the request comes from.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Take the person from this HR file instead of the server.
    #[arg(long)]
    pub(crate) hr: Option<PathBuf>,
    /// The configuration file, with `--hr`.
    #[arg(long, default_value = "/etc/sekimori/sekimori.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify a journal from its files and the public key alone.
    Verify(Verify),
    /// The newest records.
    Tail {
        /// How many.
        #[arg(long, default_value_t = 20)]
        lines: u32,
        /// Go on as records come.
        #[arg(long, short)]
        follow: bool,
    },
    /// One record by its sequence number.
    Show {
        /// The sequence number.
        seq: u64,
    },
    /// Records that match all that is given.
    Search(Search),
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The journal directory.
    pub(crate) directory: PathBuf,
    /// The public key; `journal.pub` in the directory or beside it when left out.
    #[arg(long)]
    pub(crate) key: Option<PathBuf>,
    /// A checkpoint file kept elsewhere: finds a cut tail and a rollback.
    #[arg(long)]
    pub(crate) checkpoint: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Search {
    /// Event name, e.g. request.deny, or its first word for the whole family.
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// How it came out: ok, denied, failed, aborted, pending.
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Staff number of who did it.
    #[arg(long)]
    pub(crate) staff_no: Option<String>,
    /// Patient.
    #[arg(long)]
    pub(crate) patient: Option<String>,
    /// App.
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// The number that a page shows at its foot.
    #[arg(long)]
    pub(crate) request: Option<String>,
    /// The session's hash, as records have it.
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// From this moment on, e.g. 2026-11-21T22:00:00+09:00.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Before this moment.
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
}
