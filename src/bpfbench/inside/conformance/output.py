# SPDX-License-Identifier: Apache-2.0
"""A tracer's output, text or binary, as events and counts. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bpfbench.errors import StepError
from bpfbench.model import EVENT_BYTES, Format, Tool

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
    return _event(*integers[:-1], comm, name, integers[-1], *(payloads or [""]))


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
    return _event(*integers, comm.decode("latin-1"), name.decode("latin-1"), length, payload.hex(" "))


def _event(*columns: Any) -> Event:
    return Event(*columns)
