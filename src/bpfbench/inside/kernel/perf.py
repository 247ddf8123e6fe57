# SPDX-License-Identifier: Apache-2.0
"""perf_event_open(2), for energy counters, and for a kprobe to see whether there are any."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_SYS_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_ATTR = struct.Struct("=IIQQQQQIIQQ")
"""struct perf_event_attr up to config2 (PERF_ATTR_SIZE_VER1), of include/uapi/linux/perf_event.h."""
_FLAG_FD_CLOEXEC = 8

_libc = ctypes.CDLL(None, use_errno=True)


def open_event(kind: int, cpu: int, config: int = 0, config1: int = 0) -> int:
    """Open a counting event of every process on one CPU, and return its file descriptor.

    Args:
        kind: `type` of the PMU, of its folder in /sys/bus/event_source/devices.
        cpu: which CPU, of those that the PMU's `cpumask` names.
        config: what is counted.
        config1: more of it; what a kprobe is set on.

    Raises:
        OSError: the kernel refuses, most often for want of privileges.
    """
    attr = _ATTR.pack(kind, _ATTR.size, config, 0, 0, 0, 0, 0, 0, config1, 0)
    number = _SYS_PERF_EVENT_OPEN[platform.machine()]
    fd = int(_libc.syscall(number, ctypes.c_char_p(attr), -1, cpu, -1, ctypes.c_ulong(_FLAG_FD_CLOEXEC)))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "perf_event_open(2)")
    return fd
