// SPDX-License-Identifier: Apache-2.0
//! Waiting for the rings without Tokio.

use std::hint::spin_loop;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::options::{Epoll, Wakeup};
use crate::{Consumer, Found, Ring, stop};

/// How often empty rings are looked at before the clock is, which costs more.
const SPINS: u32 = 1024;

/// From when rings that are asked again and again are found empty.
#[derive(Default)]
pub struct Pause {
    spins: u32,
    since: Option<Instant>,
}

impl Pause {
    /// Whether it is time to look at anything but the rings.
    #[inline]
    pub fn is_worth_a_look(&mut self) -> bool {
        spin_loop();
        self.spins = self.spins.wrapping_add(1);
        self.spins % SPINS == 0
    }

    /// Whether it has lasted so long; if so, the next one begins.
    pub fn lasts(&mut self, poll: Duration) -> bool {
        let is_over = self.since.get_or_insert_with(Instant::now).elapsed() >= poll;
        if is_over {
            self.since = None;
        }
        is_over
    }
}

/// Each consumer on a thread of its own, unless it is the only one.
pub fn on_threads(mut consumers: Vec<Consumer>, follow: fn(&mut Consumer)) -> Vec<Consumer> {
    // [snippet consumers]
    match consumers.as_mut_slice() {
        [only] => follow(only),
        several => thread::scope(|scope| {
            for consumer in several {
                scope.spawn(|| follow(consumer));
            }
        }),
    }
    // [end consumers]
    consumers
}

/// Asks the rings again and again. A wait lasts from when they are found empty; the output is flushed when one takes as
/// long as the time-out.
pub fn busy(consumer: &mut Consumer) {
    // [snippet poll_ms of aya-sync]
    // [snippet wakeup of aya-sync]
    let mut pause = Pause::default();

    while !stop::is_over() {
        if consumer.take_turn() != Found::Nothing {
            pause = Pause::default();
        } else if pause.is_worth_a_look() && pause.lasts(consumer.poll) {
            consumer.writer.output.flush();
        }
    }
    // [end wakeup]
    // [end poll_ms]
}

/// Sleeps until a ring wakes or the time-out is over; only the latter if nobody wakes.
pub fn asleep(consumer: &mut Consumer) {
    match consumer.epoll {
        Epoll::Level => by_level(consumer),
        Epoll::Edge => by_edges(consumer),
    }
}

/// In poll(2), which returns at once where a ring holds something.
fn by_level(consumer: &mut Consumer) {
    let wait_ms = consumer.poll.as_millis() as libc::c_int;
    // [snippet wakeup of aya-sync]
    let awaited = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut all = vec![awaited(stop::told())];
    if consumer.wakeup != Wakeup::Never {
        all.extend(consumer.rings.iter().map(|ring| awaited(ring.as_raw_fd())));
    }
    // [end wakeup]

    while !stop::is_over() {
        // [snippet poll_ms of aya-sync]
        // [snippet wakeup of aya-sync]
        // SAFETY: the descriptors are there, and open.
        let ready = unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, wait_ms) };
        // [end wakeup]
        // [end poll_ms]
        take_after(consumer, ready);
    }
}

/// Given how many descriptors ended a wait.
fn take_after(consumer: &mut Consumer, ready: libc::c_int) {
    if ready < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            consumer.fail(format!("cannot wait for the ring: {error}"));
        }
    } else if !consumer.take_all() && ready == 0 {
        consumer.writer.output.flush();
    }
}

/// In an epoll, which returns only where a ring has woken since.
fn by_edges(consumer: &mut Consumer) {
    let wait_ms = consumer.poll.as_millis() as libc::c_int;
    let epoll = match epoll_for(&consumer.rings) {
        Ok(epoll) => epoll,
        Err(error) => return consumer.fail(format!("cannot wait for the ring: {error}")),
    };

    while !stop::is_over() {
        // [snippet epoll of aya-sync]
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: there is room for one event.
        let ready = unsafe { libc::epoll_wait(epoll.as_raw_fd(), &raw mut event, 1, wait_ms) };
        // No edge is missed: rings are taken from until a last look finds nothing, and before that Aya
        // stores the consumer's position with sequential consistency.
        take_after(consumer, ready);
        // [end epoll]
    }
}

fn epoll_for(rings: &[Ring]) -> io::Result<OwnedFd> {
    // SAFETY: a plain system call, and a new descriptor is nobody else's.
    let epoll = unsafe { OwnedFd::from_raw_fd(done(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
    let add = |fd: RawFd, events: libc::c_int| {
        let mut event = libc::epoll_event { events: events as u32, u64: 0 };
        // SAFETY: the event is there, and both descriptors are open.
        done(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) })
    };
    add(stop::told(), libc::EPOLLIN)?;
    for ring in rings {
        // [snippet epoll of aya-sync]
        add(ring.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET)?;
        // [end epoll]
    }
    Ok(epoll)
}

fn done(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
