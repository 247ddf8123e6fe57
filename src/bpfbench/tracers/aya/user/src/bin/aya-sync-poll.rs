// SPDX-License-Identifier: Apache-2.0
//! bpfbench's aya-sync-poll tracer: sleeps in poll(2) until the ring is readable, without Tokio.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use tracer::{Ring, Run, Setup, stop};

fn follow(mut ring: Ring, run: &mut Run) -> Ring {
    let wait_ms = run.options.poll.as_millis() as libc::c_int;
    let awaited = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut either = [awaited(ring.as_raw_fd()), awaited(stop::told())];

    while !run.is_over() {
        // SAFETY: both descriptors are there, and open.
        match unsafe { libc::poll(either.as_mut_ptr(), 2, wait_ms) } {
            0 => run.output.flush(),
            1.. => take_events(&mut ring, run),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != ErrorKind::Interrupted {
                    run.fail(format!("cannot wait for the ring: {error}"));
                }
            }
        }
    }
    ring
}

fn take_events(ring: &mut Ring, run: &mut Run) {
    // Under load it may never be empty.
    while !run.is_over() {
        let Some(event) = ring.next() else { break };
        run.record(&event);
    }
}

fn main() -> ExitCode {
    tracer::main(Setup { name: "aya-sync-poll", libraries: &["aya"], follow })
}
