// SPDX-License-Identifier: Apache-2.0

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use shared::{COMM_BYTES, CommWords, MOST_PAYLOAD};

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

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Wakeup {
    #[default]
    Adaptive,
    Never,
    /// From so many bytes in the ring on.
    Watermark(u32),
    Poll,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Rings {
    Count(u32),
    Cpu,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Consumers {
    #[default]
    One,
    Ring,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Records {
    #[default]
    Fixed,
    Variable,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Buffer {
    #[default]
    Ring,
    Perf,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Epoll {
    #[default]
    Level,
    Edge,
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

const WAKEUPS: [(&str, Wakeup); 3] = [("adaptive", Wakeup::Adaptive), ("never", Wakeup::Never), ("poll", Wakeup::Poll)];
const WATERMARK: &str = "watermark:";
const CONSUMERS: [(&str, Consumers); 2] = [("one", Consumers::One), ("ring", Consumers::Ring)];
const RECORDS: [(&str, Records); 2] = [("fixed", Records::Fixed), ("variable", Records::Variable)];
const BUFFERS: [(&str, Buffer); 2] = [("ring", Buffer::Ring), ("perf", Buffer::Perf)];
const EPOLLS: [(&str, Epoll); 2] = [("level", Epoll::Level), ("edge", Epoll::Edge)];

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
    pub wakeup: Wakeup,
    pub rings: Rings,
    pub consumers: Consumers,
    pub output_bytes: u32,
    pub records: Records,
    pub buffer: Buffer,
    pub epoll: Epoll,
}

impl Default for Rings {
    fn default() -> Rings {
        Rings::Count(1)
    }
}

struct Rule {
    name: &'static str,
    supported: &'static str,
    /// The value of what may be left out.
    usual: Option<&'static str>,
    /// None if the value is not supported.
    set: fn(&OsStr, &mut Options) -> Option<()>,
}

const fn required(name: &'static str, supported: &'static str, set: fn(&OsStr, &mut Options) -> Option<()>) -> Rule {
    Rule { name, supported, usual: None, set }
}

const fn knob(
    name: &'static str,
    supported: &'static str,
    usual: &'static str,
    set: fn(&OsStr, &mut Options) -> Option<()>,
) -> Rule {
    Rule { name, supported, usual: Some(usual), set }
}

const RULES: [Rule; 16] = [
    required("--tool", "syscount, rw-tracer, rw-tracer-all, fs-profile", |v, o| put(&mut o.tool, one_of(v, &TOOLS))),
    required("--attach", "tracepoint, kprobe, fentry", |v, o| put(&mut o.attach, one_of(v, &ATTACHES))),
    required("--target-comm", "1 to 15 bytes", |v, o| put(&mut o.target_comm, comm(v))),
    required("--ringbuf-bytes", "a power of two, 4096 to 1073741824", |v, o| {
        put(&mut o.ringbuf_bytes, number(v, 4096, 1 << 30).filter(|n| n.is_power_of_two()))
    }),
    required("--poll-ms", "1 to 60000", |v, o| {
        put(&mut o.poll, number(v, 1, 60000).map(|n| Duration::from_millis(n.into())))
    }),
    required("--payload-bytes", "1 to 16384", |v, o| put(&mut o.payload_bytes, number(v, 1, MOST_PAYLOAD))),
    required("--format", "text, binary", |v, o| put(&mut o.format, one_of(v, &FORMATS))),
    required("--output", "the path of a file", |v, o| put(&mut o.output, path(v))),
    required("--summary", "the path of a file", |v, o| put(&mut o.summary, path(v))),
    knob("--wakeup", "adaptive, never, watermark:BYTES (1 to ringbuf-bytes - 1), poll", "adaptive", |v, o| {
        put(&mut o.wakeup, one_of(v, &WAKEUPS).or_else(|| watermark(v)))
    }),
    knob("--rings", "1 to 64, cpu", "1", |v, o| put(&mut o.rings, rings(v))),
    knob("--consumers", "one, ring", "one", |v, o| put(&mut o.consumers, one_of(v, &CONSUMERS))),
    knob("--output-bytes", "4096 to 67108864", "65536", |v, o| put(&mut o.output_bytes, number(v, 4096, 1 << 26))),
    knob("--records", "fixed, variable", "fixed", |v, o| put(&mut o.records, one_of(v, &RECORDS))),
    knob("--buffer", "ring, perf", "ring", |v, o| put(&mut o.buffer, one_of(v, &BUFFERS))),
    knob("--epoll", "level, edge", "level", |v, o| put(&mut o.epoll, one_of(v, &EPOLLS))),
];

impl Options {
    /// Every option must be there, unless it may be left out, and valid; the error is a line for the user.
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut given = [const { None }; RULES.len()];

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
            if given[i].is_some() {
                return refused("is given twice", "each option once");
            }
            given[i] = Some(value.clone());
        }
        for (rule, given) in RULES.iter().zip(&given) {
            let name = OsStr::new(rule.name);
            let Some(value) = given.as_deref().or(rule.usual.map(OsStr::new)) else {
                return Err(refusal(name, None, "is missing", rule.supported));
            };
            if (rule.set)(value, &mut options).is_none() {
                return Err(refusal(name, Some(value), "is not supported", rule.supported));
            }
        }
        for (rule, given) in RULES.iter().zip(&given) {
            if let Some((fault, supported)) = options.combination_fault(rule, given.as_deref()) {
                return Err(refusal(OsStr::new(rule.name), given.as_deref(), &fault, supported));
            }
        }
        Ok(options)
    }

    /// Why a value, supported as it is, does not go with the others, and what does.
    fn combination_fault(&self, rule: &Rule, given: Option<&OsStr>) -> Option<(String, &'static str)> {
        let no_ring = matches!(self.tool, Tool::Syscount | Tool::FsProfile);
        let useless = no_ring || (self.tool == Tool::RwTracer && rule.name == "--records");
        let by_tool = || format!("is not supported by {}", self.tool_name());
        match rule.name {
            "--attach" if self.tool == Tool::Syscount && self.attach != Attach::Tracepoint => {
                Some((by_tool(), "tracepoint"))
            }
            "--format" if self.tool == Tool::FsProfile && self.format != Format::Text => Some((by_tool(), "text")),
            _ if useless && given.is_some() && rule.usual.is_some_and(|usual| given != Some(OsStr::new(usual))) => {
                Some((by_tool(), rule.usual.unwrap_or_default()))
            }
            "--wakeup" if matches!(self.wakeup, Wakeup::Watermark(bytes) if bytes >= self.ringbuf_bytes) => {
                Some(("is more than the ring holds".to_string(), rule.supported))
            }
            "--consumers" if self.consumers == Consumers::Ring && self.rings == Rings::Count(1) => {
                Some(("is not supported with one ring".to_string(), "one"))
            }
            "--epoll" if self.epoll == Epoll::Edge && matches!(self.wakeup, Wakeup::Never | Wakeup::Poll) => {
                Some(("is not supported where nobody is woken".to_string(), "level"))
            }
            _ if self.buffer == Buffer::Perf && self.lacks_perf_buffers(rule) => {
                Some(("is not supported with --buffer perf".to_string(), rule.usual.unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// Whether it is set to what Aya's perf buffers have not: 0.13 has the kernel wake at each event.
    fn lacks_perf_buffers(&self, rule: &Rule) -> bool {
        match rule.name {
            "--wakeup" => self.wakeup != Wakeup::Adaptive,
            "--rings" => self.rings != Rings::Count(1),
            "--records" => self.records != Records::Fixed,
            "--epoll" => self.epoll != Epoll::Level,
            _ => false,
        }
    }

    /// The most payload bytes that an event of the tool has.
    pub fn kept_payload(&self) -> u32 {
        if self.tool == Tool::RwTracerAll { self.payload_bytes } else { 0 }
    }

    /// Whether any knob is set that has to do with the programs in the kernel.
    pub fn has_kernel_knobs(&self) -> bool {
        self.wakeup != Wakeup::Adaptive || self.rings != Rings::Count(1) || self.records != Records::Fixed
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

fn watermark(value: &OsStr) -> Option<Wakeup> {
    let bytes = value.to_str()?.strip_prefix(WATERMARK)?;
    number(OsStr::new(bytes), 1, (1 << 30) - 1).map(Wakeup::Watermark)
}

fn rings(value: &OsStr) -> Option<Rings> {
    if value == "cpu" { Some(Rings::Cpu) } else { number(value, 1, 64).map(Rings::Count) }
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
