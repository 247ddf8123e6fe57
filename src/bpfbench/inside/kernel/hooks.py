# SPDX-License-Identifier: Apache-2.0
"""The hook flavours of the running kernel, found out by setting each, with nothing to run."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Set
from pathlib import Path

from bpfbench.inside.kernel import bpf, perf
from bpfbench.model import Attach

FUNCTION = b"vfs_read"
"""What kprobe and fentry are tried on: what the tracers hook."""

BTF = Path("/sys/kernel/btf/vmlinux")
KPROBE_PMU = Path("/sys/bus/event_source/devices/kprobe/type")
SYSCALL_TRACEPOINT = Path("/sys/kernel/tracing/events/syscalls/sys_enter_read")

# Of the kernel's include/uapi/linux/bpf.h and btf.h
_PROG_LOAD, _RAW_TRACEPOINT_OPEN = 5, 17
_PROG_TRACEPOINT, _PROG_TRACING, _TRACE_FENTRY = 5, 26, 24
_RETURN_0 = struct.pack("<BBhi BBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)  # r0 = 0; exit
_BTF_HEADER = struct.Struct("=HBBIIIII")
_BTF_MAGIC = 0xEB9F
_BTF_TYPE = struct.Struct("=III")
_BTF_TYPEDEF, _BTF_FUNC = 8, 12
_BTF_TAIL = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0)}
_BTF_TAIL |= {19: (0, 12)}
"""Kind -> bytes that follow a type's three words: always, and for each of its members."""


def refusals() -> dict[Attach, str]:
    """Return the flavours that cannot be had here, each with the reason; those that can are not in it."""
    attempts = {Attach.TRACEPOINT: _try_tracepoint, Attach.KPROBE: _try_kprobe, Attach.FENTRY: _try_fentry}
    found = {}
    for attach, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            found[attach] = _reason(error)
    return found


def function_id(btf: bytes, name: bytes) -> int | None:
    """Return the number of a function in BTF (the kernel's Documentation/bpf/btf.rst); None where it is not in it.

    Raises:
        ValueError: this is no BTF.
    """
    *_, header, _, _, text_at, text_bytes = _header(btf)
    name_at = btf[header + text_at : header + text_at + text_bytes].find(b"\0" + name + b"\0") + 1
    found = (number for number, kind, named in _types(btf) if kind == _BTF_FUNC and named == name_at)
    return next(found, None) if name_at else None


def function_names(btf: bytes, wanted: Set[int]) -> dict[int, str]:
    """Return by number what functions are called in BTF, and the types that stand for raw tracepoints.

    Raises:
        ValueError: this is no BTF.
    """
    *_, header, _, _, text_at, _ = _header(btf)
    found = {}
    for number, kind, named in _types(btf):
        if number in wanted and kind in (_BTF_FUNC, _BTF_TYPEDEF):
            begin = header + text_at + named
            name = btf[begin : btf.index(b"\0", begin)].decode(errors="replace")
            found[number] = name.removeprefix("btf_trace_") if kind == _BTF_TYPEDEF else name
            if len(found) == len(wanted):
                break
    return found


def _header(btf: bytes) -> tuple[int, ...]:
    found = _BTF_HEADER.unpack_from(btf)
    if found[0] != _BTF_MAGIC:
        raise ValueError("no BTF of this machine's byte order")
    return found


def _types(btf: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield of each type its number, its kind, and where its name is."""
    *_, header, type_at, type_bytes, _, _ = _header(btf)
    at, end, number = header + type_at, header + type_at + type_bytes, 0
    while at < end:
        number += 1
        named, info, _ = _BTF_TYPE.unpack_from(btf, at)
        kind, members = info >> 24 & 0x1F, info & 0xFFFF
        yield number, kind, named
        always, each = _BTF_TAIL.get(kind, (0, 0))
        at += _BTF_TYPE.size + always + each * members


def _try_tracepoint() -> None:
    os.close(_load(_PROG_TRACEPOINT))
    if not any(line.split()[-1] == "tracefs" for line in Path("/proc/filesystems").read_text().splitlines()):
        raise _absent("the kernel has no tracefs")
    if SYSCALL_TRACEPOINT.parents[2].is_mount() and not SYSCALL_TRACEPOINT.exists():
        raise _absent("the kernel has no system call tracepoints")


def _try_kprobe() -> None:
    try:
        kind = int(KPROBE_PMU.read_text())
    except FileNotFoundError:
        raise _absent("not in the kernel") from None
    name = ctypes.create_string_buffer(FUNCTION)
    os.close(perf.open_event(kind, 0, config1=ctypes.addressof(name)))


def _try_fentry() -> None:
    try:
        number = function_id(BTF.read_bytes(), FUNCTION)
    except FileNotFoundError:
        raise _absent("the kernel does not describe its types (BTF)") from None
    if number is None:
        raise _absent(f"the kernel's BTF has no {FUNCTION.decode()}")
    program = _load(_PROG_TRACING, _TRACE_FENTRY, number)
    try:
        os.close(bpf.call(_RAW_TRACEPOINT_OPEN, (ctypes.c_uint32 * 4)(0, 0, program)))
    finally:
        os.close(program)


def _load(kind: int, attach_type: int = 0, attach_btf_id: int = 0) -> int:
    """Load a program that does nothing; return its file descriptor."""
    code, license_ = ctypes.create_string_buffer(_RETURN_0), ctypes.create_string_buffer(b"GPL")
    attr = (ctypes.c_uint32 * 30)(kind, len(_RETURN_0) // 8)
    attr[2:6] = [*bpf.address(code), *bpf.address(license_)]
    attr[17], attr[27] = attach_type, attach_btf_id
    return bpf.call(_PROG_LOAD, attr)


def _absent(reason: str) -> OSError:
    return OSError(errno.ENOENT, reason)


def _reason(error: OSError) -> str:
    if error.errno not in (errno.EPERM, errno.EACCES):
        return str(error.strerror)
    return "refused: it takes root to find out" if os.geteuid() else "refused, even to root: a locked-down kernel"
