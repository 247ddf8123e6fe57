# SPDX-License-Identifier: Apache-2.0
"""What bpfbench itself costs the workload: vanilla trials against the same fio job run bare, interleaved.

    sudo .venv/bin/python benchmarks/harness_cost.py [PAIRS] [SCALE] [DATA_DIRECTORY]

A bare run is the image's fio, by chroot, with nothing beside it: no namespaces, no monitor, no idle baseline. Both
start from dropped page cache. Within a pair the order alternates. Prints throughput of each pair and the mean ratio
with its 95 % t interval over the logarithms; ratios, because the difference is far smaller than the machine's drift.
A data directory on tmpfs takes the disk, the noisiest part, out of it.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bpfbench import catalogue, cli
from bpfbench.model import Settings, Tool, Trial, Workload
from bpfbench.testbed import image
from bpfbench.testbed.host import HostTestbed, data_path, headers_here
from bpfbench.testbed.image import Sources
from bpfbench.trial import fio

T_95 = {10: 2.262, 15: 2.145, 20: 2.093, 30: 2.045, 40: 2.023}
"""Two-sided 95 % quantiles of Student's t for n - 1 degrees of freedom."""


def bare(root: Path, workload: Workload, data: Path) -> float:
    """Return the throughput of a bare run, in bytes per second."""
    os.sync()
    for path in data.glob("fio.*"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    inside = root / "bpfbench" / "data"
    with tempfile.TemporaryDirectory() as results:
        job = Path(results) / "job.fio"
        job.write_text(catalogue.job_file(workload.name).read_text())
        command = " ".join(fio.command("/bpfbench/record/job.fio", "/bpfbench/record/fio.json"))
        script = (
            f"mount --bind {data} {inside} && mount --bind {results} {root}/bpfbench/record && "
            f"exec chroot {root} {command}"
        )
        environment = {**os.environ, **fio.environment(workload, "/bpfbench/data")}
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        subprocess.run(argv, env=environment, check=True)
        result = fio.parse((Path(results) / "fio.json").read_text())
    os.sync()
    return result.throughput_bytes_per_s


def trial_of(workload: Workload) -> Trial:
    """Return a vanilla trial."""
    return Trial("harness-cost", 0, 0, 1, "vanilla", Tool.SYSCOUNT, workload, None)


def under_bpfbench(testbed: HostTestbed, workload: Workload) -> float:
    """Return the throughput of a vanilla trial, in bytes per second."""
    with tempfile.TemporaryDirectory() as record:
        done = testbed.run(trial_of(workload), Settings(), None, Path(record), lambda _: None)
    if done.fio is None:
        raise SystemExit(f"trial failed: {done.reason}")
    return done.fio.throughput_bytes_per_s


def main() -> None:
    """Measure, for reads and for writes."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else 1 / 64
    cache = cli.cache_dir()
    ready = image.build(cache, "trixie", Sources(), lambda *_: None)
    data = Path(sys.argv[3]) if len(sys.argv) > 3 else cache / "data"
    testbed = HostTestbed(ready, headers_here(ready, cache), data, cache / "output")
    for name in ("read", "write"):
        workload = Workload(name, 4, int(scale * catalogue.FULL_BYTES_PER_PROCESS))
        testbed.lay_out(trial_of(workload), Settings(), lambda _: None)
        ratios = []
        for number in range(pairs):
            runs = {
                "bare": lambda w=workload: bare(Path(ready.root), w, data_path(data, w)),
                "bpfbench": lambda w=workload: under_bpfbench(testbed, w),
            }
            order = list(runs) if number % 2 else list(runs)[::-1]
            measured = {which: runs[which]() for which in order}
            ratios.append(measured["bpfbench"] / measured["bare"])
            print(json.dumps({"workload": name, **{k: round(v / 2**20) for k, v in measured.items()}}), flush=True)
        logs = [math.log(ratio) for ratio in ratios]
        half = T_95.get(pairs, 2.0) * statistics.stdev(logs) / math.sqrt(pairs)
        mean = statistics.fmean(logs)
        low, middle, high = (100 * (math.exp(x) - 1) for x in (mean - half, mean, mean + half))
        print(f"{name}: bpfbench/bare {middle:+.2f} % (95 % CI {low:+.2f} to {high:+.2f}), median "
              f"{100 * (statistics.median(ratios) - 1):+.2f} %, {pairs} pairs")  # fmt: skip


if __name__ == "__main__":
    main()
