# SPDX-License-Identifier: Apache-2.0
"""A tracer's output, text or binary, as events, counts and profiles. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from bpfbench.errors import StepError
from bpfbench.model import EVENT_BYTES, Format, Tool

T = TypeVar("T")

_EVENT = struct.Struct("<QQQQqQIIIIII16s64sI")
_COUNT = struct.Struct("<QQ")
_INTEGERS, _RET = 12, 4
"""How many of an event's first columns are integers, and which of them is signed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One rw event; the columns of tracers/README.md. Strings are bytes as latin-1."""

    enter_ns: int
    exit_ns: int
    offset: int
    count: int
    ret: int
    inode: int
    dev: int
    pid: int
    tid: int
    op: int
    flags: int
    uid: int
    comm: str
    name: str
    payload_len: int
    payload: str
    """Hexadecimal, a space between bytes; empty for rw-tracer."""


SLOTS, FRAMES, TOP = 40, 32, 10
SLOW_NS = 1_000_000
KERNEL_ADDRESS = 0xFFFF << 48
"""No address of the kernel is lower."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A slow call of fs-profile, with the addresses of its stack."""

    enter_ns: int
    exit_ns: int
    dev: int
    inode: int
    pid: int
    tid: int
    op: int
    ret: int
    stack: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Latency:
    """What fs-profile has of a file and op; dev and inode are 0 in the line of no file."""

    dev: int
    inode: int
    op: int
    count: int
    bytes: int
    total_ns: int
    max_ns: int
    name: str
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """All that fs-profile has written."""

    slow: tuple[Slow, ...]
    latencies: tuple[Latency, ...]
    top: tuple[tuple[int, ...], ...]
    """dev, inode, calls, bytes."""


class MalformedError(StepError):
    """The output is not what the contract says; says which record."""


def events(data: bytes, tool: Tool, form: Format, payload_bytes: int) -> list[Event]:
    """Decode the output of an rw tool.

    Raises:
        MalformedError: it is not what the contract says.
    """
    if form is Format.TEXT:
        return [_from_line(line, tool, number) for number, line in enumerate(_lines(data), 1)]
    size = EVENT_BYTES + (payload_bytes if tool is Tool.RW_TRACER_ALL else 0)
    return [_from_record(record, number) for number, record in enumerate(_records(data, size), 1)]


def counts(data: bytes, form: Format) -> dict[int, int]:
    """Decode the output of syscount: system call number -> count.

    Raises:
        MalformedError: it is not what the contract says.
    """
    if form is Format.TEXT:
        pairs = [_integers(line.split("\t"), 2, f"line {n}") for n, line in enumerate(_lines(data), 1)]
    else:
        pairs = [list(_COUNT.unpack(record)) for record in _records(data, _COUNT.size)]
    numbers = [number for number, _ in pairs]
    if numbers != sorted(set(numbers)):
        raise MalformedError("system call numbers are not in order, each once")
    return dict(zip(numbers, (count for _, count in pairs), strict=True))


def profile(data: bytes) -> Profile:
    """Decode the output of fs-profile.

    Raises:
        MalformedError: it is not what the contract says, or its numbers cannot be.
    """
    lines = iter(enumerate(_lines(data), 1))
    found: dict[str, list[Any]] = {"slow": [], "latency": [], "top": []}
    for number, line in lines:
        kind, *columns = line.split("\t")
        if kind not in found or any(found[later] for later in list(found)[list(found).index(kind) + 1 :]):
            raise MalformedError(f"line {number} is of another kind than can be there: {line[:200]!r}")
        where = f"line {number}"
        if kind == "slow":
            *slow, frames = _integers(columns, 9, where, 7)
            stack = [next(lines, (0, ""))[1] for _ in range(frames)]
            found[kind].append(_slow(slow, stack, where))
        elif kind == "latency" and len(columns) == 9:
            slots = columns[8].split(" ")
            numbers: list[Any] = _integers([*columns[:7], *slots], 7 + SLOTS, where)
            found[kind].append(_latency(_made(Latency, *numbers[:7], columns[7], tuple(numbers[7:])), where))
        else:
            found[kind].append(tuple(_integers(columns, 4, where)))
    keys = [(own.dev, own.inode, own.op) for own in found["latency"]]
    if keys != sorted(set(keys)):
        raise MalformedError("latencies are not sorted by dev, inode and op, each once")
    if found["top"] != sorted(found["top"], key=lambda top: (-top[2], top[0], top[1])) or len(found["top"]) > TOP:
        raise MalformedError(f"the most used files are not the {TOP} at most with most calls, in order: {found['top']}")
    return Profile(*map(tuple, found.values()))


def _slow(columns: list[Any], stack: list[str], where: str) -> Slow:
    addresses = [int(line, 16) if _is_address(line) else 0 for line in stack]
    if not 1 <= len(addresses) <= FRAMES or min(addresses) < KERNEL_ADDRESS:
        raise MalformedError(f"{where} has no stack of 1 to {FRAMES} addresses of the kernel: {stack[:40]}")
    slow = _made(Slow, *columns, tuple(addresses))
    if slow.exit_ns - slow.enter_ns < SLOW_NS:
        raise MalformedError(f"{where} is of a call that is not slow, from {slow.enter_ns} to {slow.exit_ns}")
    return slow


def _is_address(line: str) -> bool:
    return bool(line) and not line.strip("0123456789abcdef") and len(line) <= 16


def _latency(own: Latency, where: str) -> Latency:
    """Hold the numbers of a line against each other."""
    least = sum(count << slot for slot, count in enumerate(own.slots) if slot)
    most = sum(count * min((2 << slot) - 1, own.max_ns) for slot, count in enumerate(own.slots[:-1]))
    highest = max((slot for slot, count in enumerate(own.slots) if count), default=-1)
    if not own.count or sum(own.slots) != own.count or highest != min(max(own.max_ns, 1).bit_length(), SLOTS) - 1:
        raise MalformedError(f"{where}: count, max_ns and slots do not go together: {own}")
    if not least <= own.total_ns <= most + own.slots[-1] * own.max_ns:
        raise MalformedError(f"{where}: total_ns is not what the slots say: {own}")
    return own


def _lines(data: bytes) -> list[str]:
    if data and not data.endswith(b"\n"):
        raise MalformedError(f"the output ends in the middle of a line: {data[-80:]!r}")
    return data.decode("latin-1").split("\n")[:-1]


def _records(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) % size:
        raise MalformedError(f"the output of {len(data)} bytes is no whole number of {size}-byte records")
    return (data[start : start + size] for start in range(0, len(data), size))


def _from_line(line: str, tool: Tool, number: int) -> Event:
    columns = line.split("\t")
    wanted = _INTEGERS + (4 if tool is Tool.RW_TRACER_ALL else 3)
    if len(columns) != wanted:
        raise MalformedError(f"line {number} has {len(columns)} columns, not {wanted}: {line[:200]!r}")
    integers = _integers([*columns[:_INTEGERS], columns[_INTEGERS + 2]], _INTEGERS + 1, f"line {number}", _RET)
    comm, name, _, *payloads = columns[_INTEGERS:]
    for payload in payloads:
        if not _is_hex(payload, integers[-1]):
            raise MalformedError(f"line {number} has payload_len {integers[-1]}, and the payload {payload[:100]!r}")
    return _made(Event, *integers[:-1], comm, name, integers[-1], *(payloads or [""]))


def _is_hex(text: str, length: int) -> bool:
    """Tell whether a text is so many bytes in hexadecimal, as the contract spells them."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return False
    return len(data) == length and data.hex(" ") == text


def _integers(words: list[str], wanted: int, where: str, signed: int | None = None) -> list[int]:
    """Read integers as the contract spells them: no leading zeros, no spaces, and '-' only before a return value."""
    try:
        values = [int(word) for word in words]
    except ValueError:
        raise MalformedError(f"{where}: an integer is wanted in {words}") from None
    unsigned = [value for position, value in enumerate(values) if position != signed]
    if len(values) != wanted or [str(value) for value in values] != words or min(unsigned) < 0:
        raise MalformedError(f"{where}: {wanted} plain integers are wanted in {words}")
    return values


def _from_record(record: bytes, number: int) -> Event:
    *integers, comm, name, length = _EVENT.unpack_from(record)
    payload, rest = record[EVENT_BYTES : EVENT_BYTES + length], record[EVENT_BYTES + length :]
    (comm, _, after_comm), (name, _, after_name) = comm.partition(b"\0"), name.partition(b"\0")
    if any(rest) or any(after_comm) or any(after_name):
        raise MalformedError(f"record {number} is not padded with zeros: {record[:EVENT_BYTES]!r}")
    if len(payload) != length:
        raise MalformedError(f"record {number} has payload_len {length}, and {len(payload)} bytes of payload")
    return _made(Event, *integers, comm.decode("latin-1"), name.decode("latin-1"), length, payload.hex(" "))


def _made(what: type[T], *columns: Any) -> T:
    return what(*columns)
