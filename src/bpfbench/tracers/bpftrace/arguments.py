# SPDX-License-Identifier: Apache-2.0
"""The command line of the tracer contract, as far as bpftrace supports it."""

import dataclasses
import os
import re
from collections.abc import Callable
from typing import Any

POLL_MS = 100  # timeout_ms in bpftrace.h
PAGE_BYTES = 4096  # the unit of bpftrace's perf_rb_pages, whatever the machine's pages are


class UsageError(Exception):
    """An option is unknown, missing, malformed or not supported."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The command line, checked."""

    tool: str
    attach: str
    target_comm: bytes
    ringbuf_bytes: int
    poll_ms: int
    payload_bytes: int
    format: str
    output: str
    summary: str


def one_of(*words: str) -> Callable[[str], str]:
    """A check for one of some words."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(", ".join(words))
        return value

    return check


def integer(low: int, high: int, supported: str, *, power_of_two: bool = False) -> Callable[[str], int]:
    """A check for a decimal number."""

    def check(value: str) -> int:
        number = int(value) if re.fullmatch("[0-9]{1,10}", value) else -1
        if not low <= number <= high or (power_of_two and number & (number - 1)):
            raise ValueError(supported)
        return number

    return check


def comm(value: str) -> bytes:
    """A check for what the kernel can hold as a task's name, and a line of text too."""
    name = os.fsencode(value)
    if not 1 <= len(name) <= 15 or b"\n" in name:
        raise ValueError("1 to 15 bytes without a newline")
    return name


def path(value: str) -> str:
    """A check for the path of a file."""
    if not value:
        raise ValueError("a path")
    return value


CHECKS: dict[str, Callable[[str], Any]] = {
    "--tool": one_of("syscount", "rw-tracer", "rw-tracer-all"),
    "--attach": one_of("tracepoint", "kprobe", "fentry"),
    "--target-comm": comm,
    "--ringbuf-bytes": integer(PAGE_BYTES, 1 << 30, "a power of two from 4096 to 1073741824", power_of_two=True),
    "--poll-ms": integer(POLL_MS, POLL_MS, f"{POLL_MS}, which is fixed in bpftrace"),
    "--payload-bytes": integer(1, 16384, "1 to 16384"),
    "--format": one_of("text"),
    "--output": path,
    "--summary": path,
}


def parse(arguments: list[str]) -> Options:
    """Check the command line. A complaint names the option, the value and what is supported."""
    given: dict[str, Any] = {}
    rest = iter(arguments)
    for option in rest:
        if option not in CHECKS:
            raise UsageError(f"unknown option {option!r}, supported: {' '.join(CHECKS)}")
        value = next(rest, None)
        if value is None:
            raise UsageError(f"{option} needs a value")
        if option in given:
            raise UsageError(f"{option} {value!r}: already given")
        try:
            given[option] = CHECKS[option](value)
        except ValueError as supported:
            raise UsageError(f"{option} {value!r} is not supported, use {supported}") from None
    missing = [option for option in CHECKS if option not in given]
    if missing:
        raise UsageError(f"required but missing: {' '.join(missing)}")
    options = Options(**{option[2:].replace("-", "_"): value for option, value in given.items()})
    if options.tool == "syscount" and options.attach != "tracepoint":
        raise UsageError(f"--attach {options.attach!r} is not supported by syscount, use tracepoint")
    return options
