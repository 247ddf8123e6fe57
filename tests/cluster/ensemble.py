# SPDX-License-Identifier: Apache-2.0
"""An ensemble on a laboratory's hosts: a scheduler, workers and controllers, each the real process, with TLS.

Host `control` has the scheduler and the controllers, every other host a worker of its name.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lab import Host, Process, laboratory

from bpfbench.cluster import certificates
from bpfbench.inside import leftovers
from bpfbench.machine import turn
from bpfbench.model import Record
from bpfbench.store import Run
from bpfbench.testbed.host import IN_FLIGHT

CONTROL = "control"
PORT = 8786
ADDRESS = f"tls://10.0.0.1:{PORT}"
BPFBENCH = (sys.executable, "-m", "bpfbench")

WORKER, BLOCK, SCHEDULER, CONTROLLER = "cluster worker", "bpfbench.cluster.block", "cluster scheduler", "bpfbench run"
"""What is on the command lines of each."""

STUDY = """
name = "faults"
repetitions = 4

[factors]
setups = ["libbpf"]
tools = ["rw-tracer"]
workloads = ["read"]
scale = 0.0001220703125 # 4 MiB per process
attach = "tracepoint"

[settings]
rest_s = 0
"""


def until(true: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait for something to be so."""
    until_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.1)


@dataclass
class Campaign:
    """A controller at work, and what has become of its run."""

    path: Path
    process: Process
    host: Host
    log: str

    @property
    def run(self) -> Run:
        """The run, once there is one."""
        return Run(self.path)

    @property
    def said(self) -> str:
        """What the controller has printed."""
        return self.host.said(self.log)

    def started_at(self) -> dict[str, str]:
        """Return when the trials that have a record began, by id."""
        return {record.trial.id: record.started_at for record in self.run.records()} if self.begun() else {}

    def begun(self) -> bool:
        """Tell whether there is a run."""
        return (self.path / "run.json").exists()

    def wait(self, timeout_s: float = 300) -> int:
        """Wait for the controller to end; return its exit status."""
        return self.process.wait(timeout_s)

    def shoot(self) -> None:
        """Have the controller end by SIGKILL."""
        assert self.host.shoot(str(self.path))
        self.process.wait(10)

    def await_said(self, part: str, timeout_s: float = 180) -> None:
        """Wait for the controller to say something."""
        until(lambda: part in self.said, timeout_s, f"it says {part!r}\n{self.said}")

    def await_records(self, number: int, timeout_s: float = 120) -> None:
        """Wait for so many records."""
        until(lambda: len(self.started_at()) >= number, timeout_s, f"{number} records\n{self.said}")


@dataclass
class Ensemble:
    """Scheduler and workers. Its processes end with the laboratory."""

    hosts: dict[str, Host]
    place: Path
    before: dict[str, set[str]] = field(default_factory=dict)
    """What was mounted on each host."""
    inventory: leftovers.Inventory = field(default_factory=dict)

    @property
    def control(self) -> Host:
        """Where the controllers are."""
        return self.hosts[CONTROL]

    @property
    def workers(self) -> dict[str, Host]:
        """All other hosts."""
        return {name: host for name, host in self.hosts.items() if name != CONTROL}

    def certificates(self, node: str) -> Path:
        """Return a node's certificates."""
        return self.place / "certificates" / (certificates.CONTROLLER if node == CONTROL else node)

    def start_scheduler(self) -> None:
        """Start the scheduler, and wait until it listens."""
        listen = ("--listen", "10.0.0.1", "--port", str(PORT), "--certificates", str(self.certificates(CONTROL)))
        before = self._scheduler_said(f"Scheduler at: *{ADDRESS}")
        self.control.start(*BPFBENCH, "cluster", "scheduler", *listen, log="scheduler.log")
        until(lambda: self._scheduler_said(f"Scheduler at: *{ADDRESS}") > before, 180, "the scheduler listens")

    def start_worker(self, name: str, *, given: Path | None = None, env: Mapping[str, str] = {}) -> Process:
        """Start the worker of a host."""
        keys = given or self.certificates(name)
        words = ("--scheduler", ADDRESS, "--name", name, "--certificates", str(keys))
        return self.hosts[name].start(*BPFBENCH, "cluster", "worker", *words, log="worker.log", env=env)

    def joined(self, name: str) -> int:
        """Return how often the worker of a host has joined the cluster."""
        return self._scheduler_said(f"Register worker addr: .* name: {name}$")

    def await_worker(self, name: str, joined: int = 1) -> None:
        """Wait until the worker of a host has joined the cluster for so many times."""
        until(lambda: self.joined(name) >= joined, 90, f"{name} joins\n{self.hosts[name].said('worker.log')[-3000:]}")

    def _scheduler_said(self, pattern: str) -> int:
        return len(re.findall(pattern, self.control.said("scheduler.log"), re.MULTILINE))

    def campaign(self, name: str, *words: str, study: str = STUDY, hosts: Sequence[str] = ()) -> Campaign:
        """Start a controller that begins a run."""
        path, file = self.place / name, self.place / f"{name}.toml"
        file.write_text(study)
        hosts = hosts or tuple(self.workers)
        return self._controller(path, str(file), "--run-dir", str(path), "--hosts", ",".join(hosts), *words)

    def resume(self, campaign: Campaign, *words: str) -> Campaign:
        """Start a controller that goes on with a run."""
        return self._controller(campaign.path, "--resume", str(campaign.path), *words)

    def _controller(self, path: Path, *words: str) -> Campaign:
        log = f"{path.name}.log"
        cluster = ("--testbed", "cluster") if "--resume" not in words else ()
        where = ("--scheduler", ADDRESS, "--certificates", str(self.certificates(CONTROL)))
        process = self.control.start(*BPFBENCH, "run", *words, *cluster, *where, log=log)
        return Campaign(path, process, self.control, log)

    def in_trial(self, host: str) -> bool:
        """Tell whether a trial is under way on a host."""
        return any(line.endswith("bpfbench.inside run") for line in self.hosts[host].processes().values())

    def running(self, host: str) -> bool:
        """Tell whether a block is being run on a host."""
        return any(BLOCK in line for line in self.hosts[host].processes().values())

    def await_trial(self, host: str, timeout_s: float = 120) -> None:
        """Wait for a trial to be under way on a host."""
        until(lambda: self.in_trial(host), timeout_s, f"a trial on {host}")

    def spooled(self, host: str) -> dict[str, str]:
        """Return when those trials began that a host has finished and keeps, by id."""
        found = {}
        for path in self.hosts[host].cache.glob("cluster/spools/*/*/run/trials/*/record.json"):
            with contextlib.suppress(OSError, ValueError):
                found[path.parent.name] = json.loads(path.read_bytes())["started_at"]
        return found

    def remains(self) -> list[str]:
        """Return what of trials is left on hosts once their blocks have ended, after the moment their ends need."""
        until_s = time.monotonic() + 20
        while True:
            found = list(self._remains())
            if not found or time.monotonic() > until_s:
                return found
            time.sleep(0.2)

    def _remains(self) -> Iterator[str]:
        for name, host in self.workers.items():
            yield from (f"{name}: process {line}" for line in host.processes().values() if WORKER not in line)
            yield from (f"{name}: mount {line}" for line in host.mounts() - self.before[name])
            yield from (f"{name}: {path}" for path in (host.cache / "output").glob(f"{IN_FLIGHT}*"))
        yield from left_in_kernel(self.inventory)


def left_in_kernel(before: leftovers.Inventory) -> Iterator[str]:
    """Yield what of trials has come into the kernel since, while nobody measures."""
    with turn.alone(lambda _: None):
        new = leftovers.new_since(before, Path("/run"))
    yield from (f"{kind}: {new[kind]}" for kind in new if kind.startswith("BPF"))
    yield from new.get("control groups", ())


def cache() -> Path:
    """Return the user's cache, which images and packages are taken from."""
    from bpfbench import cli

    return cli.cache_dir()


@contextlib.contextmanager
def ensemble(place: Path, names: Sequence[str], prepare: Callable[[Host], str] = lambda _: "") -> Iterator[Ensemble]:
    """Have a scheduler on one host, and workers on these.

    Args:
        place: a directory.
        names: of the hosts with workers.
        prepare: returns shell commands to run on a host first.
    """
    with laboratory(place, (CONTROL, *names), cache(), prepare) as hosts:
        made = Ensemble(
            hosts, place, {name: host.mounts() for name, host in hosts.items()}, leftovers.take(Path("/run"))
        )
        certificates.issue(place / "certificates", "lab", (certificates.CONTROLLER, *names), days=7)
        made.start_scheduler()
        for name in names:
            made.start_worker(name)
        try:
            for name in names:
                made.await_worker(name)
            yield made
        finally:  # pytest shows it of a test that failed
            for host in hosts.values():
                for log in sorted(host.place.glob("*.log")):
                    print(f"--- {host.name}: {log.name}\n{log.read_text(errors='replace')[-3000:]}")  # noqa: T201


def require_whole(campaign: Campaign, kept: dict[str, str]) -> None:
    """Hold that nothing was lost and nothing is there twice, and that no block is of two attempts.

    Args:
        campaign: one that has ended.
        kept: when the trials began that were finished before the fault: their records are there still, or set aside
            with all of their block.
    """
    run = campaign.run
    records: tuple[Record, ...] = run.records()
    ids = [record.trial.id for record in records]
    assert sorted(ids) == sorted(trial.id for trial in run.plan())
    assert [record.reason for record in records if record.reason] == []
    there = {record.started_at for record in records}
    aside = {json.loads(path.read_bytes())["started_at"] for path in run.path.glob("superseded/*/record.json")}
    assert set(kept.values()) <= there | aside
    assert not there & aside
    spools: dict[int, set[tuple[str, str]]] = {}
    for record in records:
        origin = json.loads((run.path / "trials" / record.trial.id / "origin.json").read_bytes())
        assert origin["host"] == record.trial.host
        spools.setdefault(record.trial.block, set()).add((origin["spool"], origin["boot_id"]))
    assert {block: len(found) for block, found in spools.items()} == dict.fromkeys(spools, 1)
    assert not (run.path / "partial").exists()


def require_told(fault: str, *said: str) -> None:
    """Hold that all of these logs say what docs/cluster.md has in its table for a fault."""
    for text, log in itertools.product(FAULTS[fault], said):
        pattern = r"[^\n]*".join(map(re.escape, text.split("…")))
        assert re.search(pattern, log), f"not said: {text}\n{log}"


def _faults() -> dict[str, list[str]]:
    """Return what the log says, by fault."""
    lines = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text().splitlines()
    first = lines.index("| fault | what happens | the log says |") + 2
    rows = [line.strip("|").split(" | ") for line in itertools.takewhile(bool, lines[first:])]
    return {fault.strip(): re.findall("`(.+?)`", says) for fault, _, says in rows}


FAULTS = _faults()
"""What docs/cluster.md has in its table of faults: what the log says of each."""


def spans(campaign: Campaign) -> dict[str, list[tuple[float, float]]]:
    """Return when each trial began and ended, by host, in order; warm-ups too."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in (*campaign.run.records(), *campaign.run.warm_ups()):
        began_s = datetime.fromisoformat(record.started_at).timestamp()
        found.setdefault(record.trial.host, []).append((began_s, began_s + record.seconds))
    return {host: sorted(own) for host, own in found.items()}
