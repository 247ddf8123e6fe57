// SPDX-License-Identifier: Apache-2.0
//! What the kernel did not let the programs see, by its own account.

use std::error::Error;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use aya::Ebpf;
use aya::programs::{Program, loaded_links};
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_link_info, bpf_prog_info};

use crate::hook::{Hook, Probe};
use crate::kernel::{bpf, program};
use crate::message::reason;

const NO_RECURSION: &str = "kernels before 6.7 do not count how often they skip tracepoint and kprobe programs";
const NO_MISSED: &str = "kernels before 6.7 do not tell how often they miss a kprobe";
const NO_LINK: &str = "the kernel shows no bpf_link of a kprobe";

/// A number of each probe, or why they are not known.
pub type ByProbe = Result<Vec<u64>, String>;

/// How often the kernel skipped each program.
pub fn recursion(ebpf: &mut Ebpf, probes: &[Probe]) -> ByProbe {
    let of_probe = |probe: &Probe| {
        if !matches!(probe.hook, Hook::Fentry(_) | Hook::Fexit(_)) && !misses_are_counted() {
            return Err(NO_RECURSION.to_string());
        }
        let info = program_info(program(ebpf, probe));
        info.map(|info| info.recursion_misses).map_err(|error| format!("no recursion_misses: {}", reason(&*error)))
    };
    probes.iter().map(of_probe).collect()
}

/// How often the kernel missed each kprobe, for as long as they are attached; it misses no other hook.
pub fn missed(ebpf: &mut Ebpf, probes: &[Probe]) -> ByProbe {
    let of_probe = |probe: &Probe| {
        if !matches!(probe.hook, Hook::Kprobe(_)) {
            return Ok(0);
        }
        if !misses_are_counted() {
            return Err(NO_MISSED.to_string());
        }
        let info = program(ebpf, probe).info().map_err(|error| format!("no program info: {}", reason(&error)))?;
        let link = link_info(info.id()).ok_or(NO_LINK)?;
        // SAFETY: all of the union is plain data, and this is what the kernel fills in for a kprobe.
        Ok(unsafe { link.__bindgen_anon_1.perf_event.__bindgen_anon_1.kprobe.missed })
    };
    probes.iter().map(of_probe).collect()
}

/// Aya keeps a link's descriptor to itself, so the link is found by its program.
fn link_info(program: u32) -> Option<bpf_link_info> {
    // Errors are of links that others have just closed.
    loaded_links().filter_map(Result::ok).find(|link| link.prog_id == program)
}

/// Aya's own ProgramInfo has no recursion_misses.
fn program_info(program: &Program) -> Result<bpf_prog_info, Box<dyn Error>> {
    let fd = program.fd()?.as_fd().as_raw_fd();
    // SAFETY: both are plain data, of which zeros are valid; the kernel writes no more than info_len bytes.
    unsafe {
        let mut info: bpf_prog_info = MaybeUninit::zeroed().assume_init();
        let mut attr: bpf_attr = MaybeUninit::zeroed().assume_init();
        attr.info.bpf_fd = fd as u32;
        attr.info.info_len = size_of_val(&info) as u32;
        attr.info.info = &raw mut info as u64;
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
        Ok(info)
    }
}

/// Only from 6.7 on does the kernel count the skipped runs of tracepoint and kprobe programs, and show how often a kprobe
/// was missed. The fields may be there and 0 before; no feature tells.
fn misses_are_counted() -> bool {
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
