# SPDX-License-Identifier: Apache-2.0
"""The values that a user may give: how each kind is read, and what is said of one that does not do.

A reader takes what TOML or the command line has, and returns the value. It raises ValueError, whose text says what is
wrong and what would do; who calls it adds where the value stands. Some take a check: a reader of what they have read.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bpfbench.model import PER_CPU, Waking

Reader = Callable[[Any], Any]

LONGEST_SHOWN = 80
"""Characters of a text that is shown because it is wrong."""
SIZE = 'a size in bytes, or a text such as "256KiB",'
PREFIXES = "kmgtpe"
RINGBUF_BYTES_MAX = 2**30
RINGS_MAX = 64
HOSTS_MAX = 64
DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+")
"""What Debian calls packages."""


class EmptyError(ValueError):
    """A list without a value."""


def choice_message(value: object, choices: Sequence[str]) -> str:
    """Say that a value is not among the choices, which they are, and which was meant."""
    close = difflib.get_close_matches(value, choices, 1) if isinstance(value, str) else ()
    guess = f" (did you mean {str(close[0])!r}?)" if close else ""
    return f"{shown(value)} is not one of: {', '.join(choices)}{guess}"


def shown(value: object) -> str:
    """Write a TOML value as the user did, more or less."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return repr(str(value) if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…")
        case list():
            return f"[{', '.join(map(shown, value))}]"
        case dict():
            return "a table"
    return str(value)


def one_of(choices: Sequence[Any]) -> Reader:
    """Accept one of these texts."""

    def read(value: object) -> Any:
        if value not in choices:
            raise ValueError(choice_message(value, choices))
        return choices[choices.index(value)]

    return read


def several(each: Reader) -> Reader:
    """Accept one value, or a list of them, which becomes a tuple; one that is given twice counts once."""

    def read(value: object) -> tuple[Any, ...]:
        if value == []:
            raise EmptyError("the list is empty; give at least one value")
        return tuple(dict.fromkeys(map(each, value if isinstance(value, list) else [value])))

    return read


def text(check: Reader = str) -> Reader:
    """Accept a text."""
    return lambda value: check(_wanted(value, "a text", str))


def flag(value: object) -> Any:
    """Accept a truth value."""
    return _wanted(value, "true or false", bool)


def whole(least: float, most: float = math.inf) -> Reader:
    """Accept a whole number."""
    return lambda value: _between(_wanted(value, "a whole number", int), least, most)


def number(least: float, most: float, least_is: str = "") -> Reader:
    """Accept a number, which becomes a float; the least may have a name."""

    def read(value: object) -> Any:
        found: Any = _wanted(value, "a number", int, float)
        with contextlib.suppress(OverflowError):  # so large a number is out of range
            found = float(found)
        return _between(found, least, most, least_is)

    return read


def size(least: float, most: float = math.inf, check: Reader = int) -> Reader:
    """Accept a number of bytes, as such or as a text with a unit."""

    def read(value: object) -> Any:
        given = _wanted(value, SIZE, int, str)
        parts = re.fullmatch(rf"\s*(\d*\.?\d+)\s*(?:([{PREFIXES}])(i?))?b?\s*", str(given), re.IGNORECASE)
        if (isinstance(given, str) and parts is None) or (isinstance(given, int) and given < 0):
            raise ValueError(f"{shown(given)} is no size; {SIZE} is wanted")
        if isinstance(given, str) and parts is not None:
            count, prefix, binary = parts.groups()
            unit = (1024 if binary else 1000) ** (1 + PREFIXES.index(prefix.lower())) if prefix else 1
            given = int(float(count) * unit)
        return check(_between(given, least, most))

    return read


def _wanted(value: object, what: str, *kinds: type) -> Any:
    """Refuse values of other types; a bool is not an int."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{what} is wanted, not {shown(value)}")
    return value


def _between(value: Any, least: float, most: float, least_is: str = "") -> Any:
    if not least <= value <= most:
        low, high, given = (
            f"{x:.{2 if 0 < x < 0.01 else 6}g}" if isinstance(x, float) else x for x in (least, most, value)
        )
        named = f"{low} ({least_is})" if least_is else low
        valid = f"{named} or more" if most == math.inf else f"{named} to {high}"
        raise ValueError(f"{given} is out of range; valid is {valid}")
    return value


def power_of_two(value: int) -> int:
    """Check the size of a ring buffer."""
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"a BPF ring buffer is a power of two: {below} or {2 * below}, not {value}")
    return value


def wakeup(value: object) -> str:
    """Accept a word, or that of a watermark with its size."""
    word, _, count = str(value).partition(":")
    if word == Waking.WATERMARK and count:
        return f"{word}:{size(1, RINGBUF_BYTES_MAX - 1)(count)}"
    if word not in tuple(Waking) or word == Waking.WATERMARK or count:
        raise ValueError(f"{shown(value)} is not one of: adaptive, never, poll, watermark:BYTES, as in watermark:4KiB")
    return word


def rings(value: object) -> str:
    """Accept a number, or the word for one ring on each CPU."""
    if value == PER_CPU:
        return PER_CPU
    given = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= RINGS_MAX:
        raise ValueError(f"{shown(value)} is no number of rings: 1 to {RINGS_MAX}, or {PER_CPU!r}, one for each CPU")
    return str(given)


def file_name(value: str) -> str:
    """Check a name that becomes part of a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
        raise ValueError(
            f"{shown(value)} is no name; write 1 to 64 letters, digits, '_', '.' and '-', first a letter or digit"
        )
    return value


def host_name(value: str) -> str:
    """Check the name of a host."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError(f"{shown(value)} is no host name; write 1 to 63 of a-z, 0-9 and '-', no '-' first or last")
    return value


def host_names(value: object) -> tuple[str, ...]:
    """Accept a number of hosts, or their names."""
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(f"vm{number}" for number in range(1, whole(1, HOSTS_MAX)(value) + 1))
    names: list[Any] = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"a number of hosts, or a list of their names, is wanted, not {shown(value)}")
    return tuple(dict.fromkeys(map(host_name, names)))


def existing_directory(value: str) -> str:
    """Make the path of a directory absolute: a run may be resumed elsewhere."""
    with contextlib.suppress(OSError, RuntimeError):  # a name too long, the home of nobody
        path = Path(value).expanduser()
        if value and path.is_dir():
            return str(path.resolve())
    raise ValueError(f"{value!r} is not an existing directory; create it or choose another")


def existing_file(folder: Path) -> Reader:
    """Accept the path of a file, relative to `folder`; it becomes absolute."""

    def read(value: object) -> Path:
        given = Path(text()(value))
        with contextlib.suppress(OSError, RuntimeError):  # a name too long, the home of nobody
            path = (folder / given.expanduser()).absolute()
            if path.is_file():
                return path
        raise ValueError(f"{str(given)!r} is not an existing file")

    return read


def executable(folder: Path) -> Reader:
    """Accept a command, whose path is relative to `folder` and becomes absolute."""

    def read(value: object) -> tuple[str, ...]:
        words = tuple(map(text(), value if isinstance(value, list) else [value]))
        if not words:
            raise ValueError('the list is empty; give the path of an executable, as in ["./tracer"]')
        try:
            path = (folder / Path(words[0]).expanduser()).resolve()
            is_file = path.is_file()
        except (OSError, RuntimeError):  # a name too long, the home of nobody
            path, is_file = Path(words[0]), False
        if not is_file:
            raise ValueError(f"{str(path)!r} is not a file; give the path of an executable, relative to the study file")
        if not os.access(path, os.X_OK):
            raise ValueError(f"{str(path)!r} is not executable; run: chmod +x {path}")
        return (str(path), *words[1:])

    return read


UNITS_OF_TIME_S = {"s": 1, "min": 60, "m": 60, "h": 3600}


def seconds(value: object) -> float:
    """Accept a time, such as "90s", "10min" or "1.5h"."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([a-z]+)", str(value).strip())
    if found is None or found[2] not in UNITS_OF_TIME_S or not float(found[1]):
        raise ValueError(f"{shown(value)} is no time; write a number and s, min or h, as in 10min")
    return float(found[1]) * UNITS_OF_TIME_S[found[2]]
