#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutants of studies, records, plans and runs: one clear message each, no traceback, no impossible value in a number.

    python benchmarks/fuzz.py [--mutants 1000] [--seed 1] [--kind study record plan run]

Each mutant is one change: a byte, a cut, a key that is gone, doubled or new, a value of another type, a number that
cannot be, a text that is to do harm. Studies are planned; of a run with a mutant in it, a summary, its status, its CSV
and, every tenth time, its page are made, and it is resumed, which replays what is on record. Everything happens in this
process, in a directory of its own, outside of which nothing may appear. Prints a table; exit status 1 if one was found.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import math
import os
import random
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

TOP = Path(__file__).parents[1]
RUNS = TOP / "tests" / "data" / "runs"
HARM = (
    "../../../escape",
    "/etc/passwd",
    "",
    "\x1b[2J",
    "a\nb",
    "<script>",
    "$(id)",
    "%s%n",
    "\ud800",
    "x" * 5000,
    "🐝",
)
NO_NUMBERS = ("-1", "-1e9", "NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "18446744073709551616")
OTHERS = ("null", "true", '"text"', "[]", "{}", "[[[]]]", "0", "1.5")
NUMBER = re.compile(r"(?<=[:\[,\n ])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[,\]\n}])")
VALUE = re.compile(r'(?<=: )(?:"(?:[^"\\]|\\.)*"|-?\d[^,\n]*|true|false|null)(?=,?\n)')
KEY = re.compile(r'"[A-Za-z_0-9.]+"(?=: )')


LONGEST = 6000
"""Characters of a message: paths are written out."""
KINDS = ("study", "record", "plan", "run")
OURS = ("cache", "turn")
"""What is beside runs on purpose."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text with one change."""

    what: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """How a verb ended."""

    status: int | None
    """None: it raised."""
    out: str
    err: str
    problem: str = ""


def json_mutant(text: str, chance: random.Random) -> Mutant:
    """Change one thing about JSON."""
    kinds: dict[str, Callable[[str, random.Random], str]] = {
        "a number that cannot be": lambda own, by: _put(own, NUMBER, NO_NUMBERS, by),
        "a value of another type": lambda own, by: _put(own, VALUE, OTHERS, by),
        "a text to do harm": lambda own, by: _put(own, re.compile(r'(?<=: )"(?:[^"\\]|\\.)*"'), _quoted(), by),
        "a key that is another": lambda own, by: _put(own, KEY, ('"colour"', '""', '"__class__"', '"id"'), by),
        "a number that is another": lambda own, by: _put(own, NUMBER, ("0", "1", "1000000", "0.5"), by),
        "a line that is gone": lambda own, by: _without_line(own, by),
    }
    what = chance.choice([*kinds, *_bytewise])
    if what in _bytewise:
        return Mutant(what, _bytewise[what](text.encode(), chance))
    return Mutant(what, kinds[what](text, chance).encode())


def toml_mutant(text: str, chance: random.Random) -> Mutant:
    """Change one thing about a study."""
    number = re.compile(r"(?<=[=\[,] )-?\d+(?:\.\d+)?|(?<== )-?\d+")
    value = re.compile(r"(?<= = ).+")
    kinds: dict[str, Callable[[str, random.Random], str]] = {
        "a number that cannot be": lambda own, by: _put(
            own, number, ("-1", "nan", "inf", "-inf", "1e300", "9" * 40), by
        ),
        "a value of another type": lambda own, by: _put(
            own, value, ("true", '"text"', "[]", "{}", "[[1]]", "1979-05-27"), by
        ),
        "a text to do harm": lambda own, by: _put(own, re.compile(r'"[^"\n]*"'), _quoted(), by),
        "a key that is another": lambda own, by: _put(
            own, re.compile(r"(?m)^\w+(?= =)"), ("colour", "name", "seed"), by
        ),
        "a number that is another": lambda own, by: _put(own, number, ("0", "1", "4097", "0.5", "100000"), by),
        "a line that is gone": _without_line,
        "a line twice": _line_twice,
    }
    what = chance.choice([*kinds, *_bytewise])
    if what in _bytewise:
        return Mutant(what, _bytewise[what](text.encode(), chance))
    return Mutant(what, kinds[what](text, chance).encode(errors="surrogatepass"))


def _quoted() -> tuple[str, ...]:
    return tuple(json.dumps(text) for text in HARM)


def _put(text: str, place: re.Pattern[str], values: Sequence[str], chance: random.Random) -> str:
    found = list(place.finditer(text))
    if not found:
        return text
    at = chance.choice(found)
    return text[: at.start()] + chance.choice(values) + text[at.end() :]


def _without_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return "".join(lines)


def _line_twice(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    return "".join([*lines[:at], lines[at], *lines[at:]])


def _byte(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]


_bytewise: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a byte that is another": _byte,
    "a text that is cut": lambda content, chance: content[: chance.randrange(len(content))],
    "another file": lambda _, chance: chance.choice(
        (b"", b"[" * 100_000, b"\0" * 4096, b"\xff\xfe{\0}\0", b"null", b"{}")
    ),
}


def called(*words: str) -> Said:
    """Call bpfbench in this process."""
    from bpfbench import cli

    # Encoded as a pipe's would be. The consoles write to whatever sys.stdout and sys.stderr are.
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    with mock.patch("sys.argv", ["bpfbench", *words]), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
            problem = "" if status in (0, 1, 2, 3) else f"exit status {status}"
            return Said(status, _of(out), _of(err), problem)
        except BaseException:
            return Said(None, _of(out), _of(err), traceback.format_exc(limit=-4))


def _of(file: io.TextIOWrapper) -> str:
    file.flush()
    file.seek(0)
    return file.read()


def complaint(said: Said) -> str:
    """Say what is wrong with how a verb refused: more than a message and a hint, or none."""
    if said.problem or said.status == 0:
        return said.problem
    lines = [line for line in said.err.splitlines() if line.startswith("bpfbench: ")]
    hints = [line for line in said.err.splitlines() if line.startswith("  ")]
    if len(lines) != 1 or len(hints) > 1 or not lines[0].isprintable() or len(lines[0]) > LONGEST:
        return f"no clear message: {said.err!r:.500}"
    return ""


def possible(data: Any) -> bool:
    """Tell whether every number in JSON can be."""
    if isinstance(data, dict):
        return all(map(possible, data.values()))
    if isinstance(data, list):
        return all(map(possible, data))
    return not isinstance(data, (int, float)) or (math.isfinite(data) and 0 <= data < 2**64)


class Field:
    """A directory in which everything happens."""

    def __init__(self, home: Path, chance: random.Random) -> None:
        self.home, self.chance = home, chance
        self.count = 0
        self.runs = [home / shutil.copytree(RUNS / name, home / name).name for name in ("format-4", "format-5")]

    def study(self) -> tuple[Mutant, str]:
        """Plan a study that is a mutant."""
        shipped = sorted((TOP / "src/bpfbench/studies").glob("*.toml")) + sorted((TOP / "examples").glob("*.toml"))
        mutant = toml_mutant(self.chance.choice(shipped).read_text(), self.chance)
        path = self.home / "mutant.toml"
        path.write_bytes(mutant.text)
        said = called("plan", str(path), "--json")
        if (wrong := complaint(said)) or said.status != 0:
            return mutant, wrong
        return mutant, "" if possible(json.loads(said.out)) else "an impossible value is planned"

    def record(self) -> tuple[Mutant, str]:
        """Read a run, one of whose records is a mutant."""
        run = self.chance.choice(self.runs)
        path = self.chance.choice(sorted(run.glob("trials/*/record.json")))
        before = path.read_bytes()
        mutant = json_mutant(before.decode(), self.chance)
        path.write_bytes(mutant.text)
        try:
            return mutant, self._read(run, path.parent.name, mutant)
        finally:
            path.write_bytes(before)

    def _read(self, run: Path, trial: str, mutant: Mutant) -> str:
        self.count += 1
        verbs = [("status", "--json"), ("summary",), ("export", "--format", "csv")]
        if not self.count % 10:
            shutil.rmtree(self.home / "page", ignore_errors=True)
            verbs += [("report", "--output", str(self.home / "page")), ("claims",), ("compare", str(self.runs[0]))]
        for verb, *options in verbs:
            said = called(verb, str(run), *options)
            if said.status not in (0, 2) or said.problem:  # 2: compared with itself, or with what it cannot be
                return f"{verb}: {said.problem or said.err or said.status}"
        found = json.loads(called("status", str(run), "--json").out)["data"]
        rows = called("export", str(run), "--format", "csv").out
        from bpfbench.store import Run

        (own,) = (record for record in Run(run).records() if record.trial.id == trial)
        if own.status.value == "ok" and not possible(json.loads(mutant.text)):
            return "an impossible value counts"
        values = {value for row in csv.DictReader(io.StringIO(rows)) for key, value in row.items() if key != "reason"}
        if any(re.fullmatch(r"-?(nan|inf)", value, re.IGNORECASE) for value in values):
            return "an impossible value is exported"
        return (
            ""
            if found["ok"] + found["failed"] + found["invalid"] == len(list(run.glob("trials/*")))
            else "a trial is gone"
        )

    def plan(self) -> tuple[Mutant, str]:
        """Read and resume a run whose plan is a mutant."""
        return self._resumed("plan.json")

    def run(self) -> tuple[Mutant, str]:
        """Read and resume a run that says something else of itself."""
        return self._resumed("run.json")

    def _resumed(self, name: str) -> tuple[Mutant, str]:
        source = self.chance.choice(self.runs)
        run = self.home / "resumed" / source.name
        shutil.rmtree(run.parent, ignore_errors=True)
        shutil.copytree(source, run)
        first = min(run.glob("trials/*"))
        shutil.rmtree(first)
        path = run / name
        mutant = json_mutant(path.read_text(), self.chance)
        path.write_bytes(mutant.text)
        before = self.outside(run)
        for words in (("summary", str(run)), ("run", "--resume", str(run))):
            said = called(*words)
            if wrong := said.problem or (complaint(said) if said.out == "" else ""):
                return mutant, f"{words[0]}: {wrong}"
        return mutant, "" if self.outside(run) == before else f"it wrote elsewhere: {self.outside(run) - before}"

    def outside(self, run: Path) -> set[str]:
        """Return every path but those in a run."""
        ours = (run, *(self.home / name for name in OURS))
        found = {str(path) for path in self.home.rglob("*") if not any(own in (path, *path.parents) for own in ours)}
        return found | {str(path) for path in (Path("/escape"), self.home.parent / "escape") if path.exists()}


@contextlib.contextmanager
def ground(home: Path) -> Iterator[None]:
    """Have runs go on by what is on record, on a machine of which nobody else is waited for."""
    from bpfbench.machine import facts, turn
    from bpfbench.machine.facts import Storage
    from bpfbench.run import stage
    from bpfbench.store import Run
    from bpfbench.testbed import image, replay

    recorded = Run(RUNS / "format-5")
    roomy = Storage("/", 1, "/dev/vda", "ext4", 10**15)
    held = replay.ReplayTestbed(recorded, Path(), Path()).image
    own = {"BPFBENCH_CACHE": str(home / "cache"), turn.STAND_IN: str(home / "turn")}
    with (
        mock.patch.dict(os.environ, own),
        mock.patch.object(facts, "storage", lambda path: replace(roomy, path=str(path))),
        mock.patch.dict(stage.VENUES, {"host": replay.venue(recorded)}),
        mock.patch.object(image, "with_key", return_value=held),
    ):
        yield


def tried(kind: str, mutants: int, seed: int) -> tuple[Counter[str], list[tuple[Mutant, str]]]:
    """Try so many mutants; return how many there were of which kind, and those that something was wrong with."""
    counts: Counter[str] = Counter()
    wrong: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory(prefix="bpfbench-fuzz-") as home, ground(Path(home)):
        before = Path.cwd()
        os.chdir(home)
        try:
            field = Field(Path(home), random.Random(f"{kind} {seed}"))  # noqa: S311 - no secret
            for _ in range(mutants):
                mutant, problem = getattr(field, kind)()
                counts[mutant.what] += 1
                if problem:
                    wrong.append((mutant, problem))
        finally:
            os.chdir(before)
    return counts, wrong


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", nargs="+", default=KINDS)
    given = parser.parse_args()
    counts, bad = dict[str, Counter[str]](), Counter[str]()
    for kind in given.kind:
        counts[kind], wrong = tried(kind, given.mutants, given.seed)
        bad[kind] = len(wrong)
        for mutant, problem in wrong[:20]:
            print(f"{kind}, {mutant.what}: {problem}", file=sys.stderr)
    rows: list[tuple[str, Iterable[object]]] = [("what was changed", counts), ("---", ["---:"] * len(counts))]
    for what in sorted(set().union(*counts.values())):
        rows.append((what, [own[what] for own in counts.values()]))
    rows += [("all", [own.total() for own in counts.values()]), ("wrong", [bad[kind] for kind in counts])]
    for first, cells in rows:
        print("|", " | ".join([first, *map(str, cells)]), "|")
    sys.exit(1 if bad.total() else 0)


if __name__ == "__main__":
    main()
