// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The hooks of reads and writes, part of each object that watches those. What they do is up to the tool, at the root of
//! the object:
//! - `enter(op, ctx)` of read and write, `enter_at(op, ctx)` of pread64 and pwrite64, and `enter_vfs(op, file, buf, count,
//!   pos)` of vfs_read and vfs_write, whose pos is null for streams, such as pipes: for the target only;
//! - `leave(ctx, op, ret)` of all of them, and of any task.
//!
//! User space loads the programs of one flavour only.

mod tracepoint;
mod vfs;

use shared::Offsets;

pub use tracepoint::{argument, file_of};

/// Set before loading: rustc has no means to emit CO-RE relocations, so user space looks the offsets up in the running
/// kernel's BTF. To the verifier they are constants all the same.
#[no_mangle]
pub static OFFSETS: Offsets = Offsets {
    task_files: 0,
    files_fdt: 0,
    fdt_max_fds: 0,
    fdt_fd: 0,
    file_inode: 0,
    file_flags: 0,
    file_pos: 0,
    file_dentry: 0,
    dentry_name: 0,
    inode_sb: 0,
    inode_ino: 0,
    sb_dev: 0,
};
