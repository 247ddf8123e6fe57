# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of BPF objects, by bpf(2) directly: bpftool would load a program of its own to say it.

Every function raises OSError where the kernel refuses: without privileges, and where an object has gone. Numbers are
those of the enums and structs in the kernel's include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bpfbench.model.command import BpfObject

_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_PROG_GET_NEXT_ID, _MAP_GET_NEXT_ID = 11, 12
_PROG_GET_FD_BY_ID, _MAP_GET_FD_BY_ID = 13, 14
_OBJ_GET_INFO_BY_FD = 15
_TASK_FD_QUERY = 20
_LINK_GET_FD_BY_ID, _LINK_GET_NEXT_ID = 30, 31
_ENABLE_STATS, _STATS_RUN_TIME = 32, 0

_PROGRAM_TYPES = (
    "unspec socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb cgroup_sock lwt_in lwt_out"
    " lwt_xmit sock_ops sk_skb cgroup_device sk_msg raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2"
    " sk_reuseport flow_dissector cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm"
    " sk_lookup syscall netfilter"
)
"""enum bpf_prog_type, in order."""
_MAP_TYPES = (
    "unspec hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array lru_hash"
    " lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap cpumap xskmap sockhash cgroup_storage"
    " reuseport_sockarray percpu_cgroup_storage queue stack sk_storage devmap_hash struct_ops ringbuf inode_storage"
    " task_storage bloom_filter user_ringbuf cgrp_storage arena"
)
"""enum bpf_map_type, in order."""
_MAPS_MOST = 4096
"""Of one program."""

_TRACING = (2, 5, 7, 17, 24, 26)  # kprobe, tracepoint, perf_event, raw_tracepoint, its writable kind, fentry
"""enum bpf_prog_type, of what a tracer loads. systemd and others load and unload programs of other types any time."""

_RINGBUF = 27
"""enum bpf_map_type."""

_OF_FD = {0: "raw-tracepoint", 1: "tracepoint", 2: "kprobe", 3: "kretprobe", 4: "uprobe", 5: "uretprobe"}
"""enum bpf_task_fd_type."""
_LINK_RAW_TRACEPOINT, _LINK_TRACING, _LINK_PERF_EVENT = 1, 2, 7
"""enum bpf_link_type."""
_OF_LINK = {1: "uprobe", 2: "uretprobe", 3: "kprobe", 4: "kretprobe", 5: "tracepoint", 6: "perf-event"}
"""enum bpf_perf_event_type."""
_OF_TRACING = {23: "raw-tracepoint", 24: "fentry", 25: "fexit", 26: "fmod-ret"}
"""enum bpf_attach_type."""
_NAME_BYTES = 128

POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")

_libc = ctypes.CDLL(None, use_errno=True)


def tracing_programs() -> frozenset[int]:
    """Return the ids of all tracing programs loaded on this machine."""
    infos = map(_info, _opened(_PROG_GET_NEXT_ID, _PROG_GET_FD_BY_ID))
    return frozenset(info[1] for info in infos if info[0] in _TRACING)  # struct bpf_prog_info: type, id, ...


def possible_cpus() -> int:
    """Return how many CPUs the kernel has room for: as many values has what it keeps for each."""
    ends = (part.partition("-") for part in POSSIBLE_CPUS.read_text().split(","))
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def ring_buffers() -> dict[int, int]:
    """Return all ring buffers on this machine: id -> size in bytes."""
    infos = map(_info, _opened(_MAP_GET_NEXT_ID, _MAP_GET_FD_BY_ID))
    # struct bpf_map_info: type, id, key_size, value_size, max_entries, ...
    return {info[1]: info[4] for info in infos if info[0] == _RINGBUF}


def ring_buffers_of(pid: int) -> frozenset[int]:
    """Return the ids of the ring buffers that a process holds open."""
    return frozenset(ring_descriptors_of(pid).values())


def ring_descriptors_of(pid: int) -> dict[int, int]:
    """Return the same by the process's descriptors."""
    return {int(fd["fd"]): int(fd["map_id"]) for fd in _fdinfos(pid) if fd.get("map_type") == str(_RINGBUF)}


def programs_of(*pids: int) -> frozenset[int]:
    """Return the ids of the programs that processes hold open."""
    return frozenset(int(fd["prog_id"]) for pid in pids for fd in _fdinfos(pid) if "prog_id" in fd)


def maps_of(*pids: int) -> frozenset[int]:
    """Return the ids of the maps that processes hold open."""
    return frozenset(int(fd["map_id"]) for pid in pids for fd in _fdinfos(pid) if "map_id" in fd)


def is_loaded(program: int) -> bool:
    """Tell whether there is a program of that id."""
    try:
        with _held(_PROG_GET_FD_BY_ID, program):
            return True
    except FileNotFoundError:
        return False


def perf_events_of(*pids: int) -> int:
    """Return how many perf events processes hold open, of BPF programs or not."""
    return sum(1 for pid in pids for _ in perf_event_fds(pid))


def links_to(programs: frozenset[int]) -> int:
    """Return how many links there are to programs, wherever they attach them."""
    infos = map(_info, _opened(_LINK_GET_NEXT_ID, _LINK_GET_FD_BY_ID))
    return sum(info[2] in programs for info in infos)  # struct bpf_link_info: type, id, prog_id


def described_programs(programs: Iterable[int]) -> Iterator[tuple[BpfObject, frozenset[int]]]:
    """Yield what each of those programs is that are still loaded, and the ids of the maps that it uses."""
    for number in sorted(programs):
        with _gone_is_fine(), _held(_PROG_GET_FD_BY_ID, number) as fd:
            maps = (ctypes.c_uint32 * _MAPS_MOST)()
            info = (ctypes.c_uint32 * 52)()
            info[13:16] = [_MAPS_MOST, *address(maps)]  # xlated_prog_len at byte 20, nr_map_ids at 52, map_ids
            _fill(fd, info)
            ns, runs = _run_time(info)
            own = _object(fd, info, _PROGRAM_TYPES, 64, info[5])
            yield (
                replace(own, runs=runs or None, run_ns=ns if runs else None),
                frozenset(maps[: min(info[13], _MAPS_MOST)]),
            )


def described_maps(maps: Iterable[int]) -> Iterator[BpfObject]:
    """Yield what each of those maps is that are still there."""
    for number in sorted(maps):
        with _gone_is_fine(), _held(_MAP_GET_FD_BY_ID, number) as fd:
            info = _info(fd)  # struct bpf_map_info: max_entries at byte 16, name at byte 24
            yield _object(fd, info, _MAP_TYPES, 24, info[4])


def _object(fd: int, info: ctypes.Array[ctypes.c_uint32], types: str, name_at: int, size: int) -> BpfObject:
    kind = dict(enumerate(types.split())).get(info[0], f"type {info[0]}")
    name = bytes(info)[name_at : name_at + 16].split(b"\0")[0].decode(errors="replace")
    said = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    memory = next((int(line.split()[1]) for line in said if line.startswith("memlock:")), None)
    return BpfObject(kind, name, memory, size)


@contextlib.contextmanager
def _held(fd_by_id: int, number: int) -> Iterator[int]:
    fd = _open(fd_by_id, number)
    try:
        yield fd
    finally:
        os.close(fd)


def _gone_is_fine() -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(FileNotFoundError)


def open_map(number: int) -> int:
    """Return a new file descriptor of the map with that id. One for reading only could not be mapped."""
    return _open(_MAP_GET_FD_BY_ID, number)


RunTimes = dict[int, tuple[int, int]]
"""By a program's id, how long it has run, in ns, and how often, while run time was counted."""


def run_times(programs: Iterable[int], since: RunTimes | None = None) -> RunTimes:
    """Return the run times of programs, or by how much they have grown since."""
    found = {}
    for program in programs:
        (now_ns, now), (ns, runs) = _run_time(_program_info(program)), (since or {}).get(program, (0, 0))
        found[program] = now_ns - ns, now - runs
    return found


def _run_time(info: ctypes.Array[ctypes.c_uint32]) -> tuple[int, int]:
    """Read struct bpf_prog_info: run_time_ns at byte 192, run_cnt at byte 200."""
    return info[48] | info[49] << 32, info[50] | info[51] << 32


def program_name(program: int) -> str:
    """Return the name of the program with that id, as the kernel keeps it: 15 bytes at most."""
    return bytes(_program_info(program))[64:80].split(b"\0")[0].decode()  # struct bpf_prog_info: name


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a program is attached."""

    program: int
    """Its id."""
    kind: str
    target: str
    """The name of a tracepoint or function; of fentry and fexit the function's number in the kernel's BTF."""


def attachments(programs: frozenset[int], pid: int) -> frozenset[Attachment]:
    """Return where those of `programs` are attached that have a link, or belong to a perf event `pid` holds open.

    A kernel older than 6.6 does not name what a link to a perf event is for; the event itself tells.
    """
    events = (own for _, own in perf_programs(pid))
    found = {*map(_link, _opened(_LINK_GET_NEXT_ID, _LINK_GET_FD_BY_ID)), *events}
    return frozenset(own for own in found if own and own.program in programs and own.target)


def _link(fd: int) -> Attachment | None:
    """Read struct bpf_link_info: type, id, prog_id, and from byte 16 on what the type has."""
    info = _info(fd, words=16)
    kind, _, program = info[:3]
    if kind == _LINK_TRACING:
        return Attachment(program, _OF_TRACING.get(info[4], f"tracing {info[4]}"), str(info[6]))
    if kind == _LINK_RAW_TRACEPOINT:  # tp_name, tp_name_len
        return Attachment(program, "raw-tracepoint", _named(fd, 4))
    if kind == _LINK_PERF_EVENT:  # type, then the name's address at byte 24
        return Attachment(program, _OF_LINK.get(info[4], f"perf {info[4]}"), _named(fd, 6))
    return None


def _named(fd: int, word: int) -> str:
    """Ask for a link's information again, with room for the name whose address is the word of that number."""
    info, name = (ctypes.c_uint32 * 16)(), ctypes.create_string_buffer(_NAME_BYTES)
    info[word : word + 3] = [*address(name), _NAME_BYTES]
    with contextlib.suppress(OSError):
        _fill(fd, info)
    return name.value.decode()


def perf_event_fds(pid: int) -> Iterator[int]:
    """Yield the descriptors by which a process holds perf events open."""
    with contextlib.suppress(OSError):  # it has ended, or is another user's
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed since
                if path.readlink().name == "anon_inode:[perf_event]":
                    yield int(path.name)


def perf_programs(pid: int) -> Iterator[tuple[int, Attachment]]:
    """Yield the descriptors of those that a program is attached by, and where."""
    for fd in perf_event_fds(pid):
        with contextlib.suppress(OSError):  # of no program
            name = ctypes.create_string_buffer(_NAME_BYTES)
            # struct bpf_attr, task_fd_query: pid, fd, flags, buf_len, buf, prog_id, fd_type, ...
            attr = (ctypes.c_uint32 * 12)(pid, fd, 0, _NAME_BYTES, *address(name))
            call(_TASK_FD_QUERY, attr)
            yield fd, Attachment(attr[6], _OF_FD.get(attr[7], f"perf {attr[7]}"), name.value.decode())


@contextlib.contextmanager
def run_time_counted() -> Iterator[None]:
    """Have the kernel count the run time of all programs meanwhile. It stops by itself when this process ends."""
    fd = call(_ENABLE_STATS, (ctypes.c_uint32 * 4)(_STATS_RUN_TIME))
    try:
        yield
    finally:
        os.close(fd)


def _fdinfos(pid: int) -> Iterator[dict[str, str]]:
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            lines = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            yield {"fd": path.name, **{key.strip(): value.strip() for key, value in lines}}


def _open(fd_by_id: int, number: int) -> int:
    return call(fd_by_id, (ctypes.c_uint32 * 4)(number))


def _program_info(program: int) -> ctypes.Array[ctypes.c_uint32]:
    with _held(_PROG_GET_FD_BY_ID, program) as fd:
        return _info(fd, words=52)


def _info(fd: int, words: int = 32) -> ctypes.Array[ctypes.c_uint32]:
    info = (ctypes.c_uint32 * words)()
    _fill(fd, info)
    return info


def _fill(fd: int, info: ctypes.Array[ctypes.c_uint32]) -> None:
    """Have the kernel write into `info` what it knows of what `fd` refers to."""
    call(_OBJ_GET_INFO_BY_FD, (ctypes.c_uint32 * 4)(fd, ctypes.sizeof(info), *address(info)))


def _opened(next_id: int, fd_by_id: int) -> Iterator[int]:
    """Yield a descriptor of each object of a kind, which is closed when the next is asked for."""
    attr = (ctypes.c_uint32 * 4)()
    while True:
        try:
            call(next_id, attr)
        except FileNotFoundError:
            return
        attr[0] = attr[1]
        try:
            fd = _open(fd_by_id, attr[0])
        except OSError:
            continue  # it has gone since
        try:
            yield fd
        finally:
            os.close(fd)


def address(buffer: ctypes.Array[Any]) -> tuple[int, int]:
    """Return where a buffer is, as two words of an attribute of bpf(2): the low one, then the high."""
    at = ctypes.addressof(buffer)
    return at & 0xFFFFFFFF, at >> 32


def call(command: int, attr: ctypes.Array[ctypes.c_uint32]) -> int:
    """Call bpf(2)."""
    result = int(_libc.syscall(_SYS_BPF[platform.machine()], command, attr, ctypes.sizeof(attr)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "bpf(2)")
    return result
