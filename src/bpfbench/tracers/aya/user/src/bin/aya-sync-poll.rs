// SPDX-License-Identifier: Apache-2.0
//! bpfbench's aya-sync-poll tracer: sleeps in poll(2) until the ring is readable, or by edges in an epoll until it wakes,
//! without Tokio.

use std::process::ExitCode;

use tracer::{Consumer, Setup, Wakeup, wait};

fn follow(consumers: Vec<Consumer>) -> Vec<Consumer> {
    wait::on_threads(consumers, |consumer| match consumer.wakeup {
        Wakeup::Poll => wait::busy(consumer),
        Wakeup::Adaptive | Wakeup::Never | Wakeup::Watermark(_) => wait::asleep(consumer),
    })
}

fn main() -> ExitCode {
    tracer::main(Setup { name: "aya-sync-poll", libraries: &["aya"], follow })
}
