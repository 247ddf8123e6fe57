# SPDX-License-Identifier: Apache-2.0
"""What bpfbench itself costs: the workload, by vanilla trials against the same fio job run bare; and the user, in time.

    sudo .venv/bin/python benchmarks/harness_cost.py [--pairs N] [--scale S] [--json FILE]

A bare run is the image's fio in the same namespaces, and nothing else there: no trial runner, control groups, monitor,
or idle baseline. All else is alike: files written back, dropped, and 0.05 s until fio starts; the same CPUs; a settled
disk afterwards. Runs follow each other as bare, bpfbench, bpfbench, bare, ...; two of each before them are not counted.
(By chroot instead, with the caller's environment, fio reads 5 % slower from memory: no part of what is asked here.)

Legs: reads and writes on the data disk, and reads and writes on a file system in memory (where the runner calls a
trial invalid, as its pages cannot be dropped; its numbers are taken all the same). Of each, bpfbench / bare with its
95 % interval (Student's t on the logarithms of the pairs' ratios): throughput, and CPU time of fio's own processes per
I/O, which drifts less. Last, the time that trials take beyond tracer start and fio, by step.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from scipy import stats

from bpfbench import catalogue, cli
from bpfbench.inside.kernel import pagecache
from bpfbench.inside.trial import fio
from bpfbench.inside.trial.runner import DROP_GAP_S
from bpfbench.machine import command
from bpfbench.model import Attach, Format, Record, Settings, Sources, Tool, TracerConfig, Trial, TrialSpec, Workload
from bpfbench.testbed import image, sandbox
from bpfbench.testbed.base import data_name
from bpfbench.testbed.host import HostTestbed, headers_here
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE, Bind

UNCOUNTED_PAIRS = 2

CONFIG = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 262144, 100)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of fio came to."""

    throughput_bytes_per_s: float
    cpu_us_per_io: float
    """User and system CPU time of fio's processes, by their own account, per I/O."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """bpfbench / bare over pairs: geometric mean and 95 % interval."""

    leg: str
    what: str
    pairs: int
    ratio: float
    low: float
    high: float


def of_fio(text: str) -> Run:
    """Read fio's output."""
    found, job = fio.parse(text), json.loads(text[f"\n{text}".find("\n{\n") :])["jobs"][0]
    cpu_s = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000
    return Run(found.throughput_bytes_per_s, 1e6 * cpu_s / found.ios)


def bare(testbed: HostTestbed, workload: Workload, data: Path) -> Run:
    """Run fio with nothing beside it."""
    os.sync()
    pagecache.drop(sorted(data.glob("fio.*")))
    dropped_s = time.monotonic()
    with tempfile.TemporaryDirectory() as results:
        (Path(results) / "job.fio").write_text((catalogue.PACKAGE / "workloads" / f"{workload.name}.fio").read_text())
        inside = testbed.sandbox(
            (
                Bind(str(data), f"{INSIDE}/data", writable=True),
                Bind(results, f"{INSIDE}/record", writable=True),
            )
        )
        job, output = f"{INSIDE}/record/job.fio", f"{INSIDE}/record/fio.json"
        call, variables = fio.call(workload, job, output, f"{INSIDE}/data")
        words = ("env", *(f"{name}={value}" for name, value in variables.items()), *call)
        time.sleep(max(0.0, dropped_s + DROP_GAP_S - time.monotonic()))
        finished = command.run(sandbox.argv(inside, words))
        if finished.status != 0:
            raise SystemExit(f"fio failed: {finished.last_words}")
        result = of_fio((Path(results) / "fio.json").read_text())
    os.sync()
    return result


def trial_of(workload: Workload, setup: str = "vanilla") -> Trial:
    """Return a trial."""
    config = None if setup == "vanilla" else CONFIG
    return Trial("harness-cost", 0, 0, 1, setup, Tool.RW_TRACER, workload, config)


def under_bpfbench(testbed: HostTestbed, trial: Trial) -> tuple[Run, Record]:
    """Run a trial."""
    with tempfile.TemporaryDirectory() as directory:
        done = testbed.run(TrialSpec(trial, Settings()), Path(directory), lambda _: None)
        if done.fio is None:
            raise SystemExit(f"trial failed: {done.reason}")
        return of_fio((Path(directory) / "fio.json").read_text()), done


def paired(leg: str, pairs: int, of_bare: Callable[[], Run], of_bpfbench: Callable[[], Run]) -> list[Ratio]:
    """Run pairs in turn and compare them."""
    found: list[tuple[Run, Run]] = []
    for number in range(pairs + UNCOUNTED_PAIRS):
        if number % 2:
            ours, plain = of_bpfbench(), of_bare()
        else:
            plain, ours = of_bare(), of_bpfbench()
        found.append((ours, plain))
    counted = found[UNCOUNTED_PAIRS:]
    return [
        ratio(leg, "throughput", [a.throughput_bytes_per_s / b.throughput_bytes_per_s for a, b in counted]),
        ratio(leg, "CPU time per I/O", [a.cpu_us_per_io / b.cpu_us_per_io for a, b in counted]),
    ]


def ratio(leg: str, what: str, ratios: Sequence[float]) -> Ratio:
    """Return the geometric mean of ratios and its interval."""
    logs = [math.log(value) for value in ratios]
    half = stats.t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.fmean(logs)
    return Ratio(leg, what, len(logs), math.exp(mean), math.exp(mean - half), math.exp(mean + half))


@contextmanager
def memory_file_system() -> Iterator[Path]:
    """Give a directory in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        yield Path(place)


def workload_cost(ready: Image, cache: Path, scale: float, pairs: int) -> Iterator[Ratio]:
    """Yield what bpfbench costs the workload."""
    with memory_file_system() as memory:
        for where, data in (("disk", cache / "data"), ("memory", memory)):
            testbed = HostTestbed(ready, headers_here(ready, cache), data, cache / "output")
            for name in ("read", "write"):
                workload = Workload(name, 4, int(scale * catalogue.FULL_BYTES_PER_PROCESS))
                testbed.lay_out(TrialSpec(trial_of(workload), Settings()), lambda _: None)
                yield from paired(
                    f"{name}s, {where}",
                    pairs,
                    lambda w=workload, d=data, t=testbed: bare(t, w, d / data_name(w)),  # type: ignore[misc]
                    lambda w=workload, t=testbed: under_bpfbench(t, trial_of(w))[0],  # type: ignore[misc]
                )


def time_per_trial(ready: Image, cache: Path, scale: float, repetitions: int) -> Iterator[dict[str, object]]:
    """Yield how long trials take beyond tracer start and fio: medians in seconds."""
    testbed = HostTestbed(ready, headers_here(ready, cache), cache / "data", cache / "output")
    for name in ("read", "write"):
        workload = Workload(name, 4, int(scale * catalogue.FULL_BYTES_PER_PROCESS))
        for setup in ("vanilla", "libbpf", "bpftrace", "bcc", "ebpf-go", "aya-sync", "aya-async"):
            beyond, steps = [], []
            for _ in range(repetitions):
                begin_s = time.monotonic()
                _, done = under_bpfbench(testbed, trial_of(workload, setup))
                took = {step.name: step.seconds for step in done.steps}
                beyond.append(time.monotonic() - begin_s - took.get("start", 0.0) - took["workload"])
                steps.append({**took, "outside": time.monotonic() - begin_s - sum(took.values())})
            names = [step for step in steps[0] if step not in ("start", "workload")]
            middle = {step: round(statistics.median(own[step] for own in steps), 3) for step in names}
            yield {"workload": name, "setup": setup, "beyond_s": round(statistics.median(beyond), 3), **middle}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=20, help="of each leg (default: 20)")
    parser.add_argument("--scale", type=float, default=1 / 64, help="1 is 32 GiB per process (default: 1/64)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each setup's time per trial (default: 3)")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    cache = cli.cache_dir()
    ready = image.build(cache, "trixie", Sources(), lambda *_: None)
    ratios = []
    for own in workload_cost(ready, cache, options.scale, options.pairs):
        ratios.append(own)
        print(
            f"{own.leg:15} {own.what:17} bpfbench / bare {own.ratio:.4f} [{own.low:.4f}, {own.high:.4f}], "
            f"{own.pairs} pairs",
            flush=True,
        )
    times = []
    for row in time_per_trial(ready, cache, options.scale, options.repetitions):
        times.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"ratios": [asdict(own) for own in ratios], "times": times}, indent=1))


if __name__ == "__main__":
    main()
