# SPDX-License-Identifier: Apache-2.0
"""What pages say that commands print, held against what they do print.

A transcript is a fenced block of the kind `console`: a command behind `$ `, what it prints, and so on. A line `…`
stands for whatever was left out there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

LEFT_OUT = "…"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page says that it prints."""

    command: str
    printed: tuple[str, ...]


def steps(page: str) -> Iterator[Step]:
    """Yield the steps of a page, in their order. A backslash at the end of a command's line goes on in the next."""
    for block in BLOCK.findall(page):
        for step in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *printed = step.rstrip("\n").split("\n")
            yield Step(" ".join(command.split()), tuple(printed))


def label(line: str) -> str:
    """Return what begins a line, up to a colon, a number, or a column; empty, if it says nothing of the structure.

    That is so of a line that continues another, and of one with too few letters. Of an item of a list it is the first
    word: the rest is what was found.
    """
    text = line.strip()
    begins = text.split()[1] if text.startswith("- ") else re.split(r"[\d:]|  ", text)[0].strip()
    continues = len(line) - len(line.lstrip()) >= 4
    return "" if continues or len(re.findall(r"[A-Za-z]", begins)) < 3 else begins


def missing(said: Sequence[str], printed: Sequence[str]) -> str | None:
    """Return the first line that a page has and a command did not print there, None if it printed all of them.

    Nothing is left out but where the page has a line `…`.
    """
    rest, anywhere = [line.rstrip() for line in printed], False
    for wanted in _stretches(said):
        places = range(len(rest) - len(wanted) + 1) if anywhere else range(1)
        found = [_alike(wanted, rest[place:]) for place in places] or [0]
        if (most := max(found)) < len(wanted):
            return wanted[most]
        rest, anywhere = rest[found.index(most) + most :], True
    return None


def missing_label(said: Sequence[str], printed: Sequence[str]) -> str | None:
    """Return the first line of a page that has no like in what a command printed, for commands that measure.

    Lines are alike whose labels are the same. They have to come in the same order; others may lie in between.
    """
    rest = iter([label(line) for line in printed])
    return next((line for line in said if (wanted := label(line)) and wanted not in rest), None)


def _alike(wanted: Sequence[str], rest: Sequence[str]) -> int:
    """Return how many lines are the same, from the first on."""
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(wanted, rest, strict=False)))


def _stretches(said: Sequence[str]) -> Iterator[list[str]]:
    """Yield what lies between lines `…`."""
    stretch: list[str] = []
    for line in said:
        if line.strip() == LEFT_OUT:
            yield stretch
            stretch = []
        else:
            stretch.append(line.rstrip())
    yield stretch
