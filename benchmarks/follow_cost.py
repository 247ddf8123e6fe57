# SPDX-License-Identifier: Apache-2.0
"""What it costs target and tracer that an output is checked, and its disk given back, while it is written.

    sudo .venv/bin/python benchmarks/follow_cost.py [--pairs N] [--scale S] [--setup NAME] [--placement paper]

Trials of rw-tracer-all with text output and a ring of 64 MiB, followed within a bound and not followed, in turn (A B
B A ...); the first two pairs are not counted. Prints followed / not followed with its 95 % interval, Student's t on
the logarithms of the pairs' ratios: fio's throughput, events saved, CPU time of the tracer per event saved. Once with a
bound that the output exceeds many times, and once with one that it never comes near, where the checker takes only what
CPU time nobody wants. Where monitors have a CPU of their own (placement `paper`), the checker is on that one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from harness_cost import Ratio, ratio

from bpfbench import catalogue, cli
from bpfbench.model import (
    Attach,
    Format,
    Placement,
    Record,
    Settings,
    Sources,
    Status,
    Tool,
    TracerConfig,
    Trial,
    TrialSpec,
    Workload,
)
from bpfbench.testbed import image
from bpfbench.testbed.host import HostTestbed, headers_here

CONFIG = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 64 * 2**20, 100, 4096)
UNCOUNTED_PAIRS = 2
BOUNDS = (256 * 2**20, 64 * 2**30)


def run(testbed: HostTestbed, trial: Trial, settings: Settings, bound_bytes: int | None) -> Record:
    """Run a trial, which has to end well."""
    with tempfile.TemporaryDirectory() as directory:
        done = testbed.run(TrialSpec(trial, settings, output_disk_bytes=bound_bytes), Path(directory), lambda _: None)
    if done.status is not Status.OK:
        raise SystemExit(f"trial {done.status}: {done.reason}")
    return done


def numbers(record: Record) -> dict[str, float]:
    """Return what is compared."""
    if record.fio is None or record.summary is None or record.usage is None:
        raise SystemExit("a trial that ended well has all of its numbers")
    cpu_s = (record.usage.workload_user_s or 0.0) + (record.usage.workload_system_s or 0.0)
    return {
        "throughput": record.fio.throughput_bytes_per_s,
        "events saved": record.summary.saved,
        "tracer's CPU time per event saved": cpu_s / record.summary.saved,
    }


def compared(testbed: HostTestbed, trial: Trial, settings: Settings, bound_bytes: int, pairs: int) -> list[Ratio]:
    """Run pairs in turn and compare them."""
    found = []
    for number in range(pairs + UNCOUNTED_PAIRS):
        order = (None, bound_bytes) if number % 2 else (bound_bytes, None)
        done = {bound: run(testbed, trial, settings, bound) for bound in order}
        followed, plain = done[bound_bytes], done[None]
        if content := followed.content:
            print(
                f"  {content.output_bytes >> 20} MiB, {content.records} records checked, "
                f"at most {(content.peak_bytes or 0) >> 20} MiB on the disk",
                flush=True,
            )
        found.append((numbers(followed), numbers(plain)))
    leg = f"bound {bound_bytes >> 20} MiB"
    counted = found[UNCOUNTED_PAIRS:]
    return [ratio(leg, what, [a[what] / b[what] for a, b in counted]) for what in counted[0][0]]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=10, help="of each bound (default: 10)")
    parser.add_argument("--scale", type=float, default=1 / 64, help="1 is 32 GiB per process (default: 1/64)")
    parser.add_argument("--setup", default="libbpf", help="whose output (default: libbpf)")
    parser.add_argument("--placement", type=Placement, default=Placement.SHARED, choices=tuple(Placement))
    parser.add_argument("--bounds", type=int, nargs="+", default=BOUNDS, help="in bytes")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    cache = cli.cache_dir()
    ready = image.build(cache, "trixie", Sources(), lambda *_: None)
    testbed = HostTestbed(ready, headers_here(ready, cache), cache / "data", cache / "output")
    workload = Workload("read", 4, int(options.scale * catalogue.FULL_BYTES_PER_PROCESS))
    trial = Trial("follow-cost", 0, 0, 1, options.setup, Tool.RW_TRACER_ALL, workload, CONFIG)
    settings = Settings(placement=options.placement)
    testbed.lay_out(TrialSpec(trial, settings), lambda _: None)
    results = []
    for bound_bytes in options.bounds:
        print(f"bound {bound_bytes >> 20} MiB", flush=True)
        for own in compared(testbed, trial, settings, bound_bytes, options.pairs):
            results.append(own)
            print(
                f"{own.leg:18} {own.what:34} followed / not {own.ratio:.3f} [{own.low:.3f}, {own.high:.3f}], "
                f"{own.pairs} pairs",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(own) for own in results], indent=1))


if __name__ == "__main__":
    main()
