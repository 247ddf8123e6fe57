# SPDX-License-Identifier: Apache-2.0
"""The command line, by rule 1 of the contract: every value is checked before anything is loaded."""

import os
from collections.abc import Callable
from typing import NamedTuple

from choice import BY_EVENT

TOOLS = ("syscount", "rw-tracer", "rw-tracer-all")
ATTACHES = ("tracepoint", "kprobe", "fentry")
FORMATS = ("text",) if BY_EVENT else ("text", "binary")


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


def _choice(choices: tuple[str, ...]) -> Rule:
    def convert(value: str) -> str:
        return choices[choices.index(value)]

    return Rule(", ".join(choices), convert)


def _number(value: str, low: int, high: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(high)) and low <= int(value) <= high):
        raise ValueError(value)
    return int(value)


def _between(low: int, high: int) -> Rule:
    return Rule(f"{low} to {high}", lambda value: _number(value, low, high))


def _power_of_two(low: int, high: int) -> Rule:
    def convert(value: str) -> int:
        number = _number(value, low, high)
        if number & (number - 1):
            raise ValueError(value)
        return number

    return Rule(f"a power of two, {low} to {high}", convert)


def _comm(value: str) -> bytes:
    comm = os.fsencode(value)
    if not 1 <= len(comm) <= 15:
        raise ValueError(value)
    return comm


def _path(value: str) -> str:
    if not value:
        raise ValueError(value)
    return value


RULES = {
    "--tool": _choice(TOOLS),
    "--attach": _choice(ATTACHES),
    "--target-comm": Rule("1 to 15 bytes", _comm),
    "--ringbuf-bytes": _power_of_two(4096, 1 << 30),
    "--poll-ms": _between(1, 60000),
    "--payload-bytes": _between(1, 16384),
    "--format": _choice(FORMATS),
    "--output": Rule("the path of a file", _path),
    "--summary": Rule("the path of a file", _path),
}


def parse(arguments: list[str]) -> Options:
    given: dict[str, object] = {}
    for position in range(0, len(arguments), 2):
        name, *value = arguments[position : position + 2]
        given[name] = _convert(name, value, given)
    for name, rule in RULES.items():
        if name not in given:
            raise OptionError(name, "", "is missing", rule.supported)
    options = Options._make(given[name] for name in RULES)
    if options.tool == "syscount" and options.attach != "tracepoint":
        raise OptionError("--attach", options.attach, "is not supported by syscount", "tracepoint")
    return options


def _convert(name: str, value: list[str], given: dict[str, object]) -> object:
    rule = RULES.get(name)
    if rule is None:
        raise OptionError(name, "".join(value), "is an unknown option", ", ".join(RULES))
    if not value:
        raise OptionError(name, "", "lacks its value", rule.supported)
    if name in given:
        raise OptionError(name, value[0], "is given twice", "each option once")
    try:
        return rule.convert(value[0])
    except ValueError:
        raise OptionError(name, value[0], "is not supported", rule.supported) from None
