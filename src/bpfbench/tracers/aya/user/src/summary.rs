// SPDX-License-Identifier: Apache-2.0
//! The JSON summary. Its file is made beside the final one, with its space reserved: the disk may be full when it is
//! due.

use std::ffi::{CString, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::run::Run;
use crate::{stop, version_of};

const RESERVED_BYTES: libc::off_t = 32768;

pub struct Summary {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Summary {
    pub fn create(path: &Path) -> io::Result<Summary> {
        let mut temporary: OsString = path.into();
        temporary.push(".tmp");
        stop::remove_when_killed(Some(CString::new(temporary.clone().into_vec())?));
        let file = File::create(&temporary).inspect_err(|_| stop::remove_when_killed(None))?;
        // Not every file system can; the summary then takes its chance.
        // SAFETY: a plain system call.
        unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, RESERVED_BYTES) };
        Ok(Summary { path: path.into(), temporary: temporary.into(), file })
    }

    pub fn discard(self) {
        // There is an error to report already.
        let _ = fs::remove_file(&self.temporary);
        stop::remove_when_killed(None);
    }

    pub fn write(mut self, run: &Run) -> io::Result<()> {
        let written =
            self.file.write_all(render(run).as_bytes()).and_then(|()| fs::rename(&self.temporary, &self.path));
        if written.is_err() {
            self.discard();
        } else {
            stop::remove_when_killed(None);
        }
        written
    }
}

fn render(run: &Run) -> String {
    let Run { setup, options, lost, times, .. } = run;
    let (saved, not_written) = run.saved_and_lost();
    let intercepted = members(run.intercepted.iter().map(|(kind, events)| (kind, events)));
    let not_always = [("recursion", &lost.recursion), ("missed", &lost.missed)];
    let [recursion, missed] = not_always.map(|(_, count)| count.as_ref().map_or("null".to_string(), u64::to_string));
    let reasons = not_always.into_iter().filter_map(|(cause, count)| Some((cause, string(count.as_ref().err()?))));
    let unavailable = members(reasons);
    let syscalls = run.syscalls.as_ref().map_or("null".to_string(), |counts| members(counts.iter()));
    let versions = members(setup.libraries.iter().map(|library| (library, string(version_of(library)))));
    let ready = times.ready.map_or("null".to_string(), |ready| ready.to_string());
    let error = run.error.as_deref().map_or("null".to_string(), string);
    format!(
        r#"{{
  "contract": 2,
  "setup": "{}", "tool": "{}", "attach": "{}", "format": "{}",
  "intercepted": {intercepted},
  "saved": {},
  "lost": {{"ring_full": {}, "map_full": {}, "recursion": {recursion}, "missed": {missed}, "output_error": {}}},
  "unavailable": {unavailable},
  "syscalls": {syscalls},
  "bytes": {},
  "versions": {versions},
  "times_ns": {{"start": {}, "ready": {ready}, "stop": {}, "drained": {}}},
  "error": {error}
}}
"#,
        setup.name,
        options.tool_name(),
        options.attach_name(),
        options.format_name(),
        saved,
        lost.ring_full,
        lost.map_full,
        not_written,
        run.sink.bytes(),
        times.start,
        times.stop,
        times.drained,
    )
}

/// An object; its values are JSON already.
fn members<K: Display, V: Display>(members: impl Iterator<Item = (K, V)>) -> String {
    let members: Vec<_> = members.map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn string(string: &str) -> String {
    let escaped: String = string
        .chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => vec!['?'],
            c => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}
