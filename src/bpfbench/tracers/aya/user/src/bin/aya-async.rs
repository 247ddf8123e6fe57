// SPDX-License-Identifier: Apache-2.0
//! bpfbench's aya-async tracer: sleeps in Tokio, on its one thread, until the ring is readable. Of several consumers each
//! has such a thread. With the feature `threads` Tokio waits on threads of its own, and several consumers are its tasks.
//! Its epoll is edge-triggered in any case, be --epoll `level` or `edge`.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::task::Poll;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracer::wait::Pause;
use tracer::{Consumer, Found, Ring, Setup, Wakeup, Writer, stop};

#[cfg(not(feature = "threads"))]
fn follow(consumers: Vec<Consumer>) -> Vec<Consumer> {
    // [snippet consumers of aya-async]
    tracer::wait::on_threads(consumers, |consumer| match start(Builder::new_current_thread()) {
        Ok(runtime) => runtime.block_on(follow_one(consumer)),
        Err(error) => consumer.fail(format!("cannot start Tokio: {error}")),
    })
    // [end consumers]
}

#[cfg(feature = "threads")]
fn follow(mut consumers: Vec<Consumer>) -> Vec<Consumer> {
    let runtime = match start(Builder::new_multi_thread()) {
        Ok(runtime) => runtime,
        Err(error) => {
            consumers[0].fail(format!("cannot start Tokio: {error}"));
            return consumers;
        }
    };
    runtime.block_on(async {
        if consumers.len() == 1 {
            follow_one(&mut consumers[0]).await;
            return consumers;
        }
        let followed = |mut consumer| async move {
            follow_one(&mut consumer).await;
            consumer
        };
        let tasks: Vec<_> = consumers.into_iter().map(|consumer| tokio::spawn(followed(consumer))).collect();
        let mut consumers = Vec::new();
        for task in tasks {
            consumers.push(task.await.expect("a consumer neither panics nor is stopped"));
        }
        consumers
    })
}

fn start(mut builder: Builder) -> io::Result<Runtime> {
    builder.enable_io().enable_time().build()
}

async fn follow_one(consumer: &mut Consumer) {
    // Tokio takes up its wait again when a signal interrupts it.
    let told = match told() {
        Ok(told) => told,
        Err(error) => return consumer.fail(format!("cannot wait for signals: {error}")),
    };
    let followed = tokio::select! {
        followed = take_events(consumer) => followed,
        told = told.readable() => told.map(|_| ()),
    };
    if let Err(error) = followed {
        consumer.fail(format!("cannot wait for the ring: {error}"));
    }
}

/// Readable once the run is over. A descriptor of its own, because Tokio takes each once.
fn told() -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it stays open as long as the process runs.
    let told = unsafe { BorrowedFd::borrow_raw(stop::told()) };
    register(told.try_clone_to_owned()?)
}

fn register<T: AsRawFd>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor stays open for as long as the T, or, of a ring, as what is registered.
    Ok(unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) }?)
}

async fn take_events(consumer: &mut Consumer) -> io::Result<()> {
    match consumer.wakeup {
        Wakeup::Adaptive | Wakeup::Watermark(_) => woken(consumer).await,
        Wakeup::Never => timed(consumer).await,
        Wakeup::Poll => busy(consumer).await,
    }
}

/// Sleeps until a ring is readable or the time-out is over.
async fn woken(consumer: &mut Consumer) -> io::Result<()> {
    let readies = consumer.rings.iter().map(|ring| register(ring.as_raw_fd())).collect::<io::Result<Vec<_>>>()?;
    while !stop::is_over() {
        // [snippet poll_ms of aya-async]
        // [snippet wakeup of aya-async]
        let timed_out = match timeout(consumer.poll, any_of(&readies)).await {
            Ok(waited) => waited.map(|()| false)?,
            Err(_) => true,
        };
        let mut found = false;
        for (ring, ready) in consumer.rings.iter_mut().zip(&readies) {
            found |= take(&mut consumer.writer, ring, ready);
        }
        if timed_out && !found {
            consumer.writer.output.flush();
        }
        // [end wakeup]
        // [end poll_ms]
    }
    Ok(())
}

async fn any_of(readies: &[AsyncFd<RawFd>]) -> io::Result<()> {
    poll_fn(|context| {
        let mut any = Poll::Pending;
        for ready in readies {
            if let Poll::Ready(ready) = ready.poll_read_ready(context) {
                any = Poll::Ready(ready.map(|_| ()));
            }
        }
        any
    })
    .await
}

/// Takes a turn's events. Only an empty ring is waited for: what comes after the look that finds it so wakes again.
fn take(writer: &mut Writer, ring: &mut Ring, ready: &AsyncFd<RawFd>) -> bool {
    let mut found = None;
    let _ = ready.try_io(Interest::READABLE, |_| {
        let now = writer.take(ring);
        let is_empty = now != Found::More;
        found = Some(now);
        if is_empty { Err(io::Error::from(ErrorKind::WouldBlock)) } else { Ok(()) }
    });
    // With no wake-up there may be something all the same.
    found.unwrap_or_else(|| writer.take(ring)) != Found::Nothing
}

// [snippet poll_ms of aya-async]
// [snippet wakeup of aya-async]
/// Sleeps for the time-out, whatever is in the rings.
async fn timed(consumer: &mut Consumer) -> io::Result<()> {
    while !stop::is_over() {
        sleep(consumer.poll).await;
        if !consumer.take_all() {
            consumer.writer.output.flush();
        }
    }
    Ok(())
}
// [end wakeup]
// [end poll_ms]

/// Never sleeps. Others' turn comes now and then: there may be fewer threads than tasks.
async fn busy(consumer: &mut Consumer) -> io::Result<()> {
    let mut pause = Pause::default();
    while !stop::is_over() {
        if consumer.take_turn() != Found::Nothing {
            pause = Pause::default();
        } else if !pause.is_worth_a_look() {
            continue;
        } else if pause.lasts(consumer.poll) {
            consumer.writer.output.flush();
        }
        yield_now().await;
    }
    Ok(())
}

fn main() -> ExitCode {
    tracer::main(Setup { name: option_env!("SETUP").unwrap_or("aya-async"), libraries: &["aya", "tokio"], follow })
}
