# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of BPF objects, by bpf(2) directly: bpftool would load a program of its own to say it.

Numbers are those of the enums and structs in the kernel's include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Iterator

_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_PROG_GET_NEXT_ID, _MAP_GET_NEXT_ID = 11, 12
_PROG_GET_FD_BY_ID, _MAP_GET_FD_BY_ID = 13, 14
_OBJ_GET_INFO_BY_FD = 15

_TRACING = (2, 5, 7, 17, 24, 26)  # kprobe, tracepoint, perf_event, raw_tracepoint, its writable kind, fentry
"""enum bpf_prog_type, of what a tracer loads. systemd and others load and unload programs of other types any time."""

_RINGBUF = 27
"""enum bpf_map_type."""

_libc = ctypes.CDLL(None, use_errno=True)


def tracing_programs() -> frozenset[int]:
    """Return the ids of all tracing programs loaded on this machine.

    Raises:
        OSError: without privileges.
    """
    infos = _infos(_PROG_GET_NEXT_ID, _PROG_GET_FD_BY_ID)
    return frozenset(info[1] for info in infos if info[0] in _TRACING)  # struct bpf_prog_info: type, id, ...


def ring_buffers() -> dict[int, int]:
    """Return all ring buffers on this machine: id -> size in bytes.

    Raises:
        OSError: without privileges.
    """
    infos = _infos(_MAP_GET_NEXT_ID, _MAP_GET_FD_BY_ID)
    # struct bpf_map_info: type, id, key_size, value_size, max_entries, ...
    return {info[1]: info[4] for info in infos if info[0] == _RINGBUF}


def _infos(next_id: int, fd_by_id: int) -> Iterator[ctypes.Array[ctypes.c_uint32]]:
    attr = (ctypes.c_uint32 * 4)()
    while _bpf(next_id, attr) == 0:
        attr[0] = attr[1]
        fd = _bpf(fd_by_id, (ctypes.c_uint32 * 4)(attr[1]))
        if fd < 0:
            continue  # it has gone since
        try:
            info = (ctypes.c_uint32 * 32)()
            address = ctypes.addressof(info)
            request = (ctypes.c_uint32 * 4)(fd, ctypes.sizeof(info), address & 0xFFFFFFFF, address >> 32)
            if _bpf(_OBJ_GET_INFO_BY_FD, request):
                raise _error()
        finally:
            os.close(fd)
        yield info
    if ctypes.get_errno() != errno.ENOENT:
        raise _error()


def _bpf(command: int, attr: ctypes.Array[ctypes.c_uint32]) -> int:
    return int(_libc.syscall(_SYS_BPF[platform.machine()], command, attr, ctypes.sizeof(attr)))


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), "bpf(2)")
