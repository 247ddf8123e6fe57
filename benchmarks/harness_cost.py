# SPDX-License-Identifier: Apache-2.0
"""What bpfbench itself costs: the workload, by vanilla trials against the same work run bare; and the user, in time.

    sudo .venv/bin/python benchmarks/harness_cost.py [--legs LEG,...] [--pairs N] [--scale S] [--json FILE]

A bare run is the image's fio, or PostgreSQL and pgbench by the commands of the shipped target, in the same namespaces,
and nothing else there: no trial runner, control groups, monitor, or idle baseline. All else is alike: files written
back, dropped, and 0.05 s until fio starts; the same CPUs; a settled disk afterwards. Runs follow each other as bare,
bpfbench, bpfbench, bare, ...; two of each before them are not counted. (By chroot instead, with the caller's
environment, fio reads 5 % slower from memory: no part of what is asked here.)

Legs: reads and writes on the data disk, and reads and writes on a file system in memory (where the runner calls a
trial invalid, as its pages cannot be dropped; its numbers are taken all the same); PostgreSQL in memory. Of each,
bpfbench / bare with its 95 % interval (the trimmed mean of the logarithms of the pairs' ratios, bootstrapped): the
throughput, and CPU time of fio's own processes per I/O, which drifts less; of PostgreSQL transactions per second, by
pgbench, and the CPU time of server and driver, which share one CPU. (Where each has its own, what decides is how an
idle virtual CPU wakes up: on the development machine 1,500 transactions a second, not 8,500; and any third process that
wakes ten times a second, such as our monitor, or `while sleep 0.1`, makes them 3 or 10 % faster. That is no cost, and
hides one.) Last, the time that trials take beyond tracer start and fio, by step (leg `time`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from scipy import stats

from bpfbench import catalogue, cli
from bpfbench.declare import targets
from bpfbench.inside.kernel import pagecache
from bpfbench.inside.trial import driven, fio
from bpfbench.inside.trial.runner import DROP_GAP_S
from bpfbench.machine import command
from bpfbench.model import Attach, Format, Record, Settings, Sources, Tool, TracerConfig, Trial, TrialSpec, Workload
from bpfbench.testbed import image, sandbox
from bpfbench.testbed.base import data_name
from bpfbench.testbed.host import HostTestbed, headers_here
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE, Bind

LEGS = ("read-disk", "write-disk", "read-memory", "write-memory", "postgres-memory", "time")

UNCOUNTED_PAIRS = 2
TRIMMED = 0.2
"""The share of pairs left out at either end."""

TRANSACTIONS = 20000
"""Of pgbench's client: a second or two."""
ON_ONE_CPU = ("taskset", "--cpu-list", "0")
"""Server and driver take turns: neither CPU is idle in between, to be woken up."""

SERVE = """\
set -e
chmod 755 /run/bpfbench /run/bpfbench/setups # bubblewrap makes them for root alone
mkdir {run}; chown 65534:65534 {run}
{start} >{run}/server.log 2>&1 &
until {ready} >/dev/null 2>&1; do sleep 0.05; done
{drive} >{record}/drive.log 2>&1
kill -INT $!; wait
times >{record}/times # last those of its children
"""
"""A target's life without a harness."""
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

CONFIG = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 262144, 100)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of fio came to."""

    throughput_bytes_per_s: float
    cpu_us_per_io: float
    """User and system CPU time of fio's processes, by their own account, per I/O."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """bpfbench / bare over pairs, and its 95 % interval."""

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


Served = tuple[float, float]
"""Transactions per second, and CPU time of server and driver in seconds."""


def bare_postgres(testbed: HostTestbed, trial: Trial) -> Served:
    """Run PostgreSQL and pgbench with nothing beside them."""
    spec = testbed._complete(TrialSpec(trial, Settings()), "")
    job = testbed._job("run", spec, 60.0)
    directory = testbed.data_dir / str(job.data)
    places = driven.Places(spec.target, Path(f"{INSIDE}/data/{driven.DATA}"), spec.packages)  # type: ignore[arg-type]
    shutil.rmtree(directory / driven.DATA, ignore_errors=True)
    laid_out = str(directory / driven.LAID_OUT)
    subprocess.run(("cp", "-a", "--reflink=auto", laid_out, str(directory / driven.DATA)), check=True)
    os.sync()
    pagecache.drop([path for path in (directory / driven.DATA).rglob("*") if path.is_file()])
    time.sleep(DROP_GAP_S)
    with tempfile.TemporaryDirectory() as results:
        target, record = places.target, f"{INSIDE}/record"
        words = {
            name: shlex.join((*AS_NOBODY, *places.filled(getattr(target, name))))
            for name in ("start", "ready", "drive")
        }
        Path(results, "run").write_text(SERVE.format(run=places.run, record=record, **words))
        Path(results).chmod(0o777)
        seen = testbed.sandbox(
            (Bind(str(directory), f"{INSIDE}/data", writable=True), Bind(results, record, writable=True))
        )
        seen = replace(seen, own_network=True, env={**seen.env, **places.environment})
        finished = command.run(sandbox.argv(seen, ("sh", f"{record}/run")))
        said = Path(results, "drive.log").read_text()
        if finished.status != 0:
            raise SystemExit(f"pgbench failed: {said or finished.last_words}")
        times = re.findall(r"(\d+)m([0-9.]+)s", Path(results, "times").read_text().splitlines()[-1])
    os.sync()
    tps = float(re.findall(r"^tps = ([0-9.]+)", said, re.MULTILINE)[-1])
    return tps, sum(60 * int(minutes) + float(seconds) for minutes, seconds in times)


def postgres_cost(ready: Image, cache: Path, pairs: int) -> Iterator[Ratio]:
    """Say what bpfbench costs PostgreSQL, its data in memory."""
    with memory_file_system() as memory:
        memory.chmod(0o755)
        target = targets.shipped("postgres")
        replaced = {
            "--transactions=1000": f"--transactions={TRANSACTIONS}",
            "--client=4": "--client=1",
            "--jobs=2": "--jobs=1",
        }
        drive = tuple(replaced.get(word, word) for word in target.drive)
        target = replace(target, start=(*ON_ONE_CPU, *target.start), drive=(*ON_ONE_CPU, *drive))
        testbed = HostTestbed(ready, headers_here(ready, cache), memory, cache / "output", (), (target,))
        trial = Trial("harness-cost", 0, 0, 1, "vanilla", Tool.RW_TRACER, Workload("postgres", 1, 0), None)
        testbed.lay_out(TrialSpec(trial, Settings()), lambda _: None)

        def of_bpfbench() -> Served:
            with tempfile.TemporaryDirectory() as directory:
                done = testbed.run(TrialSpec(trial, Settings()), Path(directory), lambda _: None)
                if done.driven is None or not done.groups.keys() >= {"workload", "driver"}:
                    raise SystemExit(f"trial failed, or there are no control groups: {done.reason}")
                used = (done.groups["workload"], done.groups["driver"])
                return done.driven.values["tps"], sum((own.user_s or 0) + (own.system_s or 0) for own in used)

        found = in_turn(pairs, lambda: bare_postgres(testbed, trial), of_bpfbench)
    for at, what in enumerate(("transactions/s", "CPU time")):
        yield ratio("postgres, memory", what, [ours[at] / plain[at] for ours, plain in found])


T = TypeVar("T")


def in_turn(pairs: int, of_bare: Callable[[], T], of_bpfbench: Callable[[], T]) -> list[tuple[T, T]]:
    """Run pairs in turn, those that are not counted first; return bpfbench's and the bare one of each that is."""
    found = []
    for number in range(pairs + UNCOUNTED_PAIRS):
        if number % 2:
            ours, plain = of_bpfbench(), of_bare()
        else:
            plain, ours = of_bare(), of_bpfbench()
        found.append((ours, plain))
        print(f"  pair {number - UNCOUNTED_PAIRS + 1}: bpfbench {ours}, bare {plain}", file=sys.stderr, flush=True)
    return found[UNCOUNTED_PAIRS:]


def paired(leg: str, pairs: int, of_bare: Callable[[], Run], of_bpfbench: Callable[[], Run]) -> list[Ratio]:
    """Run pairs in turn and compare them."""
    counted = in_turn(pairs, of_bare, of_bpfbench)
    return [
        ratio(leg, "throughput", [a.throughput_bytes_per_s / b.throughput_bytes_per_s for a, b in counted]),
        ratio(leg, "CPU time per I/O", [a.cpu_us_per_io / b.cpu_us_per_io for a, b in counted]),
    ]


def ratio(leg: str, what: str, ratios: Sequence[float]) -> Ratio:
    """Return the middle of ratios, the mean of their logarithms without the outer fifths, and its bootstrap interval.

    A machine that is slow for the length of a run makes some pairs say nothing; these would be all that a mean tells.
    """
    logs = [math.log(value) for value in ratios]
    middle = partial(stats.trim_mean, proportiontocut=TRIMMED)
    found = stats.bootstrap((logs,), middle, n_resamples=9999, rng=1).confidence_interval
    return Ratio(leg, what, len(logs), *(math.exp(log) for log in (middle(logs), found.low, found.high)))


@contextmanager
def memory_file_system() -> Iterator[Path]:
    """Give a directory in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        yield Path(place)


def workload_cost(ready: Image, cache: Path, scale: float, pairs: int, legs: Sequence[str]) -> Iterator[Ratio]:
    """Yield what bpfbench costs the workload."""
    with memory_file_system() as memory:
        for where, data in (("disk", cache / "data"), ("memory", memory)):
            testbed = HostTestbed(ready, headers_here(ready, cache), data, cache / "output")
            for name in ("read", "write"):
                if f"{name}-{where}" not in legs:
                    continue
                workload = Workload(name, 4, int(scale * catalogue.FULL_BYTES_PER_PROCESS))
                testbed.lay_out(TrialSpec(trial_of(workload), Settings()), lambda _: None)
                yield from paired(
                    f"{name}s, {where}",
                    pairs,
                    lambda w=workload, d=data, t=testbed: bare(t, w, d / data_name(w)),  # type: ignore[misc]
                    lambda w=workload, t=testbed: under_bpfbench(t, trial_of(w))[0],  # type: ignore[misc]
                )
    if "postgres-memory" in legs:
        yield from postgres_cost(ready, cache, pairs)


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
    parser.add_argument("--legs", type=lambda said: said.split(","), default=LEGS, help=f"of {', '.join(LEGS)}")
    parser.add_argument("--pairs", type=int, default=20, help="of each leg (default: 20)")
    parser.add_argument("--scale", type=float, default=1 / 64, help="1 is 32 GiB per process (default: 1/64)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each setup's time per trial (default: 3)")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    cache = cli.cache_dir()
    ready = image.build(cache, "trixie", Sources(), lambda *_: None, targets=("postgres",))
    ratios = []
    for own in workload_cost(ready, cache, options.scale, options.pairs, options.legs):
        ratios.append(own)
        print(
            f"{own.leg:16} {own.what:17} bpfbench / bare {own.ratio:.4f} [{own.low:.4f}, {own.high:.4f}], "
            f"{own.pairs} pairs",
            flush=True,
        )
    times = []
    for row in time_per_trial(ready, cache, options.scale, options.repetitions) if "time" in options.legs else ():
        times.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"ratios": [asdict(own) for own in ratios], "times": times}, indent=1))


if __name__ == "__main__":
    main()
