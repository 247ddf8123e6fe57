// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What passes between the kernel side and the user side: events, counters, and what is set before loading.
#![no_std]

pub const COMM_BYTES: usize = 16;
pub const NAME_BYTES: usize = 64;
pub const JOIN_ENTRIES: u32 = 10240;
pub const SYSCOUNT_ENTRIES: u32 = 1024;

/// Of fs-profile: entries of its maps, slots of a latency, frames of a stack, and when a call is slow.
pub const FILES: u32 = 1024;
pub const TOP_FILES: u32 = 64;
pub const SLOTS: usize = 40;
pub const FRAMES: usize = 32;
pub const SLOW_NS: u64 = 1_000_000;

/// The ops of an event, and the indices of what is counted by op.
pub const READ: u32 = 0;
pub const WRITE: u32 = 1;
pub const OPS: usize = 2;

/// The rw event as it travels through the ring and into binary output; see ../../../README.md for each field.
#[repr(C, packed)]
pub struct RwEvent {
    pub enter_ns: u64,
    pub exit_ns: u64,
    pub offset: u64,
    pub count: u64,
    pub ret: i64,
    pub inode: u64,
    pub dev: u32,
    pub pid: u32,
    pub tid: u32,
    pub op: u32,
    pub flags: u32,
    pub uid: u32,
    pub comm: [u8; COMM_BYTES],
    pub name: [u8; NAME_BYTES],
    pub payload_len: u32,
}

const _: () = assert!(size_of::<RwEvent>() == 156, "the contract fixes the event at 156 bytes");

/// The most payload bytes that can be asked for.
pub const MOST_PAYLOAD: u32 = 16384;
/// With that.
pub const LONGEST_EVENT: usize = size_of::<RwEvent>() + MOST_PAYLOAD as usize;

/// In the place of how many bytes in the ring wake its consumer, which is 1 at least and no more than a ring has.
pub const WAKE_ADAPTIVELY: u32 = 0;
pub const NEVER_WAKE: u32 = u32::MAX;

/// In the place of how many rings there are.
pub const BY_CPU: u32 = 0;

/// What the rw programs count, on each CPU.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RwCounters {
    /// By op; includes the two kinds of loss below.
    pub intercepted: [u64; OPS],
    pub ring_full: u64,
    pub map_full: u64,
}

/// What fs-profile keeps of a file's calls of one op.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FsKey {
    pub dev: u32,
    pub op: u32,
    pub inode: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct FsLatency {
    pub count: u64,
    pub bytes: u64,
    pub total_ns: u64,
    pub max_ns: u64,
    /// By the duration's logarithm to base 2.
    pub slots: [u64; SLOTS],
    pub name: [u8; NAME_BYTES],
}

/// What it keeps of a file, for as long as there is room.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FsFile {
    pub inode: u64,
    pub dev: u32,
    /// 0: keys are compared byte by byte.
    pub unused: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct FsUse {
    pub calls: u64,
    pub bytes: u64,
}

/// What it sends of a slow call. In the ring the stack ends with its last frame.
#[repr(C)]
pub struct FsSlow {
    pub call: FsSlowCall,
    pub stack: [u64; FRAMES],
}

#[repr(C)]
pub struct FsSlowCall {
    pub enter_ns: u64,
    pub exit_ns: u64,
    pub ret: i64,
    pub inode: u64,
    pub dev: u32,
    pub pid: u32,
    pub tid: u32,
    pub op: u32,
}

/// What it counts, on each CPU.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FsCounters {
    /// By op; includes what the join map refused.
    pub intercepted: [u64; OPS],
    /// Of those; includes what the ring refused.
    pub slow: u64,
    pub ring_full: u64,
    pub map_full: u64,
}

/// A comm as the programs compare it: NUL-padded like the kernel's own, so that comparing two words is comparing the
/// strings.
pub type CommWords = [u64; COMM_BYTES / 8];

/// Where, in the structures of the running kernel, the members lie that the programs read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Offsets {
    pub task_files: u32,
    pub files_fdt: u32,
    pub fdt_max_fds: u32,
    pub fdt_fd: u32,
    pub file_inode: u32,
    pub file_flags: u32,
    pub file_pos: u32,
    /// `f_path.dentry`
    pub file_dentry: u32,
    /// `d_name.name`
    pub dentry_name: u32,
    pub inode_sb: u32,
    pub inode_ino: u32,
    pub sb_dev: u32,
}

/// Where the contexts of raw_syscalls:sys_* and syscalls:sys_*_NAME have what the programs read. The verifier wants
/// these in the instructions themselves, so they cannot be set before loading; that the kernel agrees is checked.
pub mod context {
    pub const ID: usize = 8;
    pub const ARGS: usize = 16;
    pub const RET: usize = 16;
}
