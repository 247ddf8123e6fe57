# SPDX-License-Identifier: Apache-2.0
"""The maps and programs of another process, held open so that they can be read when it has gone.

By libbpf, which bpftrace itself needs, so it is there; nothing of the process is disturbed.
"""

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PER_CPU_TYPES = (5, 6)  # BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY
ID_LINE = re.compile(r"^(map|prog)_id:\s*(\d+)$", re.MULTILINE)
RECURSION_LINE = re.compile(r"^recursion_misses:\s*(\d+)$", re.MULTILINE)
NAME_BYTES = 15  # the kernel keeps that much of a map's name


class MapInfo(ctypes.Structure):
    """The first fields of struct bpf_map_info."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("name", ctypes.c_char * (NAME_BYTES + 1)),
    )


class BpfObjects:
    """The maps, by name, and the programs of a process."""

    def __init__(self, pid: int) -> None:
        self._libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
        self._maps = {}
        self._programs = []
        for kind, number in sorted(held_ids(pid)):
            fd = self._call(f"bpf_{kind}_get_fd_by_id", number)
            if kind == "map":
                self._maps[self._info(fd).name.decode()] = fd
            else:
                self._programs.append(fd)

    def counts(self, name: str) -> dict[int, int]:
        """The numbers in a map by key, each added up over the CPUs."""
        fd = self._maps[name[:NAME_BYTES]]
        info = self._info(fd)
        cpus = self._call("libbpf_num_possible_cpus") if info.type in PER_CPU_TYPES else 1
        values = (ctypes.c_uint64 * cpus)()
        key = ctypes.create_string_buffer(info.key_size)
        counts = {}
        previous = None
        while self._libbpf.bpf_map_get_next_key(fd, previous, key) == 0:
            self._call("bpf_map_lookup_elem", fd, key, values)
            counts[int.from_bytes(key.raw, sys.byteorder)] = sum(values)
            previous = key
        return counts

    def total(self, name: str) -> int:
        """The sum of the numbers in a map."""
        return sum(self.counts(name).values())

    def recursion_misses(self) -> int | None:
        """How many runs of the programs the kernel skipped; None where it does not show that of each."""
        texts = [Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii") for fd in self._programs]
        misses = [int(number) for text in texts for number in RECURSION_LINE.findall(text)]
        return sum(misses) if 0 < len(misses) == len(texts) else None

    def _info(self, fd: int) -> MapInfo:
        info = MapInfo()
        size = ctypes.c_uint32(ctypes.sizeof(info))
        self._call("bpf_obj_get_info_by_fd", fd, ctypes.byref(info), ctypes.byref(size))
        return info

    def _call(self, function: str, *arguments: Any) -> int:
        result: int = self._libbpf[function](*arguments)
        if result < 0:
            raise OSError(-result, f"{function} failed")
        return result


def held_ids(pid: int) -> Iterator[tuple[str, int]]:
    """Kind ("map" or "prog") and id of every BPF object a process holds, each once."""
    texts = (entry.read_text(encoding="ascii") for entry in Path(f"/proc/{pid}/fdinfo").iterdir())
    yield from {(kind, int(number)) for text in texts for kind, number in ID_LINE.findall(text)}


def loaded_libbpf(pid: int) -> str | None:
    """The version of the libbpf a process has loaded, by the name of the file."""
    found = re.search(r"/libbpf\.so\.(\S+)$", Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else None
