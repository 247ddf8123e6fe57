# SPDX-License-Identifier: Apache-2.0
"""What `bpfbench overhead` finds where there is nothing: A/A, two commands that end at once, so many times.

    sudo .venv/bin/python benchmarks/overhead_of_nothing.py [--times N] [--target COMMAND] [-- OPTIONS OF OVERHEAD]

A finding is a tracer of which something asked for is told apart from bare. The promise is one in twenty at most, for
the whole table. What is to be said is *no difference of more than 5 %*. Each time is another seed, so that no order of
trials is tried twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

TARGET = f"{sys.executable} -c 'for n in range(5000000): pass'"
"""A third of a second of one CPU."""


def once(seed: int, target: str, options: list[str]) -> dict[str, Any]:
    """Measure nothing, and return the answer."""
    argv = [sys.executable, "-m", "bpfbench", "overhead", "true", "true", "--target", target, "--json", *options]
    done = subprocess.run([*argv, "--seed", str(seed)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"overhead ended with status {done.returncode}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)["data"]
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--times", type=int, default=20, help="(default: 20)")
    parser.add_argument("--first", type=int, default=1, help="seed of the first (default: 1)")
    parser.add_argument("--target", default=TARGET, help="(default: a third of a second of computing)")
    parser.add_argument("options", nargs="*", help="of overhead")
    asked = parser.parse_args()
    amounts: Counter[str] = Counter()
    with_finding = all_alike = 0
    for seed in range(asked.first, asked.first + asked.times):
        began_s = time.monotonic()
        found = once(seed, asked.target, asked.options)
        told = [row["compared"]["time"] for row in found["rows"][1:]]
        findings = [own for own in told if own["verdict"] in ("more", "less")]
        with_finding += bool(findings)
        all_alike += not findings and all(own["amount"] == "within-margin" for own in told)
        amounts.update(own["amount"] for own in told)
        changes = ", ".join(f"{own['change_percent']:+.1f} % {own['verdict']}, {own['amount']}" for own in told)
        size = f"{found['rounds']} rounds of {found['runs']} runs in a trial, {time.monotonic() - began_s:.0f} s"
        print(f"seed {seed}: {size}; {changes}", flush=True)
    print(f"{with_finding} of {asked.times} times with a finding, {all_alike} with no difference; {dict(amounts)}")


if __name__ == "__main__":
    main()
