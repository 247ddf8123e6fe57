// SPDX-License-Identifier: Apache-2.0
//! One run of a tool: what was asked, and what came of it, which the summary reports.

use std::collections::BTreeMap;
use std::io::{self, Write};

use shared::{FsLatency, FsUse};

use crate::Setup;
use crate::options::{Format, Options, Tool};
use crate::output::Output;
use crate::record::{self, Line};
use crate::{kernel, stop};

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
    pub options: Options,
    pub output: Output,
    pub(crate) intercepted: Vec<(&'static str, u64)>,
    pub(crate) lost: Lost,
    pub(crate) syscalls: Option<BTreeMap<u64, u64>>,
    pub(crate) times: Times,
    /// The first.
    pub(crate) error: Option<String>,
    line: Line,
}

fn not_counted() -> Result<u64, String> {
    Err("the run failed before they were counted".to_string())
}

impl Run {
    pub(crate) fn new(setup: Setup, options: Options, output: Output, start_ns: u64) -> Run {
        Run {
            setup,
            options,
            output,
            intercepted: Vec::new(),
            lost: Lost { ring_full: 0, map_full: 0, recursion: not_counted(), missed: not_counted() },
            syscalls: None,
            times: Times { start: start_ns, ..Times::default() },
            error: None,
            line: Line::new(),
        }
    }

    pub fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// Whether to stop waiting for events.
    #[inline]
    pub fn is_over(&self) -> bool {
        stop::is_told() || self.output.error.is_some() || self.error.is_some()
    }

    /// An event, as it lies in the ring.
    #[inline]
    pub fn record(&mut self, slot: &[u8]) {
        match self.options.format {
            Format::Text if self.options.tool == Tool::FsProfile => self.line.write_slow(&mut self.output, slot),
            Format::Text => self.line.write_event(&mut self.output, slot),
            Format::Binary => record::write_event_binary(&mut self.output, slot),
        }
    }

    pub(crate) fn record_count(&mut self, number: u64, count: u64) {
        match self.options.format {
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

    /// 0 for rw-tracer, which keeps none.
    pub(crate) fn kept_payload(&self) -> u32 {
        if self.options.tool == Tool::RwTracerAll { self.options.payload_bytes } else { 0 }
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
        self.output.finish();
        self.times.drained = stop::monotonic_ns();
        if let Some(error) = &self.output.error {
            self.fail(format!("cannot write {}: {error}", self.options.output.display()));
        }
    }
}
