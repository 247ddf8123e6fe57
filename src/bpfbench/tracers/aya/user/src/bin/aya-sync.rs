// SPDX-License-Identifier: Apache-2.0
//! bpfbench's aya-sync tracer: asks the ring again and again, and never sleeps.

use std::hint::spin_loop;
use std::process::ExitCode;
use std::time::Instant;

use tracer::{Ring, Run, Setup};

/// How often an empty ring is looked at before the clock is, which costs more.
const SPINS: u32 = 1024;

/// A wait for the ring lasts from when it is found empty; the output is flushed when one takes as long as the time-out.
fn follow(mut ring: Ring, run: &mut Run) -> Ring {
    let mut spins = 0;
    let mut empty_since = None;

    while !run.is_over() {
        if let Some(event) = ring.next() {
            run.record(&event);
            spins = 0;
            empty_since = None;
            continue;
        }
        spin_loop();
        spins += 1;
        if spins < SPINS {
            continue;
        }
        spins = 0;
        if empty_since.get_or_insert_with(Instant::now).elapsed() >= run.options.poll {
            run.output.flush();
            empty_since = None;
        }
    }
    ring
}

fn main() -> ExitCode {
    tracer::main(Setup { name: option_env!("SETUP").unwrap_or("aya-sync"), libraries: &["aya"], follow })
}
