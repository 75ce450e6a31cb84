//! `sekimorictl`: what administrators type. A client of the admin API; on the gateway's own host it
//! also does what must work without a server: check a configuration, make the master key, bootstrap
//! the first registrars, verify a journal, try a policy against an HR file.
//!
//! It holds no right of its own: the API decides every call for the person who logged in.

mod arguments;
mod client;
mod host;
mod output;
mod probe;
mod remote;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use output::{Answer, Failure};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.output;
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("cannot start: {error}")))
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match outcome {
        Ok(answer) => answer.print(format),
        Err(failure) => failure.print(format),
    }
}

async fn run(arguments: Arguments) -> Result<Answer, Failure> {
    match arguments.command {
        Command::Config(command) => host::config(command),
        Command::Key(command) => host::key(command),
        Command::Secret(command) => host::secret(command),
        Command::App(command) => probe::app(command).await,
        Command::Backup(command) => host::backup(command).await,
        Command::Restore(command) => host::restore(command).await,
        Command::Health(command) => host::health(&command).await,
        Command::Bootstrap(command) => host::bootstrap(command).await,
        Command::Policy(arguments::PolicyCommand::Test(test)) if test.hr.is_some() => host::policy_test(&test),
        Command::Audit(arguments::AuditCommand::Verify(verify)) => host::verify(&verify),
        other => remote::run(other, &arguments.client).await,
    }
}
