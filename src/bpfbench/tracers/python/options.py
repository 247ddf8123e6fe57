# SPDX-License-Identifier: Apache-2.0
"""The command line, by rule 1 of the contract: every value is checked before anything is loaded."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Options(NamedTuple):
    tool: str
    attach: str
    target_comm: bytes
    ringbuf_bytes: int
    poll_ms: int
    payload_bytes: int
    format: str
    output: str
    summary: str


class Rule(NamedTuple):
    """What an option supports; convert raises ValueError for anything else."""

    supported: str
    convert: Callable[[str], object]


class OptionError(Exception):
    """One option at fault: its name, its value and what is supported."""

    def __init__(self, name: str, value: str, fault: str, supported: str) -> None:
        super().__init__(f"{name} {value!r} {fault}; supported: {supported}")


def one_of(*choices: str) -> Rule:
    return Rule(", ".join(choices), lambda value: choices[choices.index(value)])


def number(value: str, low: int, high: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(high)) and low <= int(value) <= high):
        raise ValueError(value)
    return int(value)


def _power_of_two(value: str, low: int, high: int) -> int:
    if number(value, low, high).bit_count() != 1:
        raise ValueError(value)
    return int(value)


def comm(value: str) -> bytes:
    name = os.fsencode(value)
    if not 1 <= len(name) <= 15:
        raise ValueError(value)
    return name


def _path(value: str) -> str:
    if not value:
        raise ValueError(value)
    return value


RULES = {
    "--tool": one_of("syscount", "rw-tracer", "rw-tracer-all", "fs-profile"),
    "--attach": one_of("tracepoint", "kprobe", "fentry"),
    "--target-comm": Rule("1 to 15 bytes", comm),
    "--ringbuf-bytes": Rule("a power of two, 4096 to 1073741824", lambda value: _power_of_two(value, 4096, 1 << 30)),
    "--poll-ms": Rule("1 to 60000", lambda value: number(value, 1, 60000)),
    "--payload-bytes": Rule("1 to 16384", lambda value: number(value, 1, 16384)),
    "--format": one_of("text", "binary"),
    "--output": Rule("the path of a file", _path),
    "--summary": Rule("the path of a file", _path),
}
"""In the order of Options. A tracer that supports less has rules of its own in their place."""


def parse(arguments: list[str], rules: Mapping[str, Rule] = RULES) -> Options:
    given: dict[str, object] = {}
    for position in range(0, len(arguments), 2):
        name, *value = arguments[position : position + 2]
        given[name] = _convert(name, value, given, rules)
    for name, rule in rules.items():
        if name not in given:
            raise OptionError(name, "", "is missing", rule.supported)
    options = Options._make(given[name] for name in rules)
    if options.tool == "syscount" and options.attach != "tracepoint":
        raise OptionError("--attach", options.attach, "is not supported by syscount", "tracepoint")
    if options.tool == "fs-profile" and options.format != "text":
        raise OptionError("--format", options.format, "is not supported by fs-profile", "text")
    return options


def _convert(name: str, value: list[str], given: Mapping[str, object], rules: Mapping[str, Rule]) -> object:
    rule = rules.get(name)
    if rule is None:
        raise OptionError(name, "".join(value), "is an unknown option", ", ".join(rules))
    if not value:
        raise OptionError(name, "", "lacks its value", rule.supported)
    if name in given:
        raise OptionError(name, value[0], "is given twice", "each option once")
    try:
        return rule.convert(value[0])
    except ValueError:
        raise OptionError(name, value[0], "is not supported", rule.supported) from None


def complain(about: object, status: int) -> int:
    """Says it in one line on stderr; returns the exit status."""
    print("tracer:", " ".join(str(about).split()), file=sys.stderr, flush=True)
    return status
