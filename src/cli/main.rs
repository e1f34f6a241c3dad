//! `vmnet`: networks for virtual machines, made and kept. This file reads the words, does what
//! they ask through [`cmd`], and leaves with the right exit code.

#![forbid(unsafe_code)]

mod args;
mod cmd;
mod exit;
mod roles;
mod say;
mod show;

use args::{Arguments, Directories, HookVerb, Verb};
use exit::{Exit, Leave};
use std::process::ExitCode;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::{Dirs, Log, Networks};
use vmnet_sys::process::hold_signals;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| say::error("cannot go on: internal error", None)));
    let arguments = match Arguments::typed() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to clap, with exit code 0; all others are 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&arguments) {
        Ok(exit) => exit.into(),
        Err(Leave { failure, exit }) => {
            say::error(&failure.to_string(), failure.hint.as_deref());
            exit.into()
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<Exit, Leave> {
    if nix::unistd::getuid() != nix::unistd::geteuid() {
        let cause = "it is installed setuid, which only the helper may be";
        return Err(Error::new("run", "vmnet", cause).kind(ErrorKind::Denied).into());
    }
    roles::command(!matches!(arguments.verb, Verb::Exec(_)));
    let Directories { config_dir, state_dir, run_dir } = &arguments.directories;
    let dirs = Dirs::new(config_dir, state_dir, run_dir).before_changes(hold_signals);
    let networks = Networks::open(dirs.clone(), Log::Foreground);
    Ok(match &arguments.verb {
        Verb::Up { name, dry_run, on_demand } => cmd::up::run(&networks, name, *dry_run, *on_demand)?,
        Verb::Down { name, force } => cmd::down::run(&networks, name, *force)?,
        Verb::Run { name, background } => cmd::run::run(&dirs, name, *background)?,
        Verb::Status { name, json } => cmd::status::run(&networks, name.as_ref(), *json)?,
        Verb::List { json } => cmd::list::run(&dirs, *json)?,
        Verb::Ports { name, revoke: Some(port), .. } => cmd::ports::revoke(&networks, name, port)?,
        Verb::Ports { name, json, .. } => cmd::ports::run(&networks, name, *json)?,
        Verb::Exec(words) => cmd::exec::run(words)?,
        Verb::Tap(verb) => cmd::tap::run(verb)?,
        Verb::Attach(words) => cmd::attach::run(&dirs, words)?,
        Verb::Detach { name, space, ifname } => cmd::detach::run(&dirs, name, space, ifname)?,
        Verb::Cable { name, to, remove } => cmd::cable::run(&networks, name, to, *remove)?,
        Verb::Wire(verb) => cmd::wire::run(verb)?,
        Verb::Snippet { name, program } => cmd::snippet::run(&dirs, name, *program)?,
        Verb::Broker => cmd::broker::run(&dirs)?,
        Verb::Hook(HookVerb::Libvirt { words }) => cmd::hook::run(&dirs, words)?,
        Verb::Leases { name, watch, json } => cmd::leases::run(&networks, name, *watch, *json)?,
        Verb::Host(verb) => cmd::host::run(&networks, verb)?,
        Verb::Forward(verb) => cmd::forward::run(&networks, verb)?,
        Verb::Init { name } => cmd::init::run(&dirs, name)?,
        Verb::Check { name, json } => cmd::check::run(&dirs, name.as_ref(), *json)?,
        Verb::Access { name, user, json } => cmd::access::run(&dirs, name, user.as_deref(), *json)?,
        Verb::Doctor { name, fix, json } => cmd::doctor::run(&dirs, name.as_ref(), *fix, *json)?,
        Verb::Account { kind, name } => cmd::account::run(*kind, name)?,
        Verb::Schema => cmd::schema::run()?,
        Verb::Completions { shell } => cmd::completions::run(*shell)?,
    })
}
