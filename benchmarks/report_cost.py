#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a report of a large run costs, whatever its shape: CPU time, memory, and the size of the page.

    python benchmarks/report_cost.py RUN [--trials 10000] [--shapes crossed,rates] [--against TREE]

Large runs are made of a stored one, for a temporary directory: a trial of the plan of a study has the record of a
trial of RUN with the same setup, tool and workload, with noise on what was measured. With --against, the bpfbench in
another source tree reports the same runs in between; numbers are the least of --times.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpfbench import store
from bpfbench.codec import to_json
from bpfbench.declare.plan import places, unroll
from bpfbench.model import Attach, Format, Predecessor, Record, Study, Tool, Trial

EVENTS = (Tool.RW_TRACER, Tool.RW_TRACER_ALL)
KIB = 1024
FORMATS = (Format.TEXT, Format.BINARY)
SHAPES: dict[str, dict[str, Any]] = {
    "repeated": {},
    "crossed": {
        "tools": EVENTS,
        "format": FORMATS,
        "ringbuf_bytes": (256 * KIB, 1024 * KIB, 4096 * KIB),
        "poll_ms": (10, 100, 1000),
        "payload_bytes": (512, 4096),
    },
    "rates": {"tools": EVENTS, "format": FORMATS, "rate_iops": (None, *(1000 * 2**n for n in range(12)))},
    "hooks": {"attach": (Attach.TRACEPOINT, Attach.KPROBE, Attach.FENTRY), "scale": (0.015625, 0.03125, 0.0625, 0.125)},
    "once": {
        "tools": EVENTS,
        "format": FORMATS,
        "ringbuf_bytes": tuple(256 * KIB * 2**n for n in range(6)),
        "poll_ms": (10, 50, 100, 200, 500, 1000),
        "payload_bytes": (64, 256, 512, 1024, 4096),
        "rate_iops": (None, 5000, 20000),
    },
}
"""What each varies beyond the study of the run; repeated until there are trials enough."""


def plan(study: Study, varied: Mapping[str, Any], most: int) -> tuple[Study, tuple[Trial, ...]]:
    """Return a study that varies this, and its first trials."""
    study = replace(study, factors=replace(study.factors, **varied), repetitions=1)
    study = replace(study, repetitions=-(-most // len(unroll(study).trials)))
    return study, unroll(study).trials[:most]


def records(trials: Sequence[Trial], alike: Mapping[Any, Sequence[Record]]) -> Iterator[Record]:
    """Yield what trials of a large run left."""
    rng = random.Random(1)  # noqa: S311 - no secret
    before: Trial | None = None
    place = places(trials)
    for trial in trials:
        found = rng.choice(alike[trial.tool, trial.setup, trial.workload.name])
        noise = rng.lognormvariate(0, 0.1)
        if found.fio is None or found.load is None:
            raise SystemExit(f"{found.trial.id} of that run did not end well")
        ran = None
        if before is not None:
            ran = Predecessor(before.id, before.setup, before.tool, before.workload, warm_up=False)
        yield replace(
            found,
            trial=trial,
            session="one",
            place=place[trial.id],
            predecessor=ran,
            fio=replace(
                found.fio,
                runtime_s=found.fio.runtime_s * noise,
                latency_mean_us=found.fio.latency_mean_us * noise,
                latency_percentiles_us={key: own * noise for key, own in found.fio.latency_percentiles_us.items()},
            ),
            load=replace(found.load, cpu_percent=found.load.cpu_percent * rng.lognormvariate(0, 0.05)),
            usage=found.usage
            and replace(
                found.usage,
                startup_s=found.usage.startup_s * rng.lognormvariate(0, 0.05),
                pss_peak_bytes=int((found.usage.pss_peak_bytes or 0) * rng.lognormvariate(0, 0.02)),
            ),
        )
        before = trial


def enlarge(run: store.Run, varied: Mapping[str, Any], most: int, made: Path) -> int:
    """Make a large run of a stored one; return how many repetitions it has."""
    alike, samples = defaultdict(list), {}
    for record in run.records():
        alike[record.trial.tool, record.trial.setup, record.trial.workload.name].append(record)
        samples[record.trial.setup] = run.path / "trials" / record.trial.id / "samples.csv"
    study, trials = plan(run.info.study, varied, most)
    info = replace(run.info, id=made.name, study=study, trials_planned=len(trials))
    large = store.create(made, info, trials)
    for record in records(trials, alike):
        folder = large.path / "trials" / record.trial.id
        folder.mkdir()
        (folder / "record.json").write_text(to_json(record))
        (folder / "samples.csv").symlink_to(samples[record.trial.setup].absolute())
    return study.repetitions


def cost(tree: Path, run: Path, page: Path) -> tuple[float, float, float]:
    """Return CPU seconds, MiB of memory, and MB of the page of a report."""
    words = [sys.executable, "-m", "bpfbench", "report", str(run), "--output", str(page)]
    with subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": str(tree / "src")}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        said = child.stderr.read() if child.stderr else b""
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(said.decode())
    size = (page / "index.html").stat().st_size
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, size / 1e6


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--keep", type=Path, help="where the large runs are to stay")
    given = parser.parse_args()
    here = Path(__file__).parents[1]
    trees = [here, *([given.against] if given.against else [])]
    print("| shape | trials | repetitions | tree | CPU, s | memory, MiB | page, MB |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        place = given.keep or Path(scratch)
        for shape in given.shapes.split(","):
            made = place / f"{shape}-{given.trials}"
            if not made.exists():
                enlarge(store.Run(given.run), SHAPES[shape], given.trials, made)
            repetitions = store.Run(made).info.study.repetitions
            found = [[cost(tree, made, Path(scratch) / "page") for tree in trees] for _ in range(given.times)]
            for tree, own in zip(trees, zip(*found, strict=True), strict=True):
                cpu, memory, size = (min(values) for values in zip(*own, strict=True))
                shown = (shape, given.trials, repetitions, tree.name, f"{cpu:.1f}", f"{memory:.0f}", f"{size:.2f}")
                print(f"| {' | '.join(map(str, shown))} |", flush=True)


if __name__ == "__main__":
    main()
