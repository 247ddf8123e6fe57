# SPDX-License-Identifier: Apache-2.0
"""What the tracer needs of the running kernel and BCC does not offer, by the libbpf that libbcc has loaded anyway."""

import ctypes
import os

LIBBPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
LIBC = ctypes.CDLL(None, use_errno=True)

# <linux/prctl.h>, <asm/unistd.h> and <linux/membarrier.h>
PR_SET_NAME = 15
SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283, "ppc64le": 365, "riscv64": 283}
MEMBARRIER_CMD_GLOBAL = 1

# Of struct bpf_prog_info, which is user-space ABI: it grows, but nothing in it moves.
PROG_INFO_BYTES = 256
RECURSION_MISSES = slice(208, 216)

# The kernel members rw.c reads, and the macro by which it knows each offset.
MEMBERS = {
    "TASK_FILES": ("task_struct", "files"),
    "FILES_FDT": ("files_struct", "fdt"),
    "FDT_MAX_FDS": ("fdtable", "max_fds"),
    "FDT_FD": ("fdtable", "fd"),
    "FILE_POS": ("file", "f_pos"),
    "FILE_INODE": ("file", "f_inode"),
    "FILE_DENTRY": ("file", "f_path", "dentry"),
    "FILE_FLAGS": ("file", "f_flags"),
    "DENTRY_NAME": ("dentry", "d_name", "name"),
    "INODE_NUMBER": ("inode", "i_ino"),
    "INODE_SUPER": ("inode", "i_sb"),
    "SUPER_DEV": ("super_block", "s_dev"),
}

BTF_KIND_STRUCT, BTF_KIND_UNION = 4, 5
BTF_KIND_FLAG = 1 << 31


class BtfType(ctypes.Structure):
    """struct btf_type; the members of a struct or union follow it in memory."""

    _fields_ = (("name_off", ctypes.c_uint32), ("info", ctypes.c_uint32), ("size_or_type", ctypes.c_uint32))


class BtfMember(ctypes.Structure):
    """struct btf_member."""

    _fields_ = (("name_off", ctypes.c_uint32), ("type", ctypes.c_uint32), ("offset", ctypes.c_uint32))


LIBBPF.bpf_prog_get_info_by_fd.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)]
LIBBPF.btf__load_vmlinux_btf.restype = ctypes.c_void_p
LIBBPF.btf__free.argtypes = [ctypes.c_void_p]
LIBBPF.btf__find_by_name_kind.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
LIBBPF.btf__resolve_type.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
LIBBPF.btf__type_by_id.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
LIBBPF.btf__type_by_id.restype = ctypes.c_void_p
LIBBPF.btf__name_by_offset.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
LIBBPF.btf__name_by_offset.restype = ctypes.c_char_p


def step_aside(target_comm: bytes) -> None:
    """The tracer must not record itself: should the target bear its name, it takes another one.

    Its process id in the initial PID namespace, which the programs could compare, is not to be had from within another.
    """
    with open("/proc/self/comm", "rb") as own:
        if own.read() == target_comm + b"\n":
            LIBC.prctl(PR_SET_NAME, b"x" if target_comm != b"x" else b"y", 0, 0, 0)


def wait_for_programs() -> None:
    """A detached program may still run on another CPU. It does so in an RCU read-side section: wait for all."""
    number = SYS_MEMBARRIER[os.uname().machine]
    if LIBC.syscall(number, MEMBARRIER_CMD_GLOBAL, 0, 0):
        raise OSError(ctypes.get_errno(), "membarrier: " + os.strerror(ctypes.get_errno()))


def recursion_misses(program_fd: int) -> int:
    """How often the kernel skipped the program, where that is counted."""
    info = ctypes.create_string_buffer(PROG_INFO_BYTES)
    filled = ctypes.c_uint32(PROG_INFO_BYTES)
    if LIBBPF.bpf_prog_get_info_by_fd(program_fd, info, ctypes.byref(filled)):
        raise OSError(ctypes.get_errno(), "bpf_prog_get_info_by_fd: " + os.strerror(ctypes.get_errno()))
    return int.from_bytes(info.raw[RECURSION_MISSES], "little")


def member_offsets() -> dict[str, int]:
    """Each macro of MEMBERS with the offset in bytes, by the running kernel's BTF.

    BCC has no CO-RE and compiles against kernel headers, which need not be the running kernel's: this does at start-up
    what CO-RE does when libbpf loads an object.
    """
    btf = LIBBPF.btf__load_vmlinux_btf()
    if not btf:
        raise LookupError(f"the kernel's BTF cannot be read: {os.strerror(ctypes.get_errno())}")
    try:
        return {macro: _path_offset(btf, struct, path) for macro, (struct, *path) in MEMBERS.items()}
    finally:
        LIBBPF.btf__free(btf)


def _path_offset(btf: int, struct: str, path: list[str]) -> int:
    type_id = LIBBPF.btf__find_by_name_kind(btf, struct.encode(), BTF_KIND_STRUCT)
    offset = 0
    for name in path:
        found = _find_member(btf, type_id, name.encode()) if type_id > 0 else None
        if found is None:
            raise LookupError(f"the kernel's BTF has no struct {struct} with {'.'.join(path)}")
        type_id, step = found
        offset += step
    return offset


def _find_member(btf: int, type_id: int, name: bytes) -> tuple[int, int] | None:
    """(type, offset in bytes) of a member of a struct or union, searched through its anonymous members."""
    type_id = LIBBPF.btf__resolve_type(btf, type_id)
    address = LIBBPF.btf__type_by_id(btf, type_id)
    info = BtfType.from_address(address).info
    if info >> 24 & 0x1F not in (BTF_KIND_STRUCT, BTF_KIND_UNION):
        return None
    for member in (BtfMember * (info & 0xFFFF)).from_address(address + ctypes.sizeof(BtfType)):
        offset = (member.offset & 0xFFFFFF if info & BTF_KIND_FLAG else member.offset) // 8
        member_name = LIBBPF.btf__name_by_offset(btf, member.name_off)
        if member_name == name:
            return member.type, offset
        if not member_name:
            found = _find_member(btf, member.type, name)
            if found is not None:
                return found[0], offset + found[1]
    return None
