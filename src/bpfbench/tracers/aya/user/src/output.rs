// SPDX-License-Identifier: Apache-2.0
//! The output file behind one buffer, which knows at any time how many events are wholly in the file.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::IntoRawFd;
use std::path::Path;

const OUTPUT_BYTES: usize = 65536;
/// More than fit: no tool writes so many so short.
const OUTPUT_RECORDS: usize = 4096;

struct Record {
    end: usize,
    events: u64,
}

pub struct Output {
    /// None when closed.
    file: Option<File>,
    /// What went wrong; nothing is written after that.
    pub error: Option<io::Error>,
    /// Events wholly in the file.
    pub saved: u64,
    /// Events given, but not in the file because of the error.
    pub lost: u64,
    /// Size of the records in the file.
    pub bytes: u64,
    buffer: Box<[u8]>,
    used: usize,
    records: Vec<Record>,
}

impl Output {
    pub fn create(path: &Path) -> io::Result<Output> {
        Ok(Output {
            file: Some(File::create(path)?),
            error: None,
            saved: 0,
            lost: 0,
            bytes: 0,
            buffer: vec![0; OUTPUT_BYTES].into(),
            used: 0,
            records: Vec::with_capacity(OUTPUT_RECORDS),
        })
    }

    /// Adds a record of so many bytes, at most OUTPUT_BYTES, that stands for so many events, and has it filled in.
    #[inline]
    pub fn add(&mut self, size: usize, events: u64, fill: impl FnOnce(&mut [u8])) {
        if self.used + size > OUTPUT_BYTES || self.records.len() == OUTPUT_RECORDS {
            self.flush();
        }
        if self.error.is_some() {
            self.lost += events;
            return;
        }
        fill(&mut self.buffer[self.used..][..size]);
        self.used += size;
        self.records.push(Record { end: self.used, events });
    }

    pub fn flush(&mut self) {
        if self.used > 0 {
            let written = self.write();
            self.account(written);
        }
        self.used = 0;
        self.records.clear();
    }

    /// Returns how many bytes were written; fewer than there are if there was an error.
    fn write(&mut self) -> usize {
        let Some(file) = &mut self.file else { return 0 };
        let mut done = 0;

        while done < self.used {
            match file.write(&self.buffer[done..self.used]) {
                Ok(0) => self.error = Some(ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.error = Some(error),
            }
            if self.error.is_some() {
                break;
            }
        }
        done
    }

    /// Of what was written, the whole records are saved; a part of one is cut off again.
    fn account(&mut self, written: usize) {
        let mut whole = 0;

        for record in &self.records {
            if record.end <= written {
                whole = record.end;
                self.saved += record.events;
            } else {
                self.lost += record.events;
            }
        }
        self.bytes += whole as u64;
        if let (Some(file), Some(_)) = (&self.file, &self.error) {
            // A device or a pipe cannot be cut, and need not be.
            let _ = file.set_len(self.bytes);
        }
    }

    /// Flushes and closes.
    pub fn finish(&mut self) {
        self.flush();
        let Some(file) = self.file.take() else { return };
        // SAFETY: the descriptor is nobody else's any more. (Dropping the file would not tell of an error.)
        if unsafe { libc::close(file.into_raw_fd()) } != 0 && self.error.is_none() {
            self.error = Some(io::Error::last_os_error());
        }
    }
}
