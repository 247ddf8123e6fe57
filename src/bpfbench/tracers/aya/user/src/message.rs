// SPDX-License-Identifier: Apache-2.0
//! What the tracer says on stderr: one line at most.

use std::error::Error;
use std::io::{self, Write};

use aya::programs::ProgramError;

pub fn say(line: &str) {
    let line = line.replace(char::is_control, " ");
    // If nobody listens, the exit status has to do.
    let _ = writeln!(io::stderr(), "tracer: {line}");
}

/// What went wrong, down to what the kernel said. Some of Aya's errors end in their cause, some leave it to be asked.
pub fn reason(error: &(dyn Error + 'static)) -> String {
    if let Some(ProgramError::LoadError { io_error, verifier_log }) = error.downcast_ref() {
        return format!("{io_error}{}", verdict(&verifier_log.to_string()));
    }
    let said = error.to_string();
    let Some(source) = error.source() else { return said };
    match said.strip_suffix(&source.to_string()) {
        Some(before) => format!("{before}{}", reason(source)),
        None => format!("{said}: {}", reason(source)),
    }
}

/// The verifier's log ends in its reason, followed by "processed N insns ...".
fn verdict(log: &str) -> String {
    let said = log.split_once("\nprocessed ").map_or("", |(before, _)| before);
    said.lines().last().map_or(String::new(), |line| format!(": {line}"))
}
