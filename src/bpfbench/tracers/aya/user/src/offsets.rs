// SPDX-License-Identifier: Apache-2.0
//! What CO-RE relocations do for the other libraries' programs; rustc has no means to emit them.

use shared::{Offsets, context};

use crate::apart::apart;
use crate::btf::Btf;

// The other tracers need no such reader, and memory is measured. It takes and frees some megabytes, by which malloc would
// learn to keep as much for later, of Aya's too: hence apart.

pub fn of_running_kernel() -> Result<Offsets, String> {
    apart(|| offsets(&Btf::of_running_kernel()?))
}

pub fn check_running_kernel() -> Result<(), String> {
    apart(|| check_contexts(&Btf::of_running_kernel()?))
}

fn offsets(btf: &Btf) -> Result<Offsets, String> {
    check_contexts(btf)?;
    Ok(Offsets {
        task_files: btf.offset("task_struct", "files")?,
        files_fdt: btf.offset("files_struct", "fdt")?,
        fdt_max_fds: btf.offset("fdtable", "max_fds")?,
        fdt_fd: btf.offset("fdtable", "fd")?,
        file_inode: btf.offset("file", "f_inode")?,
        file_flags: btf.offset("file", "f_flags")?,
        file_pos: btf.offset("file", "f_pos")?,
        file_dentry: btf.offset("file", "f_path.dentry")?,
        dentry_name: btf.offset("dentry", "d_name.name")?,
        inode_sb: btf.offset("inode", "i_sb")?,
        inode_ino: btf.offset("inode", "i_ino")?,
        sb_dev: btf.offset("super_block", "s_dev")?,
    })
}

fn check_contexts(btf: &Btf) -> Result<(), String> {
    for (structure, member, compiled) in [
        ("trace_event_raw_sys_enter", "id", context::ID),
        ("trace_event_raw_sys_enter", "args", context::ARGS),
        ("trace_event_raw_sys_exit", "ret", context::RET),
    ] {
        let offset = btf.offset(structure, member)?;
        if offset as usize != compiled {
            return Err(format!("{member} of this kernel's {structure} is at {offset}, not at {compiled}"));
        }
    }
    Ok(())
}
