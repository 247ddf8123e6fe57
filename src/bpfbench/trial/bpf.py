# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of BPF objects, by bpf(2) directly: bpftool would load a program of its own to say it.

Numbers are those of the enums and structs in the kernel's include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
from collections.abc import Iterator
from pathlib import Path

_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_PROG_GET_NEXT_ID, _MAP_GET_NEXT_ID = 11, 12
_PROG_GET_FD_BY_ID, _MAP_GET_FD_BY_ID = 13, 14
_OBJ_GET_INFO_BY_FD = 15
_ENABLE_STATS, _STATS_RUN_TIME = 32, 0

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


def ring_buffers_of(pid: int) -> frozenset[int]:
    """Return the ids of the ring buffers that a process holds open."""
    return frozenset(int(fd["map_id"]) for fd in _fdinfos(pid) if fd.get("map_type") == str(_RINGBUF))


def programs_of(pid: int) -> frozenset[int]:
    """Return the ids of the programs that a process holds open."""
    return frozenset(int(fd["prog_id"]) for fd in _fdinfos(pid) if "prog_id" in fd)


def open_map(number: int) -> int:
    """Return a new file descriptor of the map with that id. One for reading only could not be mapped.

    Raises:
        OSError: there is none, or without privileges.
    """
    return _open(_MAP_GET_FD_BY_ID, number)


def run_time(program: int) -> tuple[int, int]:
    """Return how long the program with that id has run, in ns, and how often, while run time was counted.

    Raises:
        OSError: there is none, or without privileges.
    """
    info = _program_info(program)
    # struct bpf_prog_info: run_time_ns at byte 192, run_cnt at byte 200
    return info[48] | info[49] << 32, info[50] | info[51] << 32


def program_name(program: int) -> str:
    """Return the name of the program with that id, as the kernel keeps it: 15 bytes at most.

    Raises:
        OSError: there is none, or without privileges.
    """
    return bytes(_program_info(program))[64:80].split(b"\0")[0].decode()  # struct bpf_prog_info: name


@contextlib.contextmanager
def run_time_counted() -> Iterator[None]:
    """Have the kernel count the run time of all programs meanwhile. It stops by itself when this process ends.

    Raises:
        OSError: without privileges.
    """
    fd = call(_ENABLE_STATS, (ctypes.c_uint32 * 4)(_STATS_RUN_TIME))
    if fd < 0:
        raise last_error()
    try:
        yield
    finally:
        os.close(fd)


def _fdinfos(pid: int) -> Iterator[dict[str, str]]:
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            lines = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            yield {key.strip(): value.strip() for key, value in lines}


def _open(fd_by_id: int, number: int) -> int:
    fd = call(fd_by_id, (ctypes.c_uint32 * 4)(number))
    if fd < 0:
        raise last_error()
    return fd


def _program_info(program: int) -> ctypes.Array[ctypes.c_uint32]:
    fd = _open(_PROG_GET_FD_BY_ID, program)
    try:
        return _info(fd, words=52)
    finally:
        os.close(fd)


def _info(fd: int, words: int = 32) -> ctypes.Array[ctypes.c_uint32]:
    info = (ctypes.c_uint32 * words)()
    address = ctypes.addressof(info)
    request = (ctypes.c_uint32 * 4)(fd, ctypes.sizeof(info), address & 0xFFFFFFFF, address >> 32)
    if call(_OBJ_GET_INFO_BY_FD, request):
        raise last_error()
    return info


def _infos(next_id: int, fd_by_id: int) -> Iterator[ctypes.Array[ctypes.c_uint32]]:
    attr = (ctypes.c_uint32 * 4)()
    while call(next_id, attr) == 0:
        attr[0] = attr[1]
        fd = call(fd_by_id, (ctypes.c_uint32 * 4)(attr[1]))
        if fd < 0:
            continue  # it has gone since
        try:
            info = _info(fd)
        finally:
            os.close(fd)
        yield info
    if ctypes.get_errno() != errno.ENOENT:
        raise last_error()


def call(command: int, attr: ctypes.Array[ctypes.c_uint32]) -> int:
    """Call bpf(2). Negative: it failed, as `last_error` says."""
    return int(_libc.syscall(_SYS_BPF[platform.machine()], command, attr, ctypes.sizeof(attr)))


def last_error() -> OSError:
    """Return why the last call failed."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), "bpf(2)")
