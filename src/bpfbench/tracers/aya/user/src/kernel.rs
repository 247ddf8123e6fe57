// SPDX-License-Identifier: Apache-2.0
//! The programs in the kernel: loading, attaching, detaching.

use std::error::Error;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::Map;
use aya::programs::trace_point::TracePointLink;
use aya::programs::{ProgramError, TracePoint};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_info};

use crate::message::reason;
use crate::run::Lost;

/// A program and the tracepoint it belongs to.
pub struct Probe {
    pub program: &'static str,
    pub category: &'static str,
    pub tracepoint: &'static str,
}

/// The object's maps and programs, all of them in the kernel.
pub fn load(loader: &mut EbpfLoader<'_>, object: &[u8], probes: &[Probe]) -> Result<Ebpf, String> {
    // Without its statistics, so that the verifier's last word is its reason.
    loader.verifier_log_level(VerifierLogLevel::DEBUG);
    let mut ebpf = loader.load(object).map_err(|error| format!("cannot load: {}", reason(&error)))?;
    for probe in probes {
        program(&mut ebpf, probe)
            .and_then(TracePoint::load)
            .map_err(|error| format!("cannot load {}: {}", probe.program, reason(&error)))?;
    }
    Ok(ebpf)
}

fn program<'a>(ebpf: &'a mut Ebpf, probe: &Probe) -> Result<&'a mut TracePoint, ProgramError> {
    ebpf.program_mut(probe.program).expect("a probe's program is in its object").try_into()
}

/// In the order given. What is attached is detached when the links are dropped, which happens in the same order.
pub fn attach(ebpf: &mut Ebpf, probes: &[Probe], links: &mut Vec<TracePointLink>) -> Result<(), String> {
    for probe in probes {
        let link = program(ebpf, probe).and_then(|program| {
            let id = program.attach(probe.category, probe.tracepoint)?;
            program.take_link(id)
        });
        links.push(link.map_err(|error| format!("cannot attach {}: {}", probe.program, reason(&error)))?);
    }
    Ok(())
}

/// A program that is detached may still be running on another CPU. It runs inside an RCU read-side section, and this
/// waits for all of those.
pub fn wait_for_programs() -> io::Result<()> {
    // SAFETY: a plain system call.
    match unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A map of the object, for user space to use.
pub fn take_map(ebpf: &mut Ebpf, name: &str) -> Map {
    ebpf.take_map(name).expect("a map is in its object, and taken once")
}

/// Adds how many runs of a program the kernel skipped, and returns it.
pub fn count_recursion(ebpf: &mut Ebpf, probe: &Probe, lost: &mut Lost) -> Result<u64, String> {
    let info = program_info(ebpf, probe)
        .map_err(|error| format!("cannot read the recursion_misses of {}: {}", probe.program, reason(&*error)))?;
    lost.recursion = recursion_is_counted().then(|| lost.recursion.unwrap_or(0) + info.recursion_misses);
    Ok(info.recursion_misses)
}

/// Aya's own ProgramInfo has no recursion_misses.
fn program_info(ebpf: &mut Ebpf, probe: &Probe) -> Result<bpf_prog_info, Box<dyn Error>> {
    let fd = program(ebpf, probe)?.fd()?.as_fd().as_raw_fd();
    // SAFETY: both are plain data, of which zeros are valid; the kernel writes no more than info_len bytes.
    unsafe {
        let mut info: bpf_prog_info = MaybeUninit::zeroed().assume_init();
        let mut attr: bpf_attr = MaybeUninit::zeroed().assume_init();
        attr.info.bpf_fd = fd as u32;
        attr.info.info_len = size_of_val(&info) as u32;
        attr.info.info = &raw mut info as u64;
        match libc::syscall(libc::SYS_bpf, bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &raw mut attr, size_of::<bpf_attr>()) {
            0 => Ok(info),
            _ => Err(io::Error::last_os_error().into()),
        }
    }
}

/// Only from 6.7 on does the kernel count the skipped runs of tracepoint programs; the field is older, and then 0. No
/// feature tells.
fn recursion_is_counted() -> bool {
    // SAFETY: the kernel fills the structure in.
    let name = unsafe {
        let mut name = MaybeUninit::<libc::utsname>::zeroed();
        libc::uname(name.as_mut_ptr());
        name.assume_init()
    };
    let release: String = name.release.iter().map(|c| *c as u8 as char).collect();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= (6, 7))
}
