# SPDX-License-Identifier: Apache-2.0
"""The maps and programs of another process, held open so that they can be read when it has gone.

By libbpf, which bpftrace itself needs, so it is there; nothing of the process is disturbed.
"""

import ctypes
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PER_CPU_TYPES = (5, 6)  # BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY
ID_LINE = re.compile(r"^(map|prog)_id:\s*(\d+)$", re.MULTILINE)
RECURSION_LINE = re.compile(r"^recursion_misses:\s*(\d+)$", re.MULTILINE)
NAME_BYTES = 15  # the kernel keeps that much of a map's name

# Of struct bpf_prog_info, which is user-space ABI: it grows, but nothing in it moves.
PROG_INFO_BYTES = 256
BTF_ID_AT = 128
ASKED = struct.Struct("=IIQI")  # btf_id, func_info_rec_size, func_info, nr_func_info
FUNC_INFO = struct.Struct("=II")  # struct bpf_func_info: insn_off, type_id


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
        self._libbpf.btf__load_from_kernel_by_id.restype = ctypes.c_void_p
        self._libbpf.btf__type_by_id.restype = ctypes.c_void_p
        self._libbpf.btf__type_by_id.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        self._libbpf.btf__name_by_offset.restype = ctypes.c_char_p
        self._libbpf.btf__name_by_offset.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        self._libbpf.btf__free.argtypes = [ctypes.c_void_p]
        self._maps = {}
        self._programs = []
        for kind, number in sorted(held_ids(pid)):
            fd = self._call(f"bpf_{kind}_get_fd_by_id", number)
            if kind == "map":
                self._maps[self._info(fd).name.decode()] = fd
            else:
                self._programs.append(fd)

    def entries(self, name: str) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield the keys of a map, each with its value of every CPU: one value if the map is not per CPU."""
        fd = self._maps[name[:NAME_BYTES]]
        info = self._info(fd)
        cpus = self._call("libbpf_num_possible_cpus") if info.type in PER_CPU_TYPES else 1
        step = -(-info.value_size // 8) * 8  # as the kernel lays out the values of the CPUs
        values = ctypes.create_string_buffer(cpus * step)
        key = ctypes.create_string_buffer(info.key_size)
        previous = None
        while self._libbpf.bpf_map_get_next_key(fd, previous, key) == 0:
            self._call("bpf_map_lookup_elem", fd, key, values)
            yield key.raw, [values.raw[at : at + info.value_size] for at in range(0, cpus * step, step)]
            previous = key

    def counts(self, name: str) -> dict[int, int]:
        """The numbers in a map by key, each added up over the CPUs."""
        return {
            int.from_bytes(key, sys.byteorder): sum(int.from_bytes(value, sys.byteorder) for value in values)
            for key, values in self.entries(name)
        }

    def total(self, name: str) -> int:
        """The sum of the numbers in a map."""
        return sum(self.counts(name).values())

    def recursion_misses(self) -> dict[str, int] | None:
        """How many runs of each program the kernel skipped, by function; None where it does not show that of each."""
        misses = {}
        for fd in self._programs:
            found = RECURSION_LINE.search(Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii"))
            if found is None:
                return None
            misses[self._function(fd)] = int(found[1])
        return misses or None

    def _function(self, fd: int) -> str:
        """The name of a program's function, by its BTF: of the program's own name the kernel keeps 15 bytes."""
        function = ctypes.create_string_buffer(FUNC_INFO.size)
        info = ctypes.create_string_buffer(PROG_INFO_BYTES)
        ASKED.pack_into(info, BTF_ID_AT, 0, FUNC_INFO.size, ctypes.addressof(function), 1)
        self._call("bpf_obj_get_info_by_fd", fd, info, ctypes.byref(ctypes.c_uint32(PROG_INFO_BYTES)))
        btf_id, *_ = ASKED.unpack_from(info, BTF_ID_AT)
        _, type_id = FUNC_INFO.unpack(function)
        btf = self._libbpf.btf__load_from_kernel_by_id(btf_id)
        if not btf:
            raise OSError(ctypes.get_errno(), f"the BTF of program {fd} cannot be read")
        try:
            name_offset = ctypes.c_uint32.from_address(self._libbpf.btf__type_by_id(btf, type_id)).value
            name: bytes = self._libbpf.btf__name_by_offset(btf, name_offset)
        finally:
            self._libbpf.btf__free(btf)
        return name.decode()

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
