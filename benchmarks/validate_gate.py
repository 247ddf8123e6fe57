#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gate on real runs: how often `compare --fail-on` fails where a slowdown was planted, and where none was.

    sudo python benchmarks/validate_gate.py [--times 10] [--repetitions 6] [--limit 'runtime_s > 10 %'] [--steps 15]

What is guarded is a tracer of one's own, a command: a bpftrace script that counts fio's writes. Where a slowdown is
planted, it updates a map so many times more at each write; the study is the same. Each run is compared with the run
before it that had none. Runs with and without take turns at coming first. Prints a table; exit status 1 if a gate was
wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench import cli

STUDY = """
name = "gated"
repetitions = {repetitions}
[factors]
setups = "own"
tools = "rw-tracer"
workloads = "write"
scale = {scale}
[setups.own]
kind = "command"
tool = "rw-tracer"
command = ["bpftrace", "-q", "{{files}}/own.bt", "{{comm}}"]
"""
SCRIPT = """
tracepoint:syscalls:sys_enter_pwrite64 /comm == str($1)/ {{
    @calls = count();
    $step = 0;
    while ($step < {steps}) {{
        @slow[$step % 8] = nsecs;
        $step++;
    }}
}}
"""
PLANTED = {False: "none", True: "a slower tracer"}


@dataclass(frozen=True, slots=True)
class Gate:
    """How one was judged."""

    planted: bool
    verdict: str
    change: float
    """In the unit of the limit."""


def bpfbench(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Call it; it is no mistake, whatever it finds."""
    argv = [sys.executable, "-m", "bpfbench", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(argv)} ended with status {done.returncode}: {done.stderr}")
    return done


def measured(place: Path, name: str, steps: int) -> Path:
    """Run the study with a tracer that does so much more at each write."""
    (place / "own.bt").write_text(SCRIPT.format(steps=steps))
    run = place / name
    done = bpfbench("run", place / "study.toml", "--run-dir", run, "--data-dir", place, "--wait")
    if done.returncode:
        raise SystemExit(f"a trial failed: {done.stderr}")
    return run


def gate(before: Path, after: Path, limit: str, planted: bool) -> Gate:
    """Judge a run."""
    done = bpfbench("compare", before, after, "--fail-on", limit, "--json")
    found: dict[str, Any] = json.loads(done.stdout)["data"]
    (own,) = found["gate"]
    if (own["verdict"] == "failed") != bool(done.returncode):
        raise SystemExit(f"the verdict is {own['verdict']}, and the exit status {done.returncode}")
    return Gate(planted, own["verdict"], own["change"])


def gates(place: Path, limit: str, times: int, steps: int) -> Iterator[Gate]:
    """Judge runs with and without, so many times each."""
    before = measured(place, "plain0", 0)
    for number in range(1, times + 1):
        order = (False, True) if number % 2 else (True, False)
        runs = {planted: measured(place, f"{number}-{planted:d}", steps * planted) for planted in order}
        for planted in order:
            yield gate(before, runs[planted], limit, planted)
        before = runs[False]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=6)
    parser.add_argument("--limit", default="runtime_s > 10 %")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--scale", type=float, default=2**-8, help="of 32 GiB for each of 4 processes")
    given = parser.parse_args()
    found: dict[bool, list[Gate]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bpfbench-gate-", dir=cli.cache_dir()) as folder:
        place = Path(folder)
        (place / "study.toml").write_text(STUDY.format(repetitions=given.repetitions, scale=given.scale))
        for own in gates(place, given.limit, given.times, given.steps):
            found[own.planted].append(own)
            print(f"{PLANTED[own.planted]}: {own.change:+.1f}, {own.verdict}", file=sys.stderr)
    print(f"| planted | runs judged by `{given.limit}` | failed | passed | undecided | change |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for planted, judged in sorted(found.items()):
        counts = [sum(one.verdict == verdict for one in judged) for verdict in ("failed", "passed", "undecided")]
        changes = sorted(one.change for one in judged)
        print(f"| {PLANTED[planted]} |", *(f"{n} |" for n in (len(judged), *counts)), end=" ")
        print(f"{changes[0]:+.0f} to {changes[-1]:+.0f} |")
    sys.exit(any((own.verdict == "failed") != own.planted for each in found.values() for own in each))


if __name__ == "__main__":
    main()
