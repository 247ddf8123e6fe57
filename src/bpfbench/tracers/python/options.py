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
    wakeup: str
    """With the bytes of a watermark."""
    rings: int
    """Or ONE_EACH_CPU."""
    consumers: str
    output_bytes: int
    records: str
    buffer: str
    epoll: str

    @property
    def wake_bytes(self) -> int:
        """From how many bytes in the ring on its consumer is woken: 0 as the kernel does it, NEVER by none."""
        if self.wakeup == "adaptive":
            return 0
        return int(self.wakeup.removeprefix(WATERMARK)) if self.wakeup.startswith(WATERMARK) else NEVER


class Rule(NamedTuple):
    """What an option supports; convert raises ValueError for anything else."""

    supported: str
    convert: Callable[[str], object]
    usual: str | None = None
    """The value of what may be left out."""


ONE_EACH_CPU = 0
NEVER = 2**64 - 1
WATERMARK = "watermark:"


class OptionError(Exception):
    """One option at fault: its name, its value and what is supported."""

    def __init__(self, name: str, value: str, fault: str, supported: str) -> None:
        super().__init__(f"{name} {value!r} {fault}; supported: {supported}")


def one_of(*choices: str, usual: str | None = None) -> Rule:
    return Rule(", ".join(choices), lambda value: choices[choices.index(value)], usual)


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


def _wakeup(value: str) -> str:
    if value.startswith(WATERMARK):
        number(value.removeprefix(WATERMARK), 1, (1 << 30) - 1)
    elif value not in {"adaptive", "never", "poll"}:
        raise ValueError(value)
    return value


def _rings(value: str) -> int:
    return ONE_EACH_CPU if value == "cpu" else number(value, 1, 64)


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
    "--wakeup": Rule("adaptive, never, watermark:BYTES (1 to ringbuf-bytes - 1), poll", _wakeup, "adaptive"),
    "--rings": Rule("1 to 64, cpu", _rings, "1"),
    "--consumers": one_of("one", "ring", usual="one"),
    "--output-bytes": Rule("4096 to 67108864", lambda value: number(value, 4096, 1 << 26), "65536"),
    "--records": one_of("fixed", "variable", usual="fixed"),
    "--buffer": one_of("ring", "perf", usual="ring"),
    "--epoll": one_of("level", "edge", usual="level"),
}
"""In the order of Options. A tracer that supports less has rules of its own in their place."""


def parse(arguments: list[str], rules: Mapping[str, Rule] = RULES) -> Options:
    given: dict[str, str] = {}
    for position in range(0, len(arguments), 2):
        name, *value = arguments[position : position + 2]
        given[name] = _taken(name, value, given, rules)
    options = Options._make(_converted(name, given.get(name, rule.usual), rule) for name, rule in rules.items())
    if options.tool == "syscount" and options.attach != "tracepoint":
        raise OptionError("--attach", options.attach, "is not supported by syscount", "tracepoint")
    if options.tool == "fs-profile" and options.format != "text":
        raise OptionError("--format", options.format, "is not supported by fs-profile", "text")
    for name, rule in rules.items():
        if rule.usual is not None and given.get(name, rule.usual) != rule.usual:
            _check_knob(name, given[name], rule, options)
    return options


def _taken(name: str, value: list[str], given: Mapping[str, str], rules: Mapping[str, Rule]) -> str:
    if name not in rules:
        raise OptionError(name, "".join(value), "is an unknown option", ", ".join(rules))
    if not value:
        raise OptionError(name, "", "lacks its value", rules[name].supported)
    if name in given:
        raise OptionError(name, value[0], "is given twice", "each option once")
    return value[0]


def _converted(name: str, value: str | None, rule: Rule) -> object:
    if value is None:
        raise OptionError(name, "", "is missing", rule.supported)
    try:
        return rule.convert(value)
    except ValueError:
        raise OptionError(name, value, "is not supported", rule.supported) from None


def _check_knob(name: str, value: str, rule: Rule, options: Options) -> None:
    """Of one that is not as usual: whether it goes with the others."""
    of_no_use = options.tool in {"syscount", "fs-profile"} or (name == "--records" and options.tool == "rw-tracer")
    if of_no_use:
        raise OptionError(name, value, f"is not supported by {options.tool}", rule.usual or "")
    if name == "--wakeup" and options.ringbuf_bytes <= options.wake_bytes < NEVER:
        raise OptionError(name, value, "is more than the ring holds", rule.supported)
    if name == "--consumers" and options.rings == 1:
        raise OptionError(name, value, "is not supported with one ring", rule.usual or "")
    if name in {"--rings", "--records", "--epoll"} and options.buffer == "perf":
        raise OptionError(name, value, "is not supported with --buffer perf", rule.usual or "")
    if name == "--epoll" and options.wake_bytes == NEVER:
        raise OptionError(name, value, "is not supported where nobody is woken", rule.usual or "")


def complain(about: object, status: int) -> int:
    """Says it in one line on stderr; returns the exit status."""
    print("tracer:", " ".join(str(about).split()), file=sys.stderr, flush=True)
    return status
