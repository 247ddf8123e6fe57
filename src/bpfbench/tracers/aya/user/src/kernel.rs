// SPDX-License-Identifier: Apache-2.0
//! The programs in the kernel: loading, attaching, detaching.

use std::ffi::c_int;
use std::io;

use aya::maps::Map;
use aya::programs::Program;
use aya::{Btf, Ebpf, EbpfLoader, VerifierLogLevel};
use aya_obj::generated::{bpf_attr, bpf_cmd};

use crate::hook::{Link, Probe};
use crate::message::reason;

/// The object's maps, in the kernel.
pub fn open(loader: &mut EbpfLoader<'_>, object: &[u8]) -> Result<Ebpf, String> {
    // Without its statistics, so that the verifier's last word is its reason.
    loader.verifier_log_level(VerifierLogLevel::DEBUG);
    loader.load(object).map_err(|error| format!("cannot load: {}", reason(&error)))
}

/// These of its programs, too.
pub fn load_programs(ebpf: &mut Ebpf, probes: &[Probe]) -> Result<(), String> {
    let needs_btf = probes.iter().any(|probe| probe.hook.needs_btf());
    let btf = needs_btf.then(Btf::from_sys_fs).transpose();
    let btf = btf.map_err(|error| format!("cannot read the kernel's BTF: {}", reason(&error)))?;
    for probe in probes {
        let loaded = probe.hook.load(program(ebpf, probe), btf.as_ref());
        loaded.map_err(|error| format!("cannot load {}: {}", probe.program, reason(&error)))?;
    }
    Ok(())
}

/// What Aya has no function for.
///
/// # Safety
/// The attributes must be those of the command, and what they point to must be there.
pub unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<c_int> {
    match unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<bpf_attr>()) } {
        ..0 => Err(io::Error::last_os_error()),
        result => Ok(result as c_int),
    }
}

pub fn program<'a>(ebpf: &'a mut Ebpf, probe: &Probe) -> &'a mut Program {
    ebpf.program_mut(probe.program).expect("a probe's program is in its object")
}

/// In the order given. What is attached is detached when the links are dropped, which happens in the same order.
pub fn attach(ebpf: &mut Ebpf, probes: &[Probe], links: &mut Vec<Link>) -> Result<(), String> {
    for probe in probes {
        let link = probe.hook.attach(program(ebpf, probe));
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
