// SPDX-License-Identifier: Apache-2.0
//! Who takes events out of a ring, or of all, and into the output.

use std::mem;
use std::time::Duration;

use bytes::BytesMut;
use shared::{FsLatency, FsUse};

use crate::Ring;
use crate::options::{Buffer, Epoll, Format, Options, Tool, Wakeup};
use crate::output::Output;
use crate::perf::{self, PerfBuffer};
use crate::record::{self, Line};
use crate::stop;

/// How many events are taken out of a ring before another one's turn comes.
const TURN: usize = 1024;

/// Events in, records out.
pub struct Writer {
    pub output: Output,
    line: Line,
    format: Format,
    is_profile: bool,
    payload_bytes: usize,
    /// What events of a perf buffer are copied into; none of a ring's.
    batch: Vec<BytesMut>,
}

/// What there was to take out of a ring, or the most of several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    Nothing,
    /// And then no more.
    Some,
    More,
}

impl Writer {
    pub(crate) fn new(output: Output, options: &Options) -> Writer {
        Writer {
            output,
            line: Line::new(),
            format: options.format,
            is_profile: options.tool == Tool::FsProfile,
            payload_bytes: options.kept_payload() as usize,
            batch: if options.buffer == Buffer::Perf { perf::batch() } else { Vec::new() },
        }
    }

    /// An event, as it lies in the ring.
    #[inline]
    pub fn record(&mut self, slot: &[u8]) {
        match self.format {
            Format::Text if self.is_profile => self.line.write_slow(&mut self.output, slot),
            Format::Text => self.line.write_event(&mut self.output, slot, self.payload_bytes),
            Format::Binary => record::write_event_binary(&mut self.output, slot, self.payload_bytes),
        }
    }

    pub(crate) fn record_count(&mut self, number: u64, count: u64) {
        match self.format {
            Format::Text => self.line.write_count(&mut self.output, number, count),
            Format::Binary => record::write_count_binary(&mut self.output, number, count),
        }
    }

    pub(crate) fn record_latency(&mut self, dev: u32, inode: u64, op: u32, latency: &FsLatency) {
        self.line.write_latency(&mut self.output, dev, inode, op, latency);
    }

    pub(crate) fn record_top(&mut self, dev: u32, inode: u64, used: &FsUse) {
        self.line.write_top(&mut self.output, dev, inode, used);
    }

    /// Takes a turn's events at most, and none once the run is over.
    #[inline]
    pub fn take(&mut self, ring: &mut Ring) -> Found {
        let ring = match ring {
            Ring::Bpf(ring) => ring,
            Ring::Perf(_) if stop::is_over() => return Found::More,
            Ring::Perf(buffer) => return self.take_batch(buffer),
        };
        for taken in 0..TURN {
            if stop::is_over() {
                break;
            }
            let Some(event) = ring.next() else {
                return if taken > 0 { Found::Some } else { Found::Nothing };
            };
            self.record(&event);
        }
        Found::More
    }

    /// Takes as many events of a perf buffer as are copied at once.
    fn take_batch(&mut self, buffer: &mut PerfBuffer) -> Found {
        let mut batch = mem::take(&mut self.batch);
        let read = perf::read(buffer, &mut batch);
        for event in &batch[..read] {
            self.record(event);
        }
        let found = match read {
            0 => Found::Nothing,
            _ if read < batch.len() => Found::Some,
            _ => Found::More,
        };
        self.batch = batch;
        found
    }
}

pub struct Consumer {
    pub rings: Vec<Ring>,
    pub writer: Writer,
    pub wakeup: Wakeup,
    pub epoll: Epoll,
    /// How long a wait for the rings is at most.
    pub poll: Duration,
    /// The first.
    pub(crate) error: Option<String>,
}

impl Consumer {
    pub(crate) fn new(rings: Vec<Ring>, writer: Writer, options: &Options) -> Consumer {
        let Options { wakeup, epoll, poll, .. } = *options;
        Consumer { rings, writer, wakeup, epoll, poll, error: None }
    }

    pub fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
        stop::give_up();
    }

    /// Takes a turn's events of each ring at most.
    #[inline]
    pub fn take_turn(&mut self) -> Found {
        let mut found = Found::Nothing;
        for ring in &mut self.rings {
            found = found.max(self.writer.take(ring));
        }
        found
    }

    /// Takes until the rings have been empty or the run is over; tells whether there was anything.
    pub fn take_all(&mut self) -> bool {
        let first = self.take_turn();
        let mut found = first;
        while found == Found::More && !stop::is_over() {
            found = self.take_turn();
        }
        first != Found::Nothing
    }

    /// Once nothing is put into the rings any more.
    pub(crate) fn drain(&mut self) {
        for ring in &mut self.rings {
            match ring {
                Ring::Bpf(ring) => {
                    while let Some(event) = ring.next() {
                        self.writer.record(&event);
                    }
                }
                Ring::Perf(buffer) => while self.writer.take_batch(buffer) == Found::More {},
            }
        }
    }
}
