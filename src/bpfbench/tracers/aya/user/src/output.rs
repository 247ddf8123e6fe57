// SPDX-License-Identifier: Apache-2.0
//! The output file, and the buffers before it, one of each consumer: it is known at any time how many events are wholly
//! in the file.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::stop;

/// No record is longer, of whichever tool.
const RECORD_MOST: usize = 65536;
/// None is shorter: as many of these as fit into a buffer are known apart.
const RECORD_LEAST: usize = 16;

struct Record {
    end: usize,
    events: u64,
}

/// Where the consumers' buffers are written to.
pub struct Sink {
    file: Mutex<SinkFile>,
    failed: AtomicBool,
}

struct SinkFile {
    /// None when closed.
    file: Option<File>,
    /// What went wrong; nothing is written after that.
    error: Option<io::Error>,
    /// Size of the records in the file.
    bytes: u64,
}

impl Sink {
    pub fn create(path: &Path) -> io::Result<Arc<Sink>> {
        let file = SinkFile { file: Some(File::create(path)?), error: None, bytes: 0 };
        Ok(Arc::new(Sink { file: Mutex::new(file), failed: AtomicBool::new(false) }))
    }

    fn locked(&self) -> MutexGuard<'_, SinkFile> {
        self.file.lock().expect("nobody panics while writing")
    }

    pub fn bytes(&self) -> u64 {
        self.locked().bytes
    }

    /// Closes the file, once all is flushed; returns what went wrong, if anything did.
    pub fn close(&self) -> Option<String> {
        let mut sink = self.locked();
        if let Some(file) = sink.file.take() {
            // SAFETY: the descriptor is nobody else's any more. (Dropping the file would not tell of an error.)
            if unsafe { libc::close(file.into_raw_fd()) } != 0 && sink.error.is_none() {
                sink.error = Some(io::Error::last_os_error());
            }
        }
        sink.error.as_ref().map(io::Error::to_string)
    }
}

impl SinkFile {
    /// Returns how many bytes were written; fewer than there are if there was an error.
    fn write(&mut self, buffer: &[u8]) -> usize {
        let Some(file) = &mut self.file else { return 0 };
        let mut done = 0;

        while done < buffer.len() && self.error.is_none() {
            match file.write(&buffer[done..]) {
                Ok(0) => self.error = Some(ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.error = Some(error),
            }
        }
        done
    }
}

pub struct Output {
    sink: Arc<Sink>,
    /// Events wholly in the file.
    pub saved: u64,
    /// Events given, but not in the file because of an error.
    pub lost: u64,
    buffer: Box<[u8]>,
    /// Bytes that are collected before they are written.
    limit: usize,
    used: usize,
    records: Vec<Record>,
}

impl Output {
    pub fn new(sink: Arc<Sink>, limit: usize) -> Output {
        Output {
            sink,
            saved: 0,
            lost: 0,
            // What is never used of both takes no memory.
            buffer: vec![0; limit.max(RECORD_MOST)].into(),
            limit,
            used: 0,
            records: Vec::with_capacity(limit / RECORD_LEAST),
        }
    }

    /// Adds a record of so many bytes that stands for so many events, and has it filled in. One that is longer than the
    /// limit is written by itself.
    #[inline]
    pub fn add(&mut self, size: usize, events: u64, fill: impl FnOnce(&mut [u8])) {
        // [snippet output_bytes]
        if self.used + size > self.limit || self.records.len() == self.limit / RECORD_LEAST {
            self.flush();
        }
        if self.sink.failed.load(Relaxed) {
            self.lost += events;
            return;
        }
        fill(&mut self.buffer[self.used..][..size]);
        self.used += size;
        self.records.push(Record { end: self.used, events });
        // [end output_bytes]
    }

    pub fn flush(&mut self) {
        if self.used > 0 {
            let sink = self.sink.clone();
            let mut file = sink.locked();
            let written = if file.error.is_some() { 0 } else { file.write(&self.buffer[..self.used]) };
            file.bytes += self.account(written) as u64;
            if file.error.is_some() {
                sink.failed.store(true, Relaxed);
                stop::give_up();
                if let Some(whole) = &file.file {
                    // A device or a pipe cannot be cut, and need not be.
                    let _ = whole.set_len(file.bytes);
                }
            }
        }
        self.used = 0;
        self.records.clear();
    }

    /// Of what was written, the whole records are saved; returns their size.
    fn account(&mut self, written: usize) -> usize {
        let mut whole = 0;

        for record in &self.records {
            if record.end <= written {
                whole = record.end;
                self.saved += record.events;
            } else {
                self.lost += record.events;
            }
        }
        whole
    }

    /// Takes over what another consumer has to say of its events.
    pub fn absorb(&mut self, mut other: Output) {
        other.flush();
        self.saved += other.saved;
        self.lost += other.lost;
    }
}
