// SPDX-License-Identifier: Apache-2.0
//! bpfbench's aya-sync tracer: asks the ring again and again, and sleeps only where the wake-up or the wait asked for
//! has it sleep.

use std::process::ExitCode;

use tracer::{Consumer, Epoll, Setup, Wakeup, wait};

fn follow(consumers: Vec<Consumer>) -> Vec<Consumer> {
    wait::on_threads(consumers, |consumer| match consumer.wakeup {
        Wakeup::Poll => wait::busy(consumer),
        Wakeup::Adaptive if consumer.epoll == Epoll::Level => wait::busy(consumer),
        Wakeup::Adaptive | Wakeup::Never | Wakeup::Watermark(_) => wait::asleep(consumer),
    })
}

fn main() -> ExitCode {
    tracer::main(Setup { name: option_env!("SETUP").unwrap_or("aya-sync"), libraries: &["aya"], follow })
}
