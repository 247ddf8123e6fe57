# SPDX-License-Identifier: Apache-2.0
"""What fs-profile writes once it has detached: a line for each file and op, and one for each of the busiest files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

SLOTS = 40
TOP = 10


class Key(NamedTuple):
    """What the calls of a latency have in common, in the order of the lines."""

    dev: int
    inode: int
    op: int


class Latency(NamedTuple):
    """The calls of one key; bytes that they moved, times in nanoseconds."""

    count: int
    moved: int
    total_ns: int
    max_ns: int
    name: bytes
    slots: Sequence[int]


class Line(NamedTuple):
    """A line of the output, and how many events it stands for."""

    text: bytes
    events: int


def lines(latencies: Mapping[Key, Latency], top: Mapping[tuple[int, ...], tuple[int, ...]]) -> Iterator[Line]:
    """Yield the lines in their order; `top` has the calls and the bytes of each device and inode."""
    for key, latency in sorted(latencies.items()):
        *numbers, name, slots = latency
        text = b"latency" + b"\t%d" * 7 % (*key, *numbers) + b"\t%b\t" % name + b" ".join(b"%d" % n for n in slots)
        yield Line(text + b"\n", latency.count)
    for file, counted in sorted(top.items(), key=lambda item: (-item[1][0], item[0]))[:TOP]:
        yield Line(b"top" + b"\t%d" * 4 % (*file, *counted) + b"\n", 0)
