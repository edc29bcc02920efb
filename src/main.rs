//! The program: flags, settings, run, exit code.
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tandem::commands;

/// A WebRTC-SIP gateway: a phone in any web page, on any SIP network.
#[derive(Parser)]
#[command(version, about)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
    /// The settings file (TOML); without one, the defaults.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Subcommand, Clone, Copy)]
enum Command {
    /// Run the gateway (the default).
    Serve,
    /// Run the gateway with a SIP registrar and answering machines, all on loopback.
    Demo,
    /// Check the settings and say what is wrong with them.
    Check,
}

fn main() -> ExitCode {
    let Flags { command, config } = Flags::parse();
    let done = match command.unwrap_or(Command::Serve) {
        Command::Serve => commands::serve(config.as_deref()),
        Command::Demo => commands::demo(),
        Command::Check => commands::check(config.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
