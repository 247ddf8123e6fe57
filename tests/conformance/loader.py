# SPDX-License-Identifier: Apache-2.0
"""A tracer that does as little as one can: it loads and attaches a BPF program by itself, with nothing but Python."""

from __future__ import annotations

LOADER = """\
import ctypes, os, sys, time

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    found = libc.syscall({"x86_64": 321, "aarch64": 280}[os.uname().machine], command, attr, ctypes.sizeof(attr))
    assert found >= 0, os.strerror(ctypes.get_errno())
    return found


def attr(*words):
    return (ctypes.c_uint64 * 16)(*words)


after_s, pin, mount = float(sys.argv[1]), sys.argv[2:3], sys.argv[3:]
time.sleep(after_s)
for path in mount:
    assert libc.mount(b"bpf", path.encode(), b"bpf", 0, None) == 0, os.strerror(ctypes.get_errno())
code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"))  # r0 = 0; exit
license = ctypes.create_string_buffer(b"GPL")
program = bpf(5, attr(17 | 2 << 32, ctypes.addressof(code), ctypes.addressof(license)))  # BPF_PROG_LOAD, raw tracepoint
ring = bpf(0, attr(27, 4096 << 32))  # BPF_MAP_CREATE, ringbuf: type, key size; value size, entries
name = ctypes.create_string_buffer(b"sched_process_fork")
link = bpf(17, attr(ctypes.addressof(name), program))  # BPF_RAW_TRACEPOINT_OPEN
for path in pin:
    where = ctypes.create_string_buffer(path.encode())
    bpf(6, attr(ctypes.addressof(where), program))  # BPF_OBJ_PIN
time.sleep(60)
"""
"""Its source. It waits for the seconds of its first argument, mounts a bpffs at its third, and pins the program at its
second, as far as there are so many."""
