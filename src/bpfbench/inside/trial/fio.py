# SPDX-License-Identifier: Apache-2.0
"""fio: how it is called, and what its json+ output says. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bpfbench.model import FioResult, RateProcess, Workload


def call(workload: Workload, job_file: str, output_file: str, data_dir: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the argument vector of one fio run, and the variables that the job files refer to.

    fio limits the rate of each direction by itself: a job that does both refers to the half. To fio, 0 is no limit.
    Bursts come at a rate of their own, and fio does not make up for the pauses between them, so that both together give
    the mean.
    """
    rate_iops = workload.peak_iops or 0
    options = ("--eta=never", "--output-format=json+", f"--output={output_file}", "--ioengine=psync")
    bursts = (f"--thinktime={workload.pause_s * 1e6:.0f}us", f"--thinktime_blocks={workload.burst_ios}")
    paused = (*bursts, "--thinktime_blocks_type=issue", "--rate_ignore_thinktime=1") if workload.in_bursts else ()
    random = () if workload.rate_process is RateProcess.LINEAR else (f"--rate_process={workload.rate_process}",)
    return ("fio", *options, *paused, *random, job_file), {
        "BPFBENCH_DATA": data_dir,
        "BPFBENCH_PROCESSES": str(workload.processes),
        "BPFBENCH_BYTES": str(workload.bytes_per_process),
        "BPFBENCH_RATE_IOPS": str(rate_iops),
        "BPFBENCH_HALF_RATE_IOPS": str(rate_iops // 2),
    }


def data_files(workload: Workload) -> tuple[str, ...]:
    """Return the names of the files a workload's processes use, as the job files name them."""
    return tuple(f"fio.{number}" for number in range(workload.processes))


AS_FIO_SAYS = {field.name: field.metadata["fio"] for field in fields(FioResult) if "fio" in field.metadata}
"""Of what is taken from a job as it is: the field of the result, and fio's key."""


def parse(text: str) -> FioResult:
    """Read fio's json+ output of a job with group_reporting.

    Where a job both reads and writes, latency comes from fio's own union of both ("mixed").

    Raises:
        ValueError: this is not the output of one successful fio job; says why.
    """
    data = _document(text)
    job = _only_job(data)
    directions = [job[name] for name in ("read", "write") if job[name]["total_ios"]]
    if not directions:
        raise ValueError("fio did no I/O")
    whole = directions[0] if len(directions) == 1 else job["mixed"]
    runtime_s = max(direction["runtime"] for direction in directions) / 1000
    if not runtime_s:
        raise ValueError("fio's I/O took less than a millisecond, the unit it measures in")
    total_bytes = sum(direction["io_bytes"] for direction in directions)
    ios = {name: job[name]["total_ios"] for name in ("read", "write")}
    return FioResult(
        version=data["fio version"],
        started_at_s=job["job_start"] / 1000,
        runtime_s=runtime_s,
        read_ios=ios["read"],
        write_ios=ios["write"],
        bytes=total_bytes,
        throughput_bytes_per_s=total_bytes / runtime_s,
        iops=sum(ios.values()) / runtime_s,
        latency_mean_us=whole["lat_ns"]["mean"] / 1000,
        latency_sd_us=whole["lat_ns"]["stddev"] / 1000,
        latency_percentiles_us={key: ns / 1000 for key, ns in whole["clat_ns"].get("percentile", {}).items()},
        **{name: job[key] for name, key in AS_FIO_SAYS.items()},
    )


def _document(text: str) -> dict[str, Any]:
    """Return the JSON in fio's output; fio puts its warnings into the same file, before the line with the brace."""
    start = f"\n{text}".find("\n{\n")
    if start < 0:
        raise ValueError(f"no JSON in it: {text.strip()[-200:] or 'it is empty'}")
    document: dict[str, Any] = json.loads(text[start:])
    return document


def _only_job(data: Mapping[str, Any]) -> Mapping[str, Any]:
    jobs: list[Mapping[str, Any]] = data["jobs"]
    if len(jobs) != 1:
        raise ValueError(f"{len(jobs)} fio jobs where one was due; the job file needs group_reporting")
    job = jobs[0]
    if job["error"]:
        raise ValueError(f"fio job {job['jobname']!r} ended with error {job['error']}: {os.strerror(job['error'])}")
    return job
