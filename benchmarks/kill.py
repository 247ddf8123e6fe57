#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a running campaign again and again, by SIGKILL at a random moment, and counts what was lost and what was left.

    sudo python benchmarks/kill.py [--kills 100] [--seed 1] [--testbed host|vm] [-- OPTIONS OF bpfbench run]

Each time the campaign goes on with --resume; when it is complete, another begins. After each kill, what is there is
compared with what was there before it: the records of trials that had ended, each whole and the same, and on the
machine BPF programs and ring buffers, processes, mounts, control groups and files in the output directory. Nobody else
is to measure meanwhile: the turn is held while that is looked at. Prints a table; exit status 1 if anything was lost or
left.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench import cli
from bpfbench.inside import leftovers
from bpfbench.machine import turn
from bpfbench.store import Run

STUDY = """
name = "killed"
repetitions = 2
[factors]
setups = ["bpftrace", "bcc", "libbpf", "ebpf-go", "aya-async"]
tools = ["rw-tracer"]
workloads = ["read"]
scale = 0.00048828125
[settings]
rest_s = 0
"""
OURS = re.compile(rb"/bpfbench/tracers/|bpfbench\.inside|/bpfbench/workloads/|(^|/)bpftrace\0|qemu-system-.*bpfbench")
"""What a campaign starts has these on its command line."""


@dataclass
class Tally:
    """What came of all kills."""

    kills: int = 0
    campaigns: int = 0
    records: int = 0
    lost: int = 0
    damaged: int = 0
    before_any: int = 0
    """Kills before the run directory was there."""
    left: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


def processes() -> frozenset[str]:
    """Return the processes that a campaign has started, of the whole machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if OURS.search(line):
            found.add(f"{path.parent.name} {line.replace(bytes(1), b' ').decode(errors='replace')[:120]}")
    return frozenset(found)


def there(output: Path) -> leftovers.Inventory:
    """Return what there is on the machine that a campaign could leave."""
    return {**leftovers.take(output), "processes": processes()}


def left_since(before: leftovers.Inventory, output: Path) -> leftovers.Inventory:
    """Return what is there and was not, after the time that the kernel and our children need."""

    def new() -> leftovers.Inventory:
        found = {kind: own - before[kind] for kind, own in there(output).items()}
        return {kind: own for kind, own in found.items() if own}

    return leftovers.settled(new, 10.0)


def records(path: Path) -> dict[str, bytes]:
    """Return the records of a run, by trial, as they are on the disk; none where there is no run yet."""
    if not (path / "run.json").exists():
        return {}
    return {own.parent.name: own.read_bytes() for own in path.glob("trials/*/record.json")}


def begun(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a campaign."""
    with log.open("ab") as file:
        argv = [sys.executable, "-m", "bpfbench", "run", *words]
        return subprocess.Popen(argv, stdout=file, stderr=file, stdin=subprocess.DEVNULL)


def finished(words: list[str], log: Path) -> float:
    """Run one to its end; return how long that took. A trial that failed, as beside others it may, ends it no worse."""
    began_s = time.monotonic()
    process = begun(words, log)
    try:
        status = process.wait()
    finally:
        process.kill()
        process.wait()
    if status not in (0, 1):
        raise SystemExit(f"bpfbench run {' '.join(words)} ended with {status}: {log.read_text()[-1000:]}")
    return time.monotonic() - began_s


def look(path: Path, known: dict[str, bytes], before: leftovers.Inventory, output: Path, tally: Tally) -> None:
    """Count what a kill has lost and left."""
    now = records(path)
    tally.lost += sum(now.get(name) != content for name, content in known.items())
    if now:
        bad = [own for own in Run(path).records() if "cannot be used" in (own.reason or "")]
        tally.damaged += len(bad)
        tally.examples += [f"{own.trial.id}: {own.reason}" for own in bad[:3]]
    with turn.alone(lambda _: None):
        for kind, own in left_since(before, output).items():
            tally.left[kind] += len(own)
            tally.examples += [f"{kind}: {one}" for one in sorted(own)[:3]]


def killed(place: Path, words: list[str], kills: int, seed: int) -> Tally:
    """Kill campaigns so many times, and let each that is left come to its end."""
    tally, chance = Tally(), random.Random(seed)  # noqa: S311 - no secret
    output, log = place / "output", place / "log.txt"
    output.mkdir()
    words = [*words, "--output-dir", str(output), "--wait"]
    whole_s = finished([*words, "--run-dir", str(place / "whole")], log)
    planned = len(Run(place / "whole").plan())
    if len(records(place / "whole")) < planned:
        raise SystemExit(f"no campaign comes to its end here: {log.read_text()[-1000:]}")
    with turn.alone(lambda _: None):
        before = there(output)
    path = place / "none"
    while tally.kills < kills:
        if not (path / "run.json").exists() or len(records(path)) == planned:
            tally.campaigns += 1
            path = place / f"run{tally.campaigns}"
        resumed = (path / "run.json").exists()
        process = begun(["--resume", str(path), "--wait"] if resumed else [*words, "--run-dir", str(path)], log)
        ends_s = time.monotonic() + chance.uniform(0.0, whole_s)
        known: dict[str, bytes] = {}
        try:
            while time.monotonic() < ends_s and process.poll() is None:
                known = records(path)
                time.sleep(0.002)
            if process.poll() is not None:
                continue  # it was faster than we
        finally:
            process.kill()
            process.wait()
        tally.kills += 1
        tally.records += len(known)
        tally.before_any += not (path / "run.json").exists()
        look(path, known, before, output, tally)
        print(
            f"{tally.kills}/{kills}: {len(known)} records, lost {tally.lost}, left {dict(tally.left)}", file=sys.stderr
        )
    if (path / "run.json").exists() and len(records(path)) < planned:
        finished(["--resume", str(path), "--wait"], log)
        tally.lost += planned - len(records(path))
    partial = [own for own in place.glob("run*/partial") if any(own.iterdir())]
    tally.left["files"] += len(partial)
    return tally


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--testbed", default="host")
    parser.add_argument("options", nargs="*", help="for bpfbench run")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="bpfbench-kill-", dir=cli.cache_dir()) as folder:
        place = Path(folder)
        (place / "killed.toml").write_text(STUDY)
        words = [str(place / "killed.toml"), "--testbed", given.testbed, *given.options]
        tally = killed(place, words, given.kills, given.seed)
    kinds = (leftovers.TRACING_PROGRAMS, leftovers.RING_BUFFERS, "processes", "mounts", "control groups", "files")
    print("| kills | before there was a run | records at stake | lost | damaged |", *(f"{kind} |" for kind in kinds))
    print("| ---: | ---: | ---: | ---: | ---: |", *("---: |" for _ in kinds))
    numbers = (tally.kills, tally.before_any, tally.records, tally.lost, tally.damaged, *(tally.left[k] for k in kinds))
    print("|", *(f"{number} |" for number in numbers))
    for line in tally.examples[:20]:
        print(line, file=sys.stderr)
    sys.exit(1 if tally.lost or tally.damaged or sum(tally.left.values()) else 0)


if __name__ == "__main__":
    main()
