# SPDX-License-Identifier: Apache-2.0
"""What a campaign over many hosts costs its controller and its scheduler: real ones, with trials that do nothing.

    .venv/bin/python benchmarks/cluster_scale.py [--hosts 10,100,1000] [--trials-per-host 10] [--json F] [--figure F]

Scheduler, controller and workers are bpfbench's own, with TLS, on this machine's loopback interface; workers are many
to a process, with a cache each. Only the process that would run a block is another: it leaves records at once, as a
trial leaves them, of about 100 kB each. Printed per trial: CPU time of the controller and of the scheduler, by the
kernel's account of their processes; the memory that each came to hold beyond what it had before, at most; the bytes of
records as sent. All of it goes down with more trials, or stays, if nothing in it grows faster than they.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from matplotlib import pyplot as plt
from rich.console import Console

from bpfbench import store
from bpfbench.cluster import certificates, controller, guard, scheduler, settings, worker
from bpfbench.cluster.connection import Connection
from bpfbench.cluster.order import pack
from bpfbench.cluster.spool import Spool
from bpfbench.codec import from_json, to_json
from bpfbench.declare import plan, study
from bpfbench.model import RECORD_FORMAT, Record, Study, Trial
from bpfbench.run.progress import ProgressReporter
from bpfbench.store import RunInfo

WORKERS_PER_PROCESS = 250
FILLER_BYTES = 90_000
"""What is beside record.json: fio.json and samples.csv, mostly; numbers in words."""
TEMPLATE = Path(__file__).parent.parent / "tests/data/runs/format-4"
MACHINE = {"host": "simulated", "kernel": "none", "cpus": 2, "cpu_model": "none"}
STUDY = """
name = "scale"
testbed = "cluster"
[factors]
setups = ["bpftrace", "libbpf", "ebpf-go", "aya-async"]
tools = ["rw-tracer"]
workloads = ["read"]
attach = "tracepoint"
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """What so many hosts and trials come to."""

    hosts: int
    trials: int
    seconds: float
    controller_cpu_ms_per_trial: float
    controller_kib_per_trial: float
    scheduler_cpu_ms_per_trial: float
    scheduler_kib_per_trial: float
    sent_kib_per_trial: float


class _Ended:
    """A process that has ended."""

    def poll(self) -> int:
        return 0


def no_op(template: Record, filler: str, found: Spool, _: Path) -> subprocess.Popen[bytes]:
    """Leave what the process leaves that runs a block."""
    order = found.order()
    found.write("facts.json", {"facts": MACHINE, "hooks": ["tracepoint"], "setups": [], "emulated": False})
    for trial in order.trials:
        folder = found.run_dir / "trials" / trial.id
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(to_json(replace(template, trial=trial)))
        (folder / "samples.csv").write_text(filler)
    found.write("end.json", {"reason": None})
    return cast("subprocess.Popen[bytes]", _Ended())


def serve_workers(address: str, names: Sequence[str], keys: Path, caches: Path) -> None:
    """Be the workers of so many hosts, whose certificates are in directories of `keys`."""
    _hush()
    settings.apply()
    guard.only(guard.OF_A_TASK)
    template = replace(store.Run(TEMPLATE).records()[1], format=RECORD_FORMAT)
    numbers = random.Random(1)  # noqa: S311 - no secret
    filler = "\n".join(f"{numbers.random():.6f}" for _ in range(FILLER_BYTES // 9))
    begin = partial(no_op, template, filler)

    async def run() -> None:
        workers = []
        for name in names:
            here = worker.Here(name, caches / name, begin)
            security = settings.security(keys / name, address)
            workers.append(await worker.made(address, here, security=security, death_timeout=None))
        await asyncio.gather(*(each.finished() for each in workers))

    asyncio.run(run())


def control(address: str, keys: Path, path: Path, hosts: Sequence[str], trials: int, out: Path) -> None:
    """Be the controller, of a run that is made here; leave its own account in a file."""
    guard.only(guard.NOTHING)
    chosen = replace(study.parse(STUDY, "scale"), hosts=tuple(hosts))
    trials_of = _trials(chosen, trials)
    info = RunInfo(
        format=store.RUN_FORMAT,
        id=path.name,
        created_at="",
        bpfbench_version="",
        study=chosen,
        trials_planned=len(trials_of),
        left_out=(),
        image={"name": "none", "key": "none"},
        machine={"hosts": dict.fromkeys(hosts, MACHINE)},
    )
    run = store.create(path, info, trials_of)
    before, kib_before, began_s = resource.getrusage(resource.RUSAGE_SELF), _kib("self"), time.monotonic()
    with ProgressReporter(Console(file=Path(os.devnull).open("w"))) as reporter:
        controller.execute(run, Connection(address, keys), reporter)
    seconds, after = time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    if len(run.done()) != len(trials_of):
        raise SystemExit(f"{len(run.done())} of {len(trials_of)} trials")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sent = [sum(map(len, pack("run", 0, _origin(folder), folder)["files"].values())) for folder in _some(run)]
    account = {"seconds": seconds, "cpu_s": cpu_s, "kib": _kib("self") - kib_before, "sent": sum(sent) / len(sent)}
    out.write_text(json.dumps({**account, "trials": len(trials_of)}))


def _trials(chosen: Study, least: int) -> tuple[Trial, ...]:
    """Return the plan with at least so many trials."""
    of_block = len(plan.unroll(replace(chosen, repetitions=1)).trials)
    return plan.unroll(replace(chosen, repetitions=-(-least // of_block))).trials


def _origin(folder: Path) -> Any:
    from bpfbench.cluster.order import ORIGIN, Origin

    return from_json(Origin, (folder / ORIGIN).read_bytes())


def _some(run: store.Run) -> list[Path]:
    return sorted((run.path / "trials").iterdir())[:20]


def _kib(process: str, what: str = "VmHWM") -> int:
    """Return the most memory a process has had."""
    (line,) = (line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1])


def _cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(hosts: int, trials: int) -> Scale:
    """Run a campaign of so many trials on so many hosts."""
    fork = multiprocessing.get_context("spawn")
    names = [f"host{number:05d}" for number in range(hosts)]
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        issued = certificates.issue(place / "certificates", "scale", (certificates.CONTROLLER, *names), days=2)
        keys = issued.of(certificates.CONTROLLER)
        said = place / "scheduler.json"
        processes: list[Any] = []

        def start(function: Any, *given: Any) -> Any:
            process = fork.Process(target=function, args=given, daemon=True)
            process.start()
            processes.append(process)
            return process

        try:
            serving = start(_serve_scheduler, keys, said)
            _until(said.exists, serving)
            address = json.loads(said.read_text())["address"]
            for first in range(0, hosts, WORKERS_PER_PROCESS):
                start(
                    serve_workers, address, names[first : first + WORKERS_PER_PROCESS], issued.folder, place / "caches"
                )
            out = place / "account.json"
            _await_workers(address, keys, hosts)
            cpu_s, kib = _cpu_s(serving.pid), _kib(serving.pid)
            controlling = start(control, address, keys, place / "run", names, trials, out)
            controlling.join()
            account = json.loads(out.read_text())
            cpu_s, kib = _cpu_s(serving.pid) - cpu_s, _kib(serving.pid) - kib
        finally:
            for process in reversed(processes):
                process.kill()
                process.join()
    done = account["trials"]
    return Scale(
        hosts=hosts,
        trials=done,
        seconds=round(account["seconds"], 1),
        controller_cpu_ms_per_trial=round(1000 * account["cpu_s"] / done, 2),
        controller_kib_per_trial=round(account["kib"] / done, 1),
        scheduler_cpu_ms_per_trial=round(1000 * cpu_s / done, 2),
        scheduler_kib_per_trial=round(kib / done, 1),
        sent_kib_per_trial=round(account["sent"] / 1024, 1),
    )


def _serve_scheduler(keys: Path, said: Path) -> None:
    _hush()
    scheduler.serve("127.0.0.1", 0, keys, said=said)


def _hush() -> None:
    """Say nothing of all that Dask says."""
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _await_workers(address: str, keys: Path, hosts: int) -> None:
    """Wait for all workers, in a process of its own: this one is no client of Dask's."""
    fork = multiprocessing.get_context("spawn")
    waiting = fork.Process(target=_wait_for_workers, args=(address, keys, hosts), daemon=True)
    waiting.start()
    waiting.join()
    if waiting.exitcode:
        raise SystemExit("the workers did not come")


def _wait_for_workers(address: str, keys: Path, hosts: int) -> None:
    from bpfbench.cluster.client import Cluster

    with Cluster(Connection(address, keys)) as cluster:
        until_s = time.monotonic() + 900
        while len(cluster.present()) < hosts:
            if time.monotonic() > until_s:
                raise SystemExit(1)
            time.sleep(1)


def _until(true: Any, process: Any) -> None:
    while not true():
        if process.exitcode is not None:
            raise SystemExit("the scheduler ended")
        time.sleep(0.05)


def show(scales: Sequence[Scale]) -> None:
    """Print a table."""
    heads = (
        "hosts",
        "trials",
        "controller ms",
        "controller KiB",
        "scheduler ms",
        "scheduler KiB",
        "sent KiB",
        "seconds",
    )
    print("per trial:\n" + "  ".join(f"{head:>14}" for head in heads))
    for each in scales:
        row = (
            each.hosts,
            each.trials,
            each.controller_cpu_ms_per_trial,
            each.controller_kib_per_trial,
            each.scheduler_cpu_ms_per_trial,
            each.scheduler_kib_per_trial,
            each.sent_kib_per_trial,
            each.seconds,
        )
        print("  ".join(f"{cell:>14}" for cell in row), flush=True)


def draw(scales: Sequence[Scale], path: Path) -> None:
    """Draw CPU time and memory per trial over the number of hosts; a dashed line is what they may come to."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    hosts = [each.hosts for each in scales]
    for ax, what, most in zip(axes, ("CPU time, ms per trial", "memory, KiB per trial"), (10, 200), strict=True):
        name = "cpu_ms" if most == 10 else "kib"
        for who, marker in (("controller", "o"), ("scheduler", "s")):
            values = [getattr(each, f"{who}_{name}_per_trial") for each in scales]
            ax.plot(hosts, values, marker=marker, label=who)
        ax.axhline(most, linestyle="--", color="grey")
        ax.set(xscale="log", xlabel="hosts, 10 trials each", ylabel=what, ylim=(0, most * 1.1))
    axes[0].legend()
    figure.savefig(path)


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", default="10,100,1000", help="how many hosts, one campaign each")
    parser.add_argument("--trials-per-host", type=int, default=10)
    parser.add_argument("--json", type=Path, help="keep the numbers here")
    parser.add_argument("--figure", type=Path, help="draw them here")
    given = parser.parse_args()
    scales = []
    for hosts in map(int, given.hosts.split(",")):
        scales.append(measure(hosts, hosts * given.trials_per_host))
        show(scales[-1:])
        if given.json:
            given.json.write_text(json.dumps([asdict(each) for each in scales], indent=1) + "\n")
    show(scales)
    if given.figure:
        draw(scales, given.figure)


if __name__ == "__main__":
    main()
