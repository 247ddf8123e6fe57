# SPDX-License-Identifier: Apache-2.0
"""What pages say that commands print, held against what they do print; and pages written anew from that.

A transcript is a fenced block of the kind `console`: a command behind `$ `, what it prints, and so on. A line `…`
stands for whatever was left out there. What is said of a run that is stored is held to the byte; of what is measured
whenever somebody types it, every word is, but no number.

    sudo .venv/bin/python guide/transcripts.py [--write] [--stored] DIRECTORY PAGE …

types what the pages have, in DIRECTORY, where their runs stay, and says what is not as a page says it. With --write it
puts what was printed in its place. With --stored it types only what is about stored runs, which measures nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from operator import eq
from pathlib import Path

STORED = Path(__file__).parents[1] / "tests" / "data" / "runs"
WIDTH = 100
"""Of the terminal that pages show."""
LEFT_OUT = "…"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<printed>(?:(?!\$ ).*\n)*)", re.MULTILINE)
ITEM = re.compile(r" *- (\w+)")
STATES = ("ok", "note", "MISSING")
"""How the doctor's lines begin."""
MARKS = ("~", "?", "-", "±")
UNITS_OF_TIME = ("us", "µs", "ms", "s", "min", "h")
CLOSE = 0.6
"""How much of an entry is to be as it was, for its words to be written anew."""

Entry = tuple[str, ...]
"""The lines of what is said at once: one that stands for itself, and those that continue it."""
Alike = Callable[[Entry, Entry], bool]


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page says that it prints."""

    command: str
    printed: tuple[str, ...]

    @property
    def stored(self) -> bool:
        """Whether it is about a run that is stored, and so prints the same whenever it is typed."""
        words = shlex.split(self.command)
        return len(words) > 2 and words[0] == "bpfbench" and (STORED / words[2]).is_dir()


def steps(page: str) -> Iterator[Step]:
    """Yield the steps of a page, in their order. A backslash at the end of a command's line goes on in the next."""
    for block in BLOCK.findall(page):
        yield from map(_step, STEP.finditer(block))


def typed(step: Step, place: Path) -> list[str]:
    """Carry out a step in a directory, and return what it prints on stdout and stderr, as a terminal has it.

    Raises:
        CalledProcessError: it failed.
    """
    argv = [sys.executable, "-m", *shlex.split(step.command.removeprefix("sudo "))]
    if step.stored:
        argv += ["--runs-dir", str(STORED)]
    by_sudo = {"SUDO_USER": "reader"} if step.command.startswith("sudo ") else {}
    variables = os.environ | {"COLUMNS": str(WIDTH), "PYTHONUNBUFFERED": "1"} | by_sudo
    done = subprocess.run(argv, cwd=place, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()
    return done.stdout.splitlines()


def unlike(step: Step, printed: Sequence[str]) -> str | None:
    """Return the first line of a step that a page has and its command did not print there, None if it printed all."""
    return (missing if step.stored else missing_words)(step.printed, printed)


def missing(said: Sequence[str], printed: Sequence[str]) -> str | None:
    """Return the first line that a page has and a command did not print there, None if it printed all of them.

    Nothing is left out but where the page has a line `…`.
    """
    wanted = [(line.rstrip(),) for line in said]
    return _first_missing(wanted, [(line.rstrip(),) for line in printed], eq)


def missing_words(said: Sequence[str], printed: Sequence[str]) -> str | None:
    """Return the first line of a page whose words a command did not print there, for commands that measure."""
    return _first_missing(_written(entries(said)), _written(entries(printed)), alike)


def entries(lines: Sequence[str]) -> list[Entry]:
    """Return what lines say: one that is indented by four or more continues the one above it."""
    found: list[Entry] = []
    for line in (line.rstrip() for line in lines):
        if found and found[-1] not in (("",), (LEFT_OUT,)) and line.startswith("    "):
            found[-1] += (line,)
        else:
            found.append((line,))
    return found


def alike(said: Entry, printed: Entry) -> bool:
    """Tell whether two entries have the same words.

    What a run has found is in items of a list: there, only the word that an item begins with is the same for all runs.
    What the doctor finds depends on the machine: of what is ok on one and not on the other, only the name is the same.
    """
    items = [ITEM.match(entry[0]) for entry in (said, printed)]
    if items[0] and items[1]:
        return items[0][1] == items[1][1]
    ours, theirs = (re.split("  +", entry[0].strip()) for entry in (said, printed))
    if ours[0] != theirs[0] and ours[0] in STATES and theirs[0] in STATES:
        return ours[1] == theirs[1]
    return masked(said) == masked(printed)


def masked(entry: Entry) -> str:
    """Return an entry with 0 for its numbers, names and times that have a digit, and what stands beside them."""
    words: list[str] = []
    for word in " ".join(entry).split():
        after_number = words[-1:] == ["0"]
        if word in MARKS or set(word) == {"─"} or (after_number and word.strip("(),;:") in UNITS_OF_TIME):
            continue
        if not any(map(str.isdigit, word)):
            words.append(word)
        elif not after_number:
            words.append("0")
    return " ".join(words)


def rewritten(page: str, printed: Callable[[Step], Sequence[str] | None]) -> str:
    """Return a page with what its commands print now, where that is known, in place of what they printed then.

    Raises:
        ValueError: of an entry nothing was printed that is like it.
    """

    def step(found: re.Match[str]) -> str:
        now = printed(_step(found))
        if now is None:
            return found[0]
        lines = _anew(_step(found), now)
        return f"$ {found['command']}\n" + "".join(f"{line}\n" for line in lines)

    return BLOCK.sub(lambda block: STEP.sub(step, block[0]), page)


def _anew(step: Step, lines: Sequence[str]) -> Iterator[str]:
    said, printed = entries(step.printed), _written(entries(lines))
    wanted = [entry for entry in _written(said) if entry != (LEFT_OUT,)]
    places = max((_places(_written(said), printed, like) for like in (alike, _close)), key=len)
    if len(places) < len(wanted):
        raise ValueError(f"{step.command}: nothing is printed like: {wanted[len(places)][0]}")
    now = iter([printed[place] for place in places])
    for entry in said:
        for line in entry if entry in (("",), (LEFT_OUT,)) else next(now):
            yield from textwrap.wrap(line, WIDTH, subsequent_indent=" " * 4) if len(line) > WIDTH else (line,)


def _step(found: re.Match[str]) -> Step:
    printed = found["printed"].rstrip("\n")
    return Step(" ".join(found["command"].replace("\\\n", "").split()), tuple(printed.split("\n")) if printed else ())


def _close(said: Entry, printed: Entry) -> bool:
    return alike(said, printed) or SequenceMatcher(None, masked(said), masked(printed)).ratio() > CLOSE


def _written(found: Sequence[Entry]) -> list[Entry]:
    """Return entries that are not blank."""
    return [entry for entry in found if entry != ("",)]


def _first_missing(said: Sequence[Entry], printed: Sequence[Entry], like: Alike) -> str | None:
    wanted = [entry for entry in said if entry != (LEFT_OUT,)]
    found = _places(said, printed, like)
    return wanted[len(found)][0] if len(found) < len(wanted) else None


def _places(said: Sequence[Entry], printed: Sequence[Entry], like: Alike) -> list[int]:
    """Return where each entry of a page was printed, up to the first that was not."""
    places: list[int] = []
    begin, anywhere = 0, False
    for stretch in _stretches(said):
        starts = range(begin, len(printed) + 1) if anywhere else (begin,)
        found = max((_from(stretch, printed, start, like) for start in starts), key=len)
        places += found
        if len(found) < len(stretch):
            break
        begin, anywhere = found[-1] + 1 if found else begin, True
    return places


def _from(stretch: Sequence[Entry], printed: Sequence[Entry], at: int, like: Alike) -> list[int]:
    """Return where the entries of a stretch were printed, from a place on.

    Between two items there may be others, but where all is held to the byte.
    """
    places: list[int] = []
    for entry in stretch:
        while places and like is not eq and _between_items(entry, printed[at:], like):
            at += 1
        if at >= len(printed) or not like(entry, printed[at]):
            break
        places.append(at)
        at += 1
    return places


def _between_items(entry: Entry, rest: Sequence[Entry], like: Alike) -> bool:
    """Tell whether an item is looked for, and another is printed here."""
    items = bool(rest) and all(ITEM.match(one[0]) for one in (entry, rest[0]))
    return items and not like(entry, rest[0])


def _stretches(said: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield what lies between lines `…`."""
    stretch: list[Entry] = []
    for entry in said:
        if entry == (LEFT_OUT,):
            yield stretch
            stretch = []
        else:
            stretch.append(entry)
    yield stretch


def main(words: Sequence[str]) -> int:
    """Check pages, or write them anew; return 1 if one is not as its commands print."""
    write, stored = (option in words for option in ("--write", "--stored"))
    directory, *pages = (Path(word).absolute() for word in words if not word.startswith("--"))
    directory.mkdir(parents=True, exist_ok=True)
    differ = 0
    for page in pages:
        text = page.read_text()
        outputs = {step: typed(step, directory) for step in steps(text) if step.stored or not stored}
        for step, printed in outputs.items():
            if (line := unlike(step, printed)) is not None:
                differ += 1
                sys.stdout.write(f"{page.name}: {step.command}: not printed: {line}\n")
        if write:
            page.write_text(rewritten(text, outputs.get))
    return int(differ > 0 and not write)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
