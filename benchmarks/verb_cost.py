#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fast verbs cost: user and system CPU time, the least of some times.

    python benchmarks/verb_cost.py RUN [RUN ...] [--times 3] [--against TREE]

With --against, the bpfbench in another source tree does the same in between. Bytecode is kept, as where bpfbench is
installed, and made before anything is measured.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from pathlib import Path

OF_NO_RUN = ("--version", "--help", "list")
OF_A_RUN = ("status", "costs", "summary", "claims", "tradeoffs", "recommend --rate 100k")


def cost(tree: Path, words: list[str]) -> float:
    """Return CPU seconds of a call; not a number where a run has not what the verb asks for."""
    kept = {key: own for key, own in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        [sys.executable, "-m", "bpfbench", *words],
        env={**kept, "PYTHONPATH": str(tree / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        _, status, usage = os.wait4(child.pid, 0)
    return math.nan if os.waitstatus_to_exitcode(status) > 1 else usage.ru_utime + usage.ru_stime  # 1 is a finding


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    trees = [Path(__file__).parents[1], *([given.against] if given.against else [])]
    calls = [[words] for words in OF_NO_RUN]
    for run in given.runs:
        calls += [[verb, str(run), *options] for verb, *options in map(str.split, OF_A_RUN)]
    print("| verb | run |", *(f"{tree.resolve().name}, s |" for tree in trees))
    print("| --- | --- |", *("---: |" for _ in trees))
    for words in calls:
        found = [[cost(tree, words) for tree in trees] for _ in range(given.times + 1)][1:]
        least = (min(own) for own in zip(*found, strict=True))
        run = Path(words[1]).name if len(words) > 1 else ""
        print(f"| {words[0]} | {run} |", *(f"{own:.2f} |" for own in least), flush=True)


if __name__ == "__main__":
    main()
