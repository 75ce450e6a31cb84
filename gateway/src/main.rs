//! `sekimori`: the gateway. This crate builds the parts, hands them to each other and runs them; it
//! decides nothing itself.

mod demo;
mod doors;
mod failure;
mod parts;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The front door of a hospital's information systems.
#[derive(Parser)]
#[command(name = "sekimori", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve as the configuration says. SIGHUP reloads it, SIGTERM drains and stops.
    Serve {
        /// The configuration file.
        #[arg(long, default_value = "/etc/sekimori/sekimori.toml")]
        config: PathBuf,
    },
    /// Serve a fictional hospital on this machine, for looking around. Everything it makes is in one folder.
    Demo {
        /// That folder.
        #[arg(long, default_value = "var")]
        var: PathBuf,
        /// The port for HTTPS.
        #[arg(long, default_value_t = 8443)]
        https: u16,
        /// The port for plain HTTP, which only redirects.
        #[arg(long, default_value_t = 8080)]
        http: u16,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config } => run::serve(&config),
        Command::Demo { var, https, http } => demo::run(&demo::Place { var, https, http }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
