//! `sekimori`: the gateway. This crate builds the parts, hands them to each other and runs them; it
//! decides nothing itself.

mod clock;
mod demo;
mod doors;
mod failure;
mod health;
mod log;
mod notify;
mod parts;
mod reload;
mod run;
mod signals;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A request makes many small allocations, some freed by another thread than made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        /// Write the folder, with certificates and master key, and stop.
        #[arg(long)]
        prepare: bool,
    },
    /// Serve the demo's ward chart alone, without anything in front of it.
    Chart {
        /// Address and port.
        #[arg(long, default_value = "127.0.0.1:9101")]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config } => run::serve(&config),
        Command::Demo { var, https, http, prepare } => {
            let place = demo::Place { var, https, http };
            if prepare { demo::prepare(&place) } else { demo::run(&place) }
        }
        Command::Chart { listen } => demo::chart(listen),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
