// SPDX-License-Identifier: Apache-2.0

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use shared::{COMM_BYTES, CommWords};

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Tool {
    #[default]
    Syscount,
    RwTracer,
    RwTracerAll,
    FsProfile,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Attach {
    #[default]
    Tracepoint,
    Kprobe,
    Fentry,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Format {
    #[default]
    Text,
    Binary,
}

const TOOLS: [(&str, Tool); 4] = [
    ("syscount", Tool::Syscount),
    ("rw-tracer", Tool::RwTracer),
    ("rw-tracer-all", Tool::RwTracerAll),
    ("fs-profile", Tool::FsProfile),
];
const ATTACHES: [(&str, Attach); 3] =
    [("tracepoint", Attach::Tracepoint), ("kprobe", Attach::Kprobe), ("fentry", Attach::Fentry)];
const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("binary", Format::Binary)];

#[derive(Default)]
pub struct Options {
    pub tool: Tool,
    pub attach: Attach,
    pub format: Format,
    /// NUL-padded
    pub target_comm: [u8; COMM_BYTES],
    pub ringbuf_bytes: u32,
    pub poll: Duration,
    pub payload_bytes: u32,
    pub output: PathBuf,
    pub summary: PathBuf,
}

struct Rule {
    name: &'static str,
    supported: &'static str,
    /// None if the value is not supported.
    set: fn(&OsStr, &mut Options) -> Option<()>,
}

const RULES: [Rule; 9] = [
    Rule {
        name: "--tool",
        supported: "syscount, rw-tracer, rw-tracer-all, fs-profile",
        set: |v, o| put(&mut o.tool, one_of(v, &TOOLS)),
    },
    Rule {
        name: "--attach",
        supported: "tracepoint, kprobe, fentry",
        set: |v, o| put(&mut o.attach, one_of(v, &ATTACHES)),
    },
    Rule { name: "--target-comm", supported: "1 to 15 bytes", set: |v, o| put(&mut o.target_comm, comm(v)) },
    Rule {
        name: "--ringbuf-bytes",
        supported: "a power of two, 4096 to 1073741824",
        set: |v, o| put(&mut o.ringbuf_bytes, number(v, 4096, 1 << 30).filter(|n| n.is_power_of_two())),
    },
    Rule {
        name: "--poll-ms",
        supported: "1 to 60000",
        set: |v, o| put(&mut o.poll, number(v, 1, 60000).map(|n| Duration::from_millis(n.into()))),
    },
    Rule {
        name: "--payload-bytes",
        supported: "1 to 16384",
        set: |v, o| put(&mut o.payload_bytes, number(v, 1, 16384)),
    },
    Rule { name: "--format", supported: "text, binary", set: |v, o| put(&mut o.format, one_of(v, &FORMATS)) },
    Rule { name: "--output", supported: "the path of a file", set: |v, o| put(&mut o.output, path(v)) },
    Rule { name: "--summary", supported: "the path of a file", set: |v, o| put(&mut o.summary, path(v)) },
];

impl Options {
    /// Every option must be there and valid; the error is a line for the user.
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut given = [false; RULES.len()];

        while let Some(name) = arguments.next() {
            let value = arguments.next();
            let refused = |fault, supported| Err(refusal(&name, value.as_deref(), fault, supported));

            let Some(i) = RULES.iter().position(|rule| name == rule.name) else {
                let names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
                return refused("is an unknown option", &names.join(", "));
            };
            let Some(value) = &value else {
                return refused("lacks its value", RULES[i].supported);
            };
            if given[i] {
                return refused("is given twice", "each option once");
            }
            if (RULES[i].set)(value, &mut options).is_none() {
                return refused("is not supported", RULES[i].supported);
            }
            given[i] = true;
        }
        if let Some(i) = given.iter().position(|given| !given) {
            return Err(refusal(OsStr::new(RULES[i].name), None, "is missing", RULES[i].supported));
        }
        if options.tool == Tool::Syscount && options.attach != Attach::Tracepoint {
            let attach = OsStr::new(options.attach_name());
            return Err(refusal(OsStr::new("--attach"), Some(attach), "is not supported by syscount", "tracepoint"));
        }
        if options.tool == Tool::FsProfile && options.format != Format::Text {
            let format = OsStr::new(options.format_name());
            return Err(refusal(OsStr::new("--format"), Some(format), "is not supported by fs-profile", "text"));
        }
        Ok(options)
    }

    /// The target's comm as the programs compare it.
    pub fn target_words(&self) -> CommWords {
        let mut words = CommWords::default();
        for (word, bytes) in words.iter_mut().zip(self.target_comm.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        }
        words
    }

    pub fn tool_name(&self) -> &'static str {
        name_of(self.tool, &TOOLS)
    }

    pub fn attach_name(&self) -> &'static str {
        name_of(self.attach, &ATTACHES)
    }

    pub fn format_name(&self) -> &'static str {
        name_of(self.format, &FORMATS)
    }
}

fn refusal(name: &OsStr, value: Option<&OsStr>, fault: &str, supported: &str) -> String {
    let (name, value) = (name.to_string_lossy(), value.unwrap_or_default().to_string_lossy());
    format!("{name} '{value}' {fault}; supported: {supported}")
}

fn put<T>(to: &mut T, value: Option<T>) -> Option<()> {
    *to = value?;
    Some(())
}

fn one_of<T: Copy>(value: &OsStr, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| value == *name).map(|(_, choice)| *choice)
}

fn name_of<T: PartialEq>(choice: T, choices: &[(&'static str, T)]) -> &'static str {
    choices.iter().find(|(_, other)| *other == choice).map_or("", |(name, _)| name)
}

/// Decimal digits and nothing else: `parse` would take a sign.
fn number(value: &OsStr, min: u32, max: u32) -> Option<u32> {
    let digits =
        value.to_str().filter(|digits| digits.len() <= 10 && digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    digits.parse().ok().filter(|n| (min..=max).contains(n))
}

fn comm(value: &OsStr) -> Option<[u8; COMM_BYTES]> {
    let mut comm = [0; COMM_BYTES];
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() >= COMM_BYTES {
        return None;
    }
    comm[..bytes.len()].copy_from_slice(bytes);
    Some(comm)
}

fn path(value: &OsStr) -> Option<PathBuf> {
    (!value.is_empty()).then(|| value.into())
}
