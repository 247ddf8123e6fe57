// SPDX-License-Identifier: Apache-2.0
//! bpfbench's Aya tracers; ../../../README.md is their contract. They differ only in how they wait for the ring, which
//! each of the two binaries brings along.

mod apart;
mod btf;
mod consumer;
mod fs_profile;
mod hook;
mod kernel;
mod message;
mod misses;
mod offsets;
mod options;
mod output;
mod perf;
mod record;
mod ring;
mod rings;
mod run;
mod rw;
pub mod stop;
mod summary;
mod syscount;
pub mod wait;

use std::process::ExitCode;

use aya::Pod;
use options::{Options, Tool};
use output::Sink;
use run::Run;
use shared::{FsCounters, FsFile, FsKey, FsLatency, FsUse, Offsets, RwCounters};
use summary::Summary;

pub use consumer::{Consumer, Found, Writer};
pub use options::{Epoll, Wakeup};
pub use rings::Ring;

/// What is shared with the programs, as Aya takes it.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Global<T>(T);
// SAFETY: plain data, without padding.
unsafe impl Pod for Global<Offsets> {}
unsafe impl Pod for Global<RwCounters> {}
unsafe impl Pod for Global<FsCounters> {}
unsafe impl Pod for Global<FsKey> {}
unsafe impl Pod for Global<FsLatency> {}
unsafe impl Pod for Global<FsFile> {}
unsafe impl Pod for Global<FsUse> {}

/// What is not the same in the two tracers.
pub struct Setup {
    pub name: &'static str,
    /// Whose versions are reported.
    pub libraries: &'static [&'static str],
    /// Has all of them record events until the run is over. They are given back, for their rings to be drained.
    pub follow: fn(Vec<Consumer>) -> Vec<Consumer>,
}

/// All of a tracer's main.
pub fn main(setup: Setup) -> ExitCode {
    let start_ns = stop::monotonic_ns();
    stop::catch_signals();
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            message::say(&error);
            return ExitCode::from(2);
        }
    };
    step_aside(&options.target_comm);
    match trace(setup, options, start_ns) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            message::say(&error);
            ExitCode::FAILURE
        }
    }
}

/// The tracer must not record itself. Should the target bear its name, it takes another one: its process id in the
/// initial PID namespace, which the programs could compare, is not to be had from within another namespace.
fn step_aside(target_comm: &[u8; shared::COMM_BYTES]) {
    let mut comm = [0u8; shared::COMM_BYTES];
    // SAFETY: the kernel writes at most 16 bytes, and reads up to the NUL at the end of them.
    unsafe {
        if libc::prctl(libc::PR_GET_NAME, comm.as_mut_ptr()) == 0 && comm == *target_comm {
            comm[0] = if comm[0] == b'x' { b'y' } else { b'x' };
            libc::prctl(libc::PR_SET_NAME, comm.as_ptr());
        }
    }
}

fn trace(setup: Setup, options: Options, start_ns: u64) -> Result<(), String> {
    let sink = Sink::create(&options.output)
        .map_err(|error| format!("cannot create {}: {error}", options.output.display()))?;
    let summary = Summary::create(&options.summary)
        .map_err(|error| format!("cannot create {}: {error}", options.summary.display()))?;

    let tool = options.tool;
    let mut run = Run::new(setup, options, sink, start_ns);
    let loaded = match tool {
        Tool::Syscount => syscount::run(&mut run),
        Tool::RwTracer | Tool::RwTracerAll => rw::run(&mut run),
        Tool::FsProfile => fs_profile::run(&mut run),
    };
    if let Err(error) = loaded {
        summary.discard();
        return Err(error);
    }
    if let Err(error) = summary.write(&run) {
        run.fail(format!("cannot write {}: {error}", run.options.summary.display()));
    }
    run.error.map_or(Ok(()), Err)
}

/// The version of a library that is linked in, which is the one locked.
fn version_of(library: &str) -> &'static str {
    let entry = format!("name = \"{library}\"\nversion = \"");
    let (_, rest) = include_str!("../Cargo.lock").split_once(&entry).expect("what is linked in is locked");
    rest.split('"').next().expect("split gives one part at least")
}
