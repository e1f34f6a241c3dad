//! `vmnet`: networks for virtual machines, made and kept. This file reads the words, does what
//! they ask through [`cmd`], and leaves with the right exit code.

#![forbid(unsafe_code)]

mod args;
mod cmd;
mod exit;
mod say;
mod show;

use args::{Arguments, Directories, HookVerb, Verb};
use exit::{Exit, Leave};
use std::process::ExitCode;
use vmnet_model::error::Error;
use vmnet_network::dirs::Places;

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
        return Err(Error::new("run", "vmnet", "it is installed setuid, which only the helper may be").into());
    }
    // A parent that ignores its children's end would have us ignore our tools' too.
    vmnet_sys::process::heed_children();
    vmnet_tools::prepare_each_by(vmnet_sys::child::end_with_us);
    // What we make is for all to read, whatever the umask of root's shell. What CMD makes is not ours.
    if !matches!(arguments.verb, Verb::Exec(_)) {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    }
    let Directories { config_dir, state_dir, run_dir } = &arguments.directories;
    let places = Places::new(config_dir, state_dir, run_dir);
    Ok(match &arguments.verb {
        Verb::Up { name, dry_run, on_demand } => cmd::up::run(&places, name, *dry_run, *on_demand)?,
        Verb::Down { name, force } => cmd::down::run(&places, name, *force)?,
        Verb::Run { name, background } => cmd::run::run(&places, name, *background)?,
        Verb::Status { name, json } => cmd::status::run(&places, name.as_ref(), *json)?,
        Verb::List { json } => cmd::list::run(&places, *json)?,
        Verb::Ports { name, revoke: Some(port), .. } => cmd::ports::revoke(&places, name, port)?,
        Verb::Ports { name, json, .. } => cmd::ports::run(&places, name, *json)?,
        Verb::Exec(words) => cmd::exec::run(words)?,
        Verb::Tap(verb) => cmd::tap::run(verb)?,
        Verb::Attach(words) => cmd::attach::run(&places, words)?,
        Verb::Detach { name, space, ifname } => cmd::detach::run(&places, name, space, ifname)?,
        Verb::Cable { name, to, remove } => cmd::cable::run(&places, name, to, *remove)?,
        Verb::Wire(verb) => cmd::wire::run(verb)?,
        Verb::Snippet { name, program } => cmd::snippet::run(&places, name, *program)?,
        Verb::Broker => cmd::broker::run(&places)?,
        Verb::Hook(HookVerb::Libvirt { words }) => cmd::hook::run(&places, words)?,
        Verb::Leases { name, watch, json } => cmd::leases::run(&places, name, *watch, *json)?,
        Verb::Host(verb) => cmd::host::run(&places, verb)?,
        Verb::Forward(verb) => cmd::forward::run(&places, verb)?,
        Verb::Init { name } => cmd::init::run(&places, name)?,
        Verb::Check { name, json } => cmd::check::run(&places, name.as_ref(), *json)?,
        Verb::Access { name, user, json } => cmd::access::run(&places, name, user.as_deref(), *json)?,
        Verb::Doctor { name, fix, json } => cmd::doctor::run(&places, name.as_ref(), *fix, *json)?,
        Verb::Account { kind, name } => cmd::account::run(*kind, name)?,
        Verb::Schema => cmd::schema::run()?,
        Verb::Completions { shell } => cmd::completions::run(*shell)?,
    })
}
