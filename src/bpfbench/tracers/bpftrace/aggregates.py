# SPDX-License-Identifier: Apache-2.0
"""fs-profile's maps: what the script has added up, each sum in a map of its own, as bpftrace's functions keep it."""

import struct
from collections import Counter, defaultdict
from collections.abc import Iterator

from bpfobjects import BpfObjects
from latencies import SLOTS, Key, Latency

# What bpftrace calls an integer is of 64 bits.
KEY = struct.Struct("=QQQ")  # dev, inode, op
SLOT_KEY = struct.Struct("=QQQQ")  # the same, and a slot
FILE = struct.Struct("=QQ")  # dev, inode
Numbers = tuple[int, ...]


def latencies(objects: BpfObjects) -> dict[Key, Latency]:
    """Return what there is of each key."""
    slots: defaultdict[Numbers, list[int]] = defaultdict(lambda: [0] * SLOTS)
    totals: Counter[Numbers] = Counter()
    for (*of, slot), (calls, total_ns) in _stats(objects, "AT_times", SLOT_KEY).items():
        key = tuple(of)
        slots[key][min(slot, SLOTS - 1)] += calls
        totals[key] += total_ns
    moved = {key: total for key, (_, total) in _stats(objects, "AT_bytes", KEY).items()}
    longest = {key: max(value for value, _ in cpus) for key, cpus in _numbers(objects, "AT_longest", KEY)}
    names = {KEY.unpack(key): name.partition(b"\0")[0] for key, (name,) in objects.entries("AT_names")}
    return {
        Key(*key): Latency(sum(calls), moved[key], totals[key], longest[key], names.get(key, b""), calls)
        for key, calls in slots.items()
    }


def top(objects: BpfObjects) -> dict[Numbers, Numbers]:
    """Return the calls and bytes of each device and inode."""
    return _stats(objects, "AT_top", FILE)


def _stats(objects: BpfObjects, name: str, layout: struct.Struct) -> dict[Numbers, Numbers]:
    """Return what a map of stats() has by key: the count, and the total."""
    return {
        key: (sum(count for _, count in cpus), sum(total for total, _ in cpus))
        for key, cpus in _numbers(objects, name, layout)
    }


def _numbers(objects: BpfObjects, name: str, layout: struct.Struct) -> Iterator[tuple[Numbers, list[Numbers]]]:
    """Yield the keys of a map, each with the numbers that it has on each CPU."""
    for key, cpus in objects.entries(name):
        yield layout.unpack(key), [struct.unpack(f"={len(value) // 8}Q", value) for value in cpus]
