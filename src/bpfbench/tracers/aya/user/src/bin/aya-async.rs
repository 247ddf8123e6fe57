// SPDX-License-Identifier: Apache-2.0
//! bpfbench's aya-async tracer: sleeps in Tokio, on its one thread, until the ring is readable. With the feature `threads`
//! Tokio waits on threads of its own.

use std::io;
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tokio::time::timeout;
use tracer::{Ring, Run, Setup, stop};

fn follow(ring: Ring, run: &mut Run) -> Ring {
    #[cfg(not(feature = "threads"))]
    let mut builder = runtime::Builder::new_current_thread();
    #[cfg(feature = "threads")]
    let mut builder = runtime::Builder::new_multi_thread();
    let runtime = match builder.enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            run.fail(format!("cannot start Tokio: {error}"));
            return ring;
        }
    };
    runtime.block_on(async {
        let (mut ring, told) = match (register(ring), register(stop::told())) {
            (Ok(ring), Ok(told)) => (ring, told),
            (Ok(ring), Err((_, error))) => {
                run.fail(format!("cannot wait for signals: {error}"));
                return ring.into_inner();
            }
            (Err((ring, error)), _) => {
                run.fail(format!("cannot wait for the ring: {error}"));
                return ring;
            }
        };
        // Tokio takes up its wait again when a signal interrupts it.
        let waited = tokio::select! {
            waited = take_events(&mut ring, run) => waited,
            waited = told.readable() => waited.map(|_| ()),
        };
        if let Err(error) = waited {
            run.fail(format!("cannot wait for the ring: {error}"));
        }
        ring.into_inner()
    })
}

fn register<T: AsRawFd>(inner: T) -> Result<AsyncFd<T>, (T, io::Error)> {
    // SAFETY: the descriptor stays open for as long as the T, which the AsyncFd owns.
    unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) }.map_err(|error| error.into_parts())
}

async fn take_events(ring: &mut AsyncFd<Ring>, run: &mut Run) -> io::Result<()> {
    while !run.is_over() {
        let Ok(ready) = timeout(run.options.poll, ring.readable_mut()).await else {
            run.output.flush();
            continue;
        };
        let mut ready = ready?;
        // Under load it may never be empty.
        while !run.is_over() {
            let Some(event) = ready.get_inner_mut().next() else { break };
            run.record(&event);
        }
        ready.clear_ready();
    }
    Ok(())
}

fn main() -> ExitCode {
    tracer::main(Setup { name: option_env!("SETUP").unwrap_or("aya-async"), libraries: &["aya", "tokio"], follow })
}
