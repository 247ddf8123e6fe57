# SPDX-License-Identifier: Apache-2.0
"""How a library is set as a knob says: lines of the sources of our tracers, which the conformance suite runs.

They stand between two comments there, `[snippet KNOB]` and `[end KNOB]`; between `[snippet KNOB of SETUP]` and the same
end they are for that setup and its alternatives alone. Such regions may overlap, and a knob may have several.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from textwrap import dedent

from bpfbench.catalogue import PACKAGE, SETUPS

LIBRARIES = {
    "bpftrace": ("bpftrace/*.py",),
    "bcc": ("bcc/*.c", "bcc/*.py"),
    "libbpf": ("common/*.h", "libbpf/*.c"),
    "ebpf-go": ("common/*.h", "ebpf-go/*.go"),
    "aya": ("aya/kernel/**/*.rs", "aya/user/**/*.rs"),
}
"""The sources of each library in tracers/, the kernel side first. A setup's name begins with its library's."""

MARK = re.compile(r"^\W*\[(snippet|end) (\w+)(?: of ([\w-]+))?\]\W*$")
TAB = 4


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines of one file that belong to a knob."""

    file: str
    """Its place in tracers/."""
    knob: str
    setup: str | None
    """Whose they are alone; None: every setup's of the library."""
    lines: tuple[str, ...]

    def is_of(self, setup: str) -> bool:
        """Tell whether a setup of the library does what they say."""
        return self.setup in (None, setup, SETUPS[setup].alternative_to)


def of(setup: str, knob: str) -> dict[str, tuple[str, ...]]:
    """Return the lines that set a knob, by file; none of a setup that is not ours, or has no such knob."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for own in of_library(library(setup) or ""):
        if own.knob == knob and own.is_of(setup):
            found[own.file] += [*([""] if found[own.file] else []), *own.lines]
    return {file: tuple(lines) for file, lines in found.items()}


def library(setup: str) -> str | None:
    """Return which library a setup is built with; None of one that is not ours."""
    return next((name for name in LIBRARIES if setup in SETUPS and re.match(rf"{name}(?![^@-])", setup)), None)


@cache
def of_library(name: str) -> tuple[Snippet, ...]:
    """Read all snippets of a library."""
    top = PACKAGE / "tracers"
    files = (path for sources in LIBRARIES.get(name, ()) for path in sorted(top.glob(sources)))
    return tuple(own for path in files for own in regions(path.relative_to(top).as_posix(), path.read_text()))


def regions(file: str, text: str) -> Iterator[Snippet]:
    """Yield the snippets of a file, each when it ends.

    Raises:
        ValueError: one begins twice, or has no end, or no beginning.
    """
    begun: dict[str, tuple[str | None, list[str]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.match(line)
        if mark is None:
            for _, lines in begun.values():
                lines.append(line)
            continue
        kind, knob, setup = mark.groups()
        if (kind == "end") != (knob in begun):
            raise ValueError(f"{file}:{number}: a snippet of {knob} {'ends' if kind == 'end' else 'begins'} twice")
        if kind == "snippet":
            begun[knob] = (setup, [])
            continue
        own, lines = begun.pop(knob)
        yield Snippet(file, knob, own, tuple(dedent("\n".join(lines)).expandtabs(TAB).strip("\n").split("\n")))
    if begun:
        raise ValueError(f"{file}: a snippet of {', '.join(begun)} has no end")
