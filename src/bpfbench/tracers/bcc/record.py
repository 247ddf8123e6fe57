# SPDX-License-Identifier: Apache-2.0
"""From a slot of the ring to a record of the output. This is the hot path: a slot is read where it lies, and once."""

import struct
from binascii import hexlify
from collections.abc import Callable
from ctypes import Array, c_char, string_at
from functools import lru_cache
from typing import Any

Slot = Array[c_char]
Formatter = Callable[[Slot], bytes | Slot]

# struct rw_event, with comm and name as one field because they are formatted, and remembered, together.
EVENT = struct.Struct("<QQQQqQIIIIII80sI")
EVENT_TEXT = b"%d\t" * 12 + b"%b\t%d"
COMM_BYTES = 16
PAYLOAD_LEN = struct.Struct("<I")
PAYLOAD_LEN_OFFSET = EVENT.size - PAYLOAD_LEN.size
COUNT = struct.Struct("<QQ")
# struct fs_slow without its stack, which is what follows.
SLOW = struct.Struct("<QQqQIIII")


@lru_cache(maxsize=1024)
def comm_and_name(field: bytes) -> bytes:
    return b"%b\t%b" % (_until_nul(field[:COMM_BYTES]), _until_nul(field[COMM_BYTES:]))


def _until_nul(string: bytes) -> bytes:
    return string.partition(b"\0")[0]


def event_text(slot: Slot) -> bytes:
    # Naming each field is measurably faster here than slicing or starring the tuple.
    enter, leave, offset, count, ret, inode, dev, pid, tid, op, flags, uid, names, length = EVENT.unpack_from(slot)
    names = comm_and_name(names)
    return EVENT_TEXT % (enter, leave, offset, count, ret, inode, dev, pid, tid, op, flags, uid, names, length)


def event_line(slot: Slot) -> bytes:
    return event_text(slot) + b"\n"


def payload_line(slot: Slot) -> bytes:
    (length,) = PAYLOAD_LEN.unpack_from(slot, PAYLOAD_LEN_OFFSET)
    return b"%b\t%b\n" % (event_text(slot), hexlify(slot[EVENT.size : EVENT.size + length], " "))


def fields_text(event: Any) -> bytes:
    """As event_text(), of the structure that BCC makes of a slot."""
    names = b"%b\t%b" % (event.comm, event.name)
    first = (event.enter_ns, event.exit_ns, event.offset, event.count, event.ret, event.inode, event.dev, event.pid)
    return EVENT_TEXT % (*first, event.tid, event.op, event.flags, event.uid, names, event.payload_len)


def fields_line(event: Any, _address: int) -> bytes:
    return fields_text(event) + b"\n"


def fields_payload_line(event: Any, address: int) -> bytes:
    return b"%b\t%b\n" % (fields_text(event), hexlify(string_at(address + EVENT.size, event.payload_len), " "))


# [snippet format]
def event_binary(slot: Slot) -> Slot:
    return slot


def payload_binary(slot: Slot) -> bytes | Slot:
    """A payload may not fill the slot: whatever lay in the ring behind it is zeroed."""
    (length,) = PAYLOAD_LEN.unpack_from(slot, PAYLOAD_LEN_OFFSET)
    filled = EVENT.size + length
    return slot if filled == len(slot) else slot[:filled].ljust(len(slot), b"\0")


# [end format]


def formatter(output_format: str, payload_bytes: int) -> Formatter:
    if output_format == "binary":
        return payload_binary if payload_bytes else event_binary
    return payload_line if payload_bytes else event_line


def count_record(output_format: str, number: int, count: int) -> bytes:
    return COUNT.pack(number, count) if output_format == "binary" else b"%d\t%d\n" % (number, count)


def slow_call(slot: bytes) -> bytes:
    """Of a call and its stack, which is as long as the slot has it: its line, and a line for each frame."""
    enter, leave, ret, inode, dev, pid, tid, op = SLOW.unpack_from(slot)
    frames = struct.unpack_from(f"<{(len(slot) - SLOW.size) // 8}Q", slot, SLOW.size)
    line = b"slow" + b"\t%d" * 9 % (enter, leave, dev, inode, pid, tid, op, ret, len(frames)) + b"\n"
    return line + b"".join(b"%x\n" % frame for frame in frames)
