// SPDX-License-Identifier: Apache-2.0
//! One run of a tool: what was asked, and what came of it, which the summary reports.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use crate::consumer::{Consumer, Writer};
use crate::options::{Consumers, Options};
use crate::output::{Output, Sink};
use crate::{Ring, Setup, kernel, stop};

pub struct Lost {
    pub ring_full: u64,
    pub map_full: u64,
    /// These the kernel counts; or why it does not.
    pub recursion: Result<u64, String>,
    pub missed: Result<u64, String>,
}

#[derive(Default)]
pub struct Times {
    pub start: u64,
    pub ready: Option<u64>,
    pub stop: u64,
    pub drained: u64,
}

pub struct Run {
    pub(crate) setup: Setup,
    pub(crate) options: Options,
    pub(crate) sink: Arc<Sink>,
    /// Of the one consumer, when it has ended, with what all others had.
    writer: Option<Writer>,
    pub(crate) intercepted: Vec<(&'static str, u64)>,
    pub(crate) lost: Lost,
    pub(crate) syscalls: Option<BTreeMap<u64, u64>>,
    pub(crate) times: Times,
    /// The first.
    pub(crate) error: Option<String>,
}

fn not_counted() -> Result<u64, String> {
    Err("the run failed before they were counted".to_string())
}

impl Run {
    pub(crate) fn new(setup: Setup, options: Options, sink: Arc<Sink>, start_ns: u64) -> Run {
        Run {
            setup,
            options,
            sink,
            writer: None,
            intercepted: Vec::new(),
            lost: Lost { ring_full: 0, map_full: 0, recursion: not_counted(), missed: not_counted() },
            syscalls: None,
            times: Times { start: start_ns, ..Times::default() },
            error: None,
        }
    }

    pub(crate) fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
        stop::give_up();
    }

    fn new_writer(&self) -> Writer {
        Writer::new(Output::new(self.sink.clone(), self.options.output_bytes as usize), &self.options)
    }

    /// Has the rings followed, by one consumer or one each; returns who did, to drain them.
    pub(crate) fn follow(&mut self, rings: Vec<Ring>) -> Vec<Consumer> {
        let rings = match self.options.consumers {
            Consumers::One => vec![rings],
            Consumers::Ring => rings.into_iter().map(|ring| vec![ring]).collect(),
        };
        let consumer = |rings| Consumer::new(rings, self.new_writer(), &self.options);
        let consumers = rings.into_iter().map(consumer).collect();
        if stop::is_over() { consumers } else { (self.setup.follow)(consumers) }
    }

    /// Takes over what a consumer has done.
    pub(crate) fn absorb(&mut self, consumer: Consumer) {
        if let Some(error) = consumer.error {
            self.fail(error);
        }
        match &mut self.writer {
            Some(writer) => writer.output.absorb(consumer.writer.output),
            None => self.writer = Some(consumer.writer),
        }
    }

    /// For what is no event of a ring.
    pub(crate) fn writer(&mut self) -> &mut Writer {
        if self.writer.is_none() {
            self.writer = Some(self.new_writer());
        }
        self.writer.as_mut().expect("it has just been made")
    }

    /// Events wholly in the output, and those that are not because of an error.
    pub(crate) fn saved_and_lost(&self) -> (u64, u64) {
        self.writer.as_ref().map_or((0, 0), |writer| (writer.output.saved, writer.output.lost))
    }

    pub(crate) fn announce_ready(&mut self) {
        if stop::is_told() {
            return;
        }
        self.times.ready = Some(stop::monotonic_ns());
        let mut stdout = io::stdout();
        if let Err(error) = writeln!(stdout, "READY").and_then(|()| stdout.flush()) {
            self.fail(format!("cannot print READY: {error}"));
        }
    }

    pub(crate) fn note_stop(&mut self) {
        self.times.stop = stop::told_ns();
    }

    /// After the tool has detached them.
    pub(crate) fn wait_for_programs(&mut self) {
        if let Err(error) = kernel::wait_for_programs() {
            self.fail(format!("cannot wait for running programs: membarrier: {error}"));
        }
    }

    pub(crate) fn finish_output(&mut self) {
        self.writer().output.flush();
        let error = self.sink.close();
        self.times.drained = stop::monotonic_ns();
        if let Some(error) = error {
            self.fail(format!("cannot write {}: {error}", self.options.output.display()));
        }
    }
}
